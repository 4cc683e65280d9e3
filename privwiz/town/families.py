"""Families: who is born in a synthetic town, to whom, when, who marries whom, and who moves in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from privwiz.town import words

__all__ = ["ELSEWHERE", "MAIN_USER", "YEAR", "Person", "kinships", "raise_families"]

YEAR = 2025
"""The year in which the town is looked at."""

MAIN_USER = "ada"
"""Id of Ada Lin, who lives in every town."""

ELSEWHERE = -1
"""In place of the number of one of the town's places."""

Couple = tuple[int, int]
"""Keys of mother and father."""

_FEMALE, _MALE = "female", "male"
_CULTURES = ("english", "chinese", "han")
_CULTURE_SHARES = (0.5, 0.2, 0.3)
_FOUNDERS_BORN = (1943, 1963)
_YOUNGER_PARENT_AT_BIRTH = (20, 36)
_CHILDREN = (0.1, 0.22, 0.38, 0.2, 0.1)
_MARRIAGE_AGE = 25
_MARRIED = 0.62
_LARGEST_AGE_GAP = 6
_TAKES_NAME = 0.7
_YOUNGEST_USER = 13
_INCOMERS_BORN = (1978, 2006)
_PEOPLE_PER_FOUNDING_COUPLE = 7.5
_OUTSIDERS = 0.18
_SOCIABILITY_SPREAD = 0.75
_SOCIABILITY_OF_MAIN_USER = 4.0
_QUIET, _QUIETNESS = 0.2, 0.08


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the register of the town.

    Parameters
    ----------
    key : int
        Position in the register; parents come before their children.
    id : str
        ``"mei.lin"``: lower case ASCII, unique.
    name, last_name : str
        As displayed: ``"Mei Lin"`` and ``"Lin"``, or ``"林美"`` and ``"林"``.
    gender : str
    born : int
        Year.
    hometown, place : int
        Where the person grew up and lives: number of a place of the town, or `ELSEWHERE`.
    culture : str
        ``"english"``, ``"chinese"`` (name in Latin letters) or ``"han"`` (name in Chinese characters).
    sociability : float
        How easily the person gets to know others; 1 on average.
    parents : tuple of int
        Keys of mother and father, or empty.
    spouse : int or None
        Key.
    online : bool
        Whether the person uses the network; the others only link relatives.
    """

    key: int
    id: str
    name: str
    last_name: str
    gender: str
    born: int
    hometown: int
    place: int
    culture: str
    sociability: float
    parents: tuple[int, ...] = ()
    spouse: int | None = None
    online: bool = True

    @property
    def age(self) -> int:
        """Age in years at the end of `YEAR`."""
        return YEAR - self.born


class _Register:
    """Everyone entered so far, and the draws that enter the next."""

    def __init__(self, places: int, rng: np.random.Generator) -> None:
        self.people: list[Person] = []
        self._places = places
        self._rng = rng
        self._ids: set[str] = set()

    def enter(
        self,
        gender: str,
        born: int,
        *,
        culture: str | None = None,
        last: tuple[str, str] | None = None,
        given: tuple[str, str] | None = None,
        hometown: int | None = None,
        parents: tuple[int, ...] = (),
    ) -> Person:
        """Enter somebody, drawing what is not given; ``last`` and ``given`` are names as displayed and in Latin letters."""
        if culture is None:
            culture = _CULTURES[int(self._rng.choice(len(_CULTURES), p=_CULTURE_SHARES))]
        last = last or self._last_name(culture)
        given = given or self._given_name(gender, culture)
        home = int(self._rng.integers(self._places)) if hometown is None else hometown
        person = Person(
            key=len(self.people),
            id=self._unused_id(f"{given[1]}.{last[1]}".lower()),
            name=last[0] + given[0] if culture == "han" else f"{given[0]} {last[0]}",
            last_name=last[0],
            gender=gender,
            born=born,
            hometown=home,
            place=home,
            culture=culture,
            sociability=self._sociability(),
            parents=parents,
        )
        self.people.append(person)
        return person

    def change(self, key: int, **changes: object) -> None:
        self.people[key] = replace(self.people[key], **changes)  # type: ignore[arg-type]

    def marry(self, one: Person, other: Person) -> Couple:
        """Make a couple that lives where the first of the two lives."""
        self.change(one.key, spouse=other.key)
        self.change(other.key, spouse=one.key, place=one.place)
        return (one.key, other.key) if one.gender == _FEMALE else (other.key, one.key)

    def _sociability(self) -> float:
        """Log-normal of mean 1; one person in five hardly uses the network."""
        quiet = self._rng.random() < _QUIET
        return self._rng.lognormal(-(_SOCIABILITY_SPREAD**2) / 2, _SOCIABILITY_SPREAD) * (_QUIETNESS if quiet else 1)

    def _last_name(self, culture: str) -> tuple[str, str]:
        if culture == "english":
            name = words.LAST[int(self._rng.integers(len(words.LAST)))]
            return name, name
        han, latin = words.LAST_HAN[int(self._rng.integers(len(words.LAST_HAN)))]
        return (han if culture == "han" else latin), latin

    def _given_name(self, gender: str, culture: str) -> tuple[str, str]:
        if culture == "english" or (culture == "chinese" and self._rng.random() < 0.5):
            names = words.FEMALE if gender == _FEMALE else words.MALE
            name = names[int(self._rng.integers(len(names)))]
            return name, name
        pairs = words.FEMALE_HAN if gender == _FEMALE else words.MALE_HAN
        han, latin = pairs[int(self._rng.integers(len(pairs)))]
        return (han if culture == "han" else latin), latin

    def _unused_id(self, wanted: str) -> str:
        found, number = wanted, 2
        while found in self._ids:
            found, number = f"{wanted}{number}", number + 1
        self._ids.add(found)
        return found


def raise_families(people: int, places: int, rng: np.random.Generator) -> tuple[Person, ...]:
    """Return the register of a town in which exactly ``people`` persons use the network.

    Founding couples have children and grandchildren who marry into other families or marry incomers; single incomers
    and outsiders, who live elsewhere, make up the number. `MAIN_USER`, her parents and grandparents are always there.
    """
    register = _Register(places, rng)
    outsiders = round(_OUTSIDERS * people)
    grandparents, parents, main_user = _enter_main_family(register)
    always = len(register.people)
    couples = [grandparents, *_founding_couples(register, round((people - outsiders) / _PEOPLE_PER_FOUNDING_COUPLE), rng)]
    for more_children, more_couples in (([], [parents]), ([main_user], []), ([], [])):
        children = [*more_children, *_children(register, couples, rng)]
        couples = [*more_couples, *_marry(register, children, rng)]
    _choose_users(register, always, people - outsiders, rng)
    for _ in range(people - outsiders - sum(person.online for person in register.people)):
        newcomer = _enter_stranger(register, rng)
        register.change(newcomer.key, place=int(rng.integers(places)))
    for _ in range(outsiders):
        _enter_stranger(register, rng)
    return tuple(register.people)


def kinships(people: Sequence[Person]) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Yield kind, name and keys of each family (a couple and its children) and of all relatives of a founding couple."""
    children: dict[int, list[int]] = {}
    for person in people:
        for parent in person.parents:
            children.setdefault(parent, []).append(person.key)
    for person in people:
        if person.spouse is None or person.gender != _FEMALE:
            continue
        couple = (person.key, person.spouse)
        whose = f"{person.name} and {people[person.spouse].name}"
        family = sorted({*couple, *children.get(person.key, ())})
        yield "family", f"family of {whose}", tuple(family)
        if not any(people[key].parents for key in couple):
            relatives = sorted(_descendants(couple, people, children))
            if relatives != family:
                yield "relatives", f"relatives of {whose}", tuple(relatives)


def _descendants(couple: Couple, people: Sequence[Person], children: dict[int, list[int]]) -> set[int]:
    """Return the couple, all who descend from it, and their spouses."""
    found, new = set(couple), set(couple)
    while new:
        born = {child for key in new for child in children.get(key, ())}
        new = born | {spouse for key in born if (spouse := people[key].spouse) is not None}
        found |= new
    return found


def _enter_main_family(register: _Register) -> tuple[Couple, Couple, Person]:
    lin = ("Lin", "Lin")
    grandfather = register.enter(_MALE, 1947, culture="chinese", last=lin, given=("Wei", "Wei"), hometown=0)
    grandmother = register.enter(_FEMALE, 1949, culture="chinese", last=("Chen", "Chen"), given=("Mei", "Mei"), hometown=0)
    grandparents = register.marry(grandfather, grandmother)
    father = register.enter(_MALE, 1971, culture="chinese", last=lin, given=("Jun", "Jun"), hometown=0, parents=grandparents)
    mother = register.enter(_FEMALE, 1972, culture="english", last=("Hartley", "Hartley"), given=("Rose", "Rose"), hometown=0)
    parents = register.marry(father, mother)
    ada = register.enter(_FEMALE, 1996, culture="chinese", last=lin, given=("Ada", "Ada"), hometown=0, parents=parents)
    register.change(ada.key, id=MAIN_USER, sociability=_SOCIABILITY_OF_MAIN_USER)
    return grandparents, parents, ada


def _founding_couples(register: _Register, count: int, rng: np.random.Generator) -> Iterator[Couple]:
    for _ in range(count):
        husband = register.enter(_MALE, int(rng.integers(*_FOUNDERS_BORN)))
        yield register.marry(husband, _enter_partner(register, husband, rng))


def _children(register: _Register, couples: Sequence[Couple], rng: np.random.Generator) -> Iterator[Person]:
    for mother_key, father_key in couples:
        mother, father = register.people[mother_key], register.people[father_key]
        name = (father.last_name, father.id.partition(".")[2].rstrip("0123456789").title())
        for _ in range(int(rng.choice(len(_CHILDREN), p=_CHILDREN))):
            born = max(mother.born, father.born) + int(rng.integers(*_YOUNGER_PARENT_AT_BIRTH))
            if born <= YEAR - _YOUNGEST_USER:
                gender = _FEMALE if rng.random() < 0.5 else _MALE
                yield register.enter(
                    gender, born, culture=father.culture, last=name, hometown=father.place, parents=(mother_key, father_key)
                )


def _marry(register: _Register, children: Sequence[Person], rng: np.random.Generator) -> Iterator[Couple]:
    """Marry some of a generation: half of them, where age and family allow, to each other, the rest to incomers."""
    willing = [person for person in children if person.age >= _MARRIAGE_AGE and rng.random() < _MARRIED]
    single = [willing[k] for k in rng.permutation(len(willing)).tolist()]
    while single:
        one = single.pop()
        other = next((k for k, person in enumerate(single) if _may_marry(one, person)), None)
        partner = _enter_partner(register, one, rng) if other is None or rng.random() < 0.5 else single.pop(other)
        yield register.marry(one, partner)


def _may_marry(one: Person, other: Person) -> bool:
    related = bool(set(one.parents) & set(other.parents)) or one.last_name == other.last_name
    return not related and one.gender != other.gender and abs(one.born - other.born) <= _LARGEST_AGE_GAP


def _enter_partner(register: _Register, person: Person, rng: np.random.Generator) -> Person:
    gender = _MALE if person.gender == _FEMALE else _FEMALE
    culture = person.culture if rng.random() < 0.8 else None
    takes_name = gender == _FEMALE and person.culture == culture == "english" and rng.random() < _TAKES_NAME
    last = (person.last_name, person.last_name) if takes_name else None
    born = person.born + int(rng.integers(-4, 5))
    hometown = person.place if rng.random() < 0.4 else ELSEWHERE
    return register.enter(gender, born, culture=culture, last=last, hometown=hometown)


def _enter_stranger(register: _Register, rng: np.random.Generator) -> Person:
    gender = _FEMALE if rng.random() < 0.5 else _MALE
    return register.enter(gender, int(rng.integers(*_INCOMERS_BORN)), hometown=ELSEWHERE)


def _choose_users(register: _Register, always: int, most: int, rng: np.random.Generator) -> None:
    """Decide who is on the network: nearly all of the young, a third of the very old, at most ``most`` people."""
    age = np.array([person.age for person in register.people])
    uses = rng.random(len(age)) < np.interp(age, (13, 20, 50, 85), (0.8, 0.95, 0.85, 0.3))
    uses[:always] = True
    users = np.flatnonzero(uses)
    surplus = max(0, len(users) - most)
    uses[rng.permutation(users[always:])[:surplus]] = False
    for key in np.flatnonzero(~uses).tolist():
        register.change(key, online=False)

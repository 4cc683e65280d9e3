"""Lives: the schools, jobs, streets, clubs and close friends of the people of a synthetic town."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import exp
from typing import NamedTuple, TypeVar

import numpy as np

from privwiz.town import words
from privwiz.town.families import ELSEWHERE, MAIN_USER, Person, kinships

__all__ = ["Gathering", "Life", "lead_lives"]

_LEAVING_AGE = 18
_SCHOOL_YEARS_TOGETHER = 4
_PEOPLE_PER_SCHOOL = 700
_STUDENTS = 0.6
_UNIVERSITY_YEARS_TOGETHER = 3
_STARTED_WORK, _STOPPED_WORK = 20, 67
_EMPLOYED = 0.85
_CHANGED_JOBS = 0.4
_FIRM_SIZE = (2.8, 0.6, 4, 60)
_TEAM_SIZE = 9
_SMALLEST_FIRM_WITH_TEAMS = 14
_PEOPLE_PER_STREET = 45
_LIVES_AT_HOME = 24
_CLUBS_PER_PERSON = 1.4
_CLUB_SIZE = (2.8, 0.5, 6, 45)
_HAVE_CLOSE_FRIENDS = 0.6
_CLOSE_FRIENDS = (4, 9)


_Value = TypeVar("_Value")


class Gathering(NamedTuple):
    """People who meet: kind, a readable name, and the keys of the members, sorted."""

    kind: str
    name: str
    members: tuple[int, ...]


@dataclass(slots=True)
class Life:
    """What somebody's profile can tell; filled while the institutions of the town are founded."""

    place: str
    hometown: str
    schools: list[str] = field(default_factory=list)
    school_years: list[int] = field(default_factory=list)
    concentration: str = ""
    employers: list[str] = field(default_factory=list)
    position: str = ""


def lead_lives(people: Sequence[Person], places: int, rng: np.random.Generator) -> tuple[tuple[Life, ...], tuple[Gathering, ...]]:
    """Return everybody's life, in the order of ``people``, and all gatherings of two or more who are online."""
    names = _place_names(places, rng)
    lives = tuple(Life(_name(person.place, names, rng), _name(person.hometown, names, rng)) for person in people)
    online = [person for person in people if person.online]
    gatherings = [Gathering(*kinship) for kinship in kinships(people)]
    gatherings += _go_to_school(online, lives, rng)
    gatherings += _study(online, lives, rng)
    gatherings += _work(online, lives, rng)
    gatherings += _live_in_streets(people, online, names, rng)
    gatherings += _join_clubs(online, names, rng)
    gatherings += _make_close_friends(online, gatherings, rng)
    present = [
        gathering._replace(members=tuple(key for key in gathering.members if people[key].online)) for gathering in gatherings
    ]
    return lives, tuple(gathering for gathering in present if len(gathering.members) > 1)


def _place_names(places: int, rng: np.random.Generator) -> list[str]:
    latin, han = words.shuffled_names(words.PLACES, rng), words.shuffled_names(words.PLACES_HAN, rng)
    return [next(han) if number % 3 == 1 else next(latin) for number in range(places)]


def _name(place: int, names: Sequence[str], rng: np.random.Generator) -> str:
    """Return the name of a place; that of a random city for `ELSEWHERE`."""
    return words.CITIES[int(rng.integers(len(words.CITIES)))] if place == ELSEWHERE else names[place]


def _is_han(name: str) -> bool:
    return not name.isascii()


def _together(pairs: Iterable[tuple[_Value, int]]) -> dict[_Value, tuple[int, ...]]:
    """Return, for each value in the order of appearance, the keys that have it, sorted."""
    found: dict[_Value, list[int]] = {}
    for value, key in pairs:
        found.setdefault(value, []).append(key)
    return {value: tuple(sorted(keys)) for value, keys in found.items()}


def _go_to_school(online: Sequence[Person], lives: Sequence[Life], rng: np.random.Generator) -> Iterator[Gathering]:
    locals_of = _together((person.hometown, person.key) for person in online if person.hometown != ELSEWHERE)
    schools = {home: max(1, round(len(keys) / _PEOPLE_PER_SCHOOL)) for home, keys in locals_of.items()}
    for person in online:
        home = lives[person.key].hometown
        kinds = words.SCHOOLS_HAN if _is_han(home) else words.SCHOOLS
        number = int(rng.integers(schools.get(person.hometown, len(kinds))))
        kind = kinds[number % len(kinds)]
        lives[person.key].schools.append(home + kind if _is_han(home) else f"{home} {kind}")
        lives[person.key].school_years.append(person.born + _LEAVING_AGE)
    pupils = [(lives[key].schools[0], lives[key].school_years[0], key) for keys in locals_of.values() for key in keys]
    for (school, year), keys in _together(((school, year), key) for school, year, key in pupils).items():
        yield Gathering("class", f"{school}, class of {year}", keys)
    span = _SCHOOL_YEARS_TOGETHER
    for (school, period), keys in _together(((school, year // span), key) for school, year, key in pupils).items():
        yield Gathering("school", f"{school}, {period * span}-{period * span + span - 1}", keys)


def _study(online: Sequence[Person], lives: Sequence[Life], rng: np.random.Generator) -> Iterator[Gathering]:
    fame = 1 / np.arange(2, 2 + len(words.UNIVERSITIES))
    students = []
    for person in online:
        studies = rng.random() < _STUDENTS or person.id == MAIN_USER
        if person.age <= _LEAVING_AGE or not studies:
            continue
        university = words.UNIVERSITIES[int(rng.choice(len(fame), p=fame / fame.sum()))]
        course = int(rng.integers(len(words.CONCENTRATIONS)))
        begun = person.born + _LEAVING_AGE + int(rng.integers(3))
        life = lives[person.key]
        life.schools.append(university)
        life.school_years.append(begun + 4)
        life.concentration = (words.CONCENTRATIONS_HAN if _is_han(university) else words.CONCENTRATIONS)[course]
        students.append((university, life.concentration, begun, person.key))
    span = _UNIVERSITY_YEARS_TOGETHER
    for (university, period), keys in _together(((where, begun // span), key) for where, _, begun, key in students).items():
        yield Gathering("university", f"{university}, entered {period * span}-{period * span + span - 1}", keys)
    span *= 2
    cohorts = _together(((where, what, begun // span), key) for where, what, begun, key in students)
    for (university, course_name, period), keys in cohorts.items():
        yield Gathering("course", f"{university}, {course_name}, entered {period * span}-{period * span + span - 1}", keys)


def _work(online: Sequence[Person], lives: Sequence[Life], rng: np.random.Generator) -> Iterator[Gathering]:
    """Yield each firm (staff and those who left it for another) and, in larger firms, the teams of the staff."""
    working_age = (person for person in online if _STARTED_WORK <= person.age < _STOPPED_WORK)
    employed = [person for person in working_age if rng.random() < _EMPLOYED or person.id == MAIN_USER]
    firm_names = {han: _firm_names(rng, han=han) for han in (False, True)}
    for place, keys in sorted(_together((person.place, person.key) for person in employed).items()):
        if place == ELSEWHERE:
            continue
        staffs = list(_chunks(rng.permutation(keys).tolist(), _FIRM_SIZE, rng))
        size = np.array([len(staff) for staff in staffs])
        left_from = {key: int(rng.choice(len(size), p=size / len(keys))) for key in keys if rng.random() < _CHANGED_JOBS}
        for number, staff in enumerate(staffs):
            name, teams, positions = next(firm_names[_is_han(lives[staff[0]].place)])
            former = [key for key, firm in left_from.items() if firm == number and key not in staff]
            for key in (*staff, *former):
                lives[key].employers.append(name)
            for key in staff:
                lives[key].position = positions[int(rng.integers(len(positions)))]
            yield Gathering("work", name, tuple(sorted((*staff, *former))))
            if len(staff) >= _SMALLEST_FIRM_WITH_TEAMS:
                yield from _teams(name, teams, staff)


def _teams(firm: str, names: Sequence[str], staff: Sequence[int]) -> Iterator[Gathering]:
    for number, start in enumerate(range(0, len(staff), _TEAM_SIZE)):
        turn, which = divmod(number, len(names))
        name = f"{firm}, {names[which]}" + (f" {turn + 1}" if turn else "")
        yield Gathering("team", name, tuple(sorted(staff[start : start + _TEAM_SIZE])))


def _firm_names(rng: np.random.Generator, *, han: bool) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    first = words.EMPLOYER_WORDS_HAN if han else words.EMPLOYER_WORDS
    industries = words.INDUSTRIES_HAN if han else words.INDUSTRIES
    kind_of = {(word + kind[0] if han else f"{word} {kind[0]}"): kind for word in first for kind in industries}
    for name in words.shuffled_names(tuple(kind_of), rng):
        _, teams, positions = kind_of[name.rstrip(" 0123456789")]
        yield name, teams, positions


def _chunks(keys: Sequence[int], size: tuple[float, float, int, int], rng: np.random.Generator) -> Iterator[Sequence[int]]:
    """Cut ``keys`` into parts of log-normal sizes: ``size`` is mean and spread of the logarithm, least, most."""
    mean, spread, least, most = size
    start = 0
    while start < len(keys):
        stop = start + int(np.clip(rng.lognormal(mean, spread), least, most))
        yield keys[start:stop]
        start = stop


def _live_in_streets(
    people: Sequence[Person], online: Sequence[Person], places: Sequence[str], rng: np.random.Generator
) -> Iterator[Gathering]:
    homes = {han: words.shuffled_names(words.STREETS_HAN if han else words.STREETS, rng) for han in (False, True)}
    for place, keys in sorted(_together((person.place, person.key) for person in online).items()):
        if place == ELSEWHERE:
            continue
        households = list(_together((_household(people, key), key) for key in keys).values())
        street: list[int] = []
        for number in rng.permutation(len(households)).tolist():
            street.extend(households[number])
            if len(street) >= _PEOPLE_PER_STREET:
                yield Gathering("neighbourhood", f"{next(homes[_is_han(places[place])])}, {places[place]}", tuple(sorted(street)))
                street = []
        yield Gathering("neighbourhood", f"{next(homes[_is_han(places[place])])}, {places[place]}", tuple(sorted(street)))


def _household(people: Sequence[Person], key: int) -> int:
    """Return the key of whom ``key`` lives with: a spouse, for the young and single the mother, else nobody."""
    person = people[key]
    if person.spouse is not None:
        return min(key, person.spouse)
    return _household(people, person.parents[0]) if person.parents and person.age < _LIVES_AT_HOME else key


def _join_clubs(online: Sequence[Person], places: Sequence[str], rng: np.random.Generator) -> Iterator[Gathering]:
    person_of = {person.key: person for person in online}
    for place, keys in sorted(_together((person.place, person.key) for person in online).items()):
        if place == ELSEWHERE:
            continue
        han = _is_han(places[place])
        names = words.shuffled_names(words.CLUBS_HAN if han else words.CLUBS, rng)
        seats = round(_CLUBS_PER_PERSON * len(keys))
        for chairs in _chunks(range(seats), _CLUB_SIZE, rng):
            usual = person_of[int(rng.choice(keys))].born
            likely = np.array([person_of[key].sociability ** 0.75 * exp(-abs(person_of[key].born - usual) / 10) for key in keys])
            members = rng.choice(keys, size=min(len(chairs), len(keys)), replace=False, p=likely / likely.sum())
            name = next(names)
            yield Gathering("club", places[place] + name if han else f"{places[place]} {name}", tuple(sorted(members.tolist())))


def _make_close_friends(
    online: Sequence[Person], gatherings: Sequence[Gathering], rng: np.random.Generator
) -> Iterator[Gathering]:
    """Yield small circles of people of one age who met at school, at university, at work or in a club."""
    person_of = {person.key: person for person in online}
    met: dict[int, list[int]] = {key: [] for key in person_of}
    for gathering in gatherings:
        if gathering.kind in {"class", "course", "team", "club", "university"}:
            for key in gathering.members:
                met[key].extend(gathering.members)
    placed: set[int] = set()
    for key in rng.permutation(list(person_of)).tolist():
        others, often = np.unique([other for other in met[key] if other != key], return_counts=True)
        size = int(rng.integers(*_CLOSE_FRIENDS)) - 1
        if key in placed or rng.random() > _HAVE_CLOSE_FRIENDS or len(others) < size:
            continue
        apart = np.array([abs(person_of[other].born - person_of[key].born) for other in others.tolist()])
        likely = often * np.exp(-apart / 3)
        chosen = rng.choice(others, size=size, replace=False, p=likely / likely.sum()).tolist()
        placed.update((key, *chosen))
        yield Gathering("friends", f"friends of {person_of[key].name}", tuple(sorted((key, *chosen))))

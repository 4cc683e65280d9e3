"""Names that people recognise a circle by, in English and Chinese."""

from collections.abc import Collection, Iterator, Sequence
from itertools import count, repeat
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

from privwiz.graphs import EgoNetwork
from privwiz.words import LANGUAGES, check_language, join_names

__all__ = [
    "PERSONAL_FIELDS",
    "UNNAMED_FIELDS",
    "CircleName",
    "attribute_holders",
    "attribute_text",
    "circle_names",
    "display_name",
    "field_text",
]

Attribute: TypeAlias = tuple[str, str]
"""A profile field and one value of it."""
Ints: TypeAlias = npt.NDArray[np.intp]
Floats: TypeAlias = npt.NDArray[np.float64]
Sparse: TypeAlias = "sparse.csr_array[np.float64, tuple[int, int]]"

MIN_SHARE = 0.5
MIN_LEAD = 0.25

PERSONAL_FIELDS = frozenset({"birthday", "first_name", "middle_name", "name", "political", "religion"})
"""Fields that never make a group: they say who one person is, or what nobody should be sorted by."""
UNNAMED_FIELDS = PERSONAL_FIELDS | {"gender", "locale"}
"""Fields that never name a circle."""

_FIELDS = {
    "last_name": ("last name", "姓氏"),
    "employer": ("employer", "单位"),
    "position": ("position", "职位"),
    "school": ("school", "学校"),
    "concentration": ("concentration", "专业"),
    "school_year": ("school year", "届别"),
    "hometown": ("hometown", "家乡"),
    "location": ("location", "所在地"),
    "language": ("language", "语言"),
    "locale": ("locale", "地区"),
    "gender": ("gender", "性别"),
}
"""What people call a field. Of two fields in one name, the first here comes first."""
_PRIORITY = {field: place for place, field in enumerate(_FIELDS)}
_PHRASES = {
    "hometown": ("from {}", "来自{}"),
    "location": ("living in {}", "现居{}"),
    "school": ("{}", "{}"),
    "school_year": ("school year {}", "{}届"),
    "concentration": ("{}", "{}"),
    "employer": ("{}", "{}"),
    "language": ("speaking {}", "说{}"),
    "position": ("{}", "{}"),
}
_YEARS = range(1900, 2101)
_MAX_LEADERS = 4
_MAX_TRIED = 4


class CircleName(NamedTuple):
    """A circle's name, and whether it names or counts members, so that it has to change with them."""

    en: str
    zh: str
    lists_people: bool


class _Shared(NamedTuple):
    """Up to two attributes that set a group apart, and how well they do."""

    lead: float
    attributes: tuple[Attribute, ...]


def display_name(network: EgoNetwork, friend: str) -> str:
    """Return what to call a friend: the profile's ``name``, or the id if there is none or it is but a number (anonymised).

    >>> from privwiz.graphs import build_ego_network
    >>> network = build_ego_network("me", ["u1", "u2"], [], {"u1": {"name": "Ann"}})
    >>> display_name(network, "u1"), display_name(network, "u2")
    ('Ann', 'u2')

    Raises
    ------
    UnknownFriend
        If there is no such friend.
    """
    names = network.profiles[network.friends[network.index(friend)]].get("name", ())
    return names[0] if names and not names[0].isdecimal() else friend


def field_text(field: str, language: str = "en") -> str:
    """Return what people call a profile field.

    >>> field_text("last_name"), field_text("school", "zh"), field_text("chess_club")
    ('last name', '学校', 'chess club')

    Raises
    ------
    DataError
        If the language is not known.
    """
    known = _FIELDS.get(field)
    return known[LANGUAGES.index(check_language(language))] if known else field.replace("_", " ")


def attribute_text(field: str, value: str, language: str = "en") -> str:
    """Say one attribute in few words; the field is named where the value alone would not be understood.

    >>> attribute_text("school", "Peking University"), attribute_text("hometown", "Berlin"), attribute_text("school", "538")
    ('Peking University', 'from Berlin', 'school 538')
    >>> attribute_text("school_year", "2009", "zh"), attribute_text("school", "538", "zh"), attribute_text("chess_club", "true")
    ('2009届', '学校 538', 'chess club true')

    Raises
    ------
    DataError
        If the language is not known.
    """
    label = field_text(field, language)
    if field in _PHRASES and (_is_year(field, value) or not value.isdecimal()):
        return _PHRASES[field][LANGUAGES.index(language)].format(value)
    return f"{label} {value}"


def attribute_holders(network: EgoNetwork, *, at_least: int = 1) -> dict[Attribute, list[int]]:
    """Return for each attribute that at least ``at_least`` friends have, sorted, the positions of these friends, ascending.

    >>> from privwiz.graphs import build_ego_network
    >>> network = build_ego_network("me", ["u1", "u2"], [], {"u1": {"school": "PKU"}, "u2": {"school": ["MIT", "PKU"]}})
    >>> attribute_holders(network)
    {('school', 'MIT'): [1], ('school', 'PKU'): [0, 1]}
    """
    names, friend, name = network.attributes
    count = np.bincount(name, minlength=len(names))
    holders, end = friend[np.argsort(name, kind="stable")].tolist(), np.cumsum(count).tolist()
    frequent = sorted((names[k], k) for k in np.flatnonzero(count >= at_least).tolist())
    return {key: holders[end[k] - count[k] : end[k]] for key, k in frequent}


def circle_names(network: EgoNetwork, groups: Sequence[Ints], taken: Collection[CircleName] = ()) -> tuple[CircleName, ...]:
    """Name groups of friends by what most members share and others do not; else by their best-connected members.

    An attribute qualifies if more than half of all members have it (whoever did not fill in the field counts as not having it)
    and its share among the members is at least .25 above its share among everybody else. The one with the largest such lead
    names the group, together with a second one, of another field, if more than half of the members have both and the lead of
    both is no smaller. Gender, locale, what `PERSONAL_FIELDS` lists, and numbers in fields of unknown meaning name no circle.

    Two groups get the same name only if they have the same members. Where one name would fit several, the group with the largest
    lead keeps the plain one and the others name their best-connected members too.

    Parameters
    ----------
    network : EgoNetwork
        Has the profiles and the ties.
    groups : sequence of int arrays
        Positions of the members, ascending; none is empty.
    taken : collection of CircleName
        Names that are in use and must not be given again.

    Examples
    --------
    >>> from privwiz.graphs import build_ego_network
    >>> school = {"school": "Peking University", "school_year": 2009}
    >>> ties = [("a", "b"), ("b", "c"), ("d", "e"), ("d", "f"), ("d", "g")]
    >>> network = build_ego_network("me", "abcdefg", ties, dict.fromkeys("abc", school))
    >>> for name in circle_names(network, [np.array([0, 1, 2]), np.array([3, 4, 5, 6])]):
    ...     print(name.en, "|", name.zh)
    Peking University, 2009 | Peking University，2009届
    Circle of d, e and 2 others | d、e等4人的圈子
    """
    keys = [np.asarray(group, dtype=np.intp).tobytes() for group in groups]
    members = {key: np.frombuffer(key, dtype=np.intp) for key in keys}
    member = _membership(list(members.values()), network.n)
    shared = dict(zip(members, _shared(network, member), strict=True))
    strength = dict(zip(members, (member @ network.adjacency).toarray(), strict=True))
    people = [display_name(network, friend) for friend in network.friends]
    used = {text for name in taken for text in (name.en, name.zh)}
    names: dict[bytes, CircleName] = {}
    for key in sorted(members, key=lambda key: -shared[key].lead):
        best_connected = members[key][np.argsort(-strength[key][members[key]], kind="stable")].tolist()
        candidates = _candidates(shared[key].attributes, [people[i] for i in best_connected])
        names[key] = next(name for name in candidates if name.en not in used and name.zh not in used)
        used |= {names[key].en, names[key].zh}
    return tuple(names[key] for key in keys)


def _membership(members: Sequence[Ints], n: int) -> Sparse:
    indptr = np.cumsum([0, *(len(group) for group in members)])
    indices = np.concatenate([np.empty(0, dtype=np.intp), *members])
    return sparse.csr_array((np.ones(len(indices)), indices, indptr), shape=(len(members), n))


def _shared(network: EgoNetwork, member: Sparse) -> Iterator[_Shared]:
    """Yield for each row of ``member`` what sets its friends apart."""
    holders = {key: friends for key, friends in attribute_holders(network, at_least=2).items() if _names_circles(*key)}
    if not holders:
        yield from repeat(_Shared(0.0, ()), len(member.indptr) - 1)
        return
    keys = list(holders)
    has = _membership([np.array(friends, dtype=np.intp) for friends in holders.values()], network.n)
    dense = has.toarray() > 0
    sizes = np.diff(member.indptr)
    leads = _lead((member @ has.T).toarray(), np.diff(has.indptr), sizes[:, None], network.n)
    ranked = np.argsort(-leads, axis=1, kind="stable")[:, :_MAX_TRIED].tolist()
    for g, best in enumerate(ranked):
        usable = [a for a in best if leads[g, a] >= MIN_LEAD]
        if not usable:
            yield _Shared(0.0, ())
            continue
        first, lead = keys[usable[0]], float(leads[g, usable[0]])
        attributes: tuple[Attribute, ...] = (first,)
        others = [a for a in usable[1:] if keys[a][0] != first[0]]
        if others:
            both = dense[others] & dense[usable[0]]
            inside = both[:, member.indices[member.indptr[g] : member.indptr[g + 1]]].sum(axis=1)
            joint = _lead(inside, both.sum(axis=1), sizes[g], network.n)
            if joint.max() >= lead:
                second, lead = keys[others[joint.argmax()]], float(joint.max())
                attributes = tuple(sorted((first, second), key=lambda key: _PRIORITY.get(key[0], len(_PRIORITY))))
        yield _Shared(lead, attributes)


def _lead(inside: npt.ArrayLike, total: npt.ArrayLike, size: npt.ArrayLike, n: int) -> Floats:
    """Share of a group's members who have an attribute less its share among the others; 0 unless most members have it."""
    inside, total, size = np.asarray(inside), np.asarray(total), np.asarray(size)
    share = inside / size
    lead: Floats = np.where(share > MIN_SHARE, share - (total - inside) / np.maximum(n - size, 1), 0.0)
    return lead


def _candidates(attributes: Sequence[Attribute], people: Sequence[str]) -> Iterator[CircleName]:
    """Yield names for a group, the best first, without end; ``people`` are its members, the best-connected first."""
    en, zh = (_phrase(attributes, language) for language in LANGUAGES)
    if attributes:
        yield CircleName(en, zh, lists_people=False)
    name = CircleName("", "", lists_people=True)
    for limit in range(2, max(3, min(len(people), _MAX_LEADERS + 1))):
        en_people, zh_people = (join_names(people, language, limit=limit) for language in LANGUAGES)
        if attributes:
            name = CircleName(f"{en}: {en_people}", f"{zh}：{zh_people}", lists_people=True)
        else:
            name = CircleName(f"Circle of {en_people}", f"{zh_people}的圈子", lists_people=True)
        yield name
    for number in count(2):
        yield CircleName(f"{name.en} ({number})", f"{name.zh}（{number}）", lists_people=True)


def _phrase(attributes: Sequence[Attribute], language: str) -> str:
    """Say what a group shares. Our own words start with a capital; values are left as their owners write them."""
    parts = [attribute_text(*attribute, language) for attribute in attributes]
    if len(attributes) > 1 and _is_year(*attributes[1]) and language == "en":
        parts[1] = attributes[1][1]
    text = ("，" if language == "zh" else ", ").join(parts)
    return text if not attributes or text.startswith(attributes[0][1]) else text[0].upper() + text[1:]


def _names_circles(field: str, value: str) -> bool:
    """Whether people understand this attribute as a name: a mere number means something only in a field that they know."""
    return field not in UNNAMED_FIELDS and (field in _FIELDS or not value.isdecimal())


def _is_year(field: str, value: str) -> bool:
    return field == "school_year" and value.isdecimal() and int(value) in _YEARS

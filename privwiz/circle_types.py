"""Types of circles: what a circle is to its user, told from what its members have in common."""

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import IntEnum

__all__ = ["TELLING_FIELDS", "CircleType", "circle_type"]

TELLING_FIELDS = ("school", "hometown", "location", "employer", "last_name")
"""The profile fields that tell the type of a circle."""

# A value tells something when at least this share of the members has it, and at least two do.
_LEAST_SHARE = {"school": 0.35, "hometown": 0.35, "location": 0.35, "employer": 0.2, "last_name": 0.2}


class CircleType(IntEnum):
    """What a circle can be to its user; ``CLOSE`` is a dense circle without a common attribute."""

    FAMILY = 0
    CLOSE = 1
    SCHOOL = 2
    WORK = 3
    PLACE = 4
    OTHER = 5


def circle_type(members: Sequence[int], values: Mapping[str, Sequence[Sequence[str]]], density: float) -> CircleType:
    """Return the type of a circle: that of the attribute its members share more than the rest does, else by its density.

    Parameters
    ----------
    members : sequence of int
        Positions of the friends in the circle, ascending, at least one.
    values : mapping of str to sequence, length n
        For each of `TELLING_FIELDS`, the values of every friend.
    density : float
        Share of the pairs of members who are tied.

    Examples
    --------
    >>> values = dict.fromkeys(TELLING_FIELDS, [()] * 4) | {"employer": [("Books",), ("Books",), (), ("Bank",)]}
    >>> circle_type([0, 1], values, density=1.0).name
    'WORK'
    """
    more = {field: _more_common(members, values[field], _LEAST_SHARE[field]) for field in TELLING_FIELDS}
    place = max(more["hometown"], more["location"])
    if more["last_name"] > 0.15:
        return CircleType.FAMILY
    if more["employer"] > 0.15:
        return CircleType.WORK
    if more["school"] > 0.25 and more["school"] >= place:
        return CircleType.SCHOOL
    if place > 0.25:
        return CircleType.PLACE
    return CircleType.CLOSE if density > 0.5 else CircleType.OTHER


def _more_common(members: Sequence[int], values: Sequence[Sequence[str]], least_share: float) -> float:
    """Return the share of members with their commonest value minus its share in the rest; 0 if too few have it."""
    count = Counter(value for member in members for value in values[member])
    if not count:
        return 0.0
    commonest, inside = count.most_common(1)[0]
    share = inside / len(members)
    if share < least_share or inside < 2:
        return 0.0
    rest = len(values) - len(members)
    outside = sum(commonest in of_friend for of_friend in values) - inside
    return share - (outside / rest if rest else 0.0)

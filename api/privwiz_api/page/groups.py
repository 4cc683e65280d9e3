"""The circles that the page speaks of: one level of them, so that everybody is in one at most, and the friends in none."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from privwiz.circles import Circle, Circles
from privwiz_api.page.names import LONGEST_TITLE, readable

__all__ = ["OTHERS", "Group", "Place", "any_group", "find_group", "find_place", "shown_circles", "shown_groups", "shown_level"]

OTHERS = ""
"""Id of the group of friends who are in no circle."""

_MOST = 20
_BEST = 9
_TONES = 8


@dataclass(frozen=True, slots=True)
class Group:
    """A circle as the page shows it.

    Parameters
    ----------
    id : str
        Of the circle; `OTHERS` for the friends in none.
    name : str
        Empty for the friends in none.
    tone : str
        Its colour, a class of the style sheet.
    members : tuple of str
    """

    id: str
    name: str
    tone: str
    members: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.members)


@dataclass(frozen=True, slots=True)
class Place:
    """Where friends are among the circles of the page.

    Parameters
    ----------
    number : int
        Of the circle, from 1.
    tone : str
        Its colour.
    share : str
        ``"same"`` if they are that circle, ``"part"`` if they are a part of it, ``"most"`` if more than half of them are in it.
    """

    number: int
    tone: str
    share: str


def shown_level(circles: Circles) -> int:
    """Return the level with about nine circles, of which people keep track; the finer of two that are equally near to that.

    Circles that the user has dismissed count too: the others stay where they are.
    """
    return min(reversed(range(len(circles.resolutions))), key=lambda k: abs(len(circles.communities(k)) - _BEST))


def shown_circles(circles: Circles) -> tuple[Circle, ...]:
    """Return the largest circles of the shown level."""
    return circles.level(shown_level(circles))[:_MOST]


def shown_groups(circles: Circles, language: str) -> tuple[Group, ...]:
    """Return the largest circles of the shown level, then, if there are any, the other friends."""
    level = shown_circles(circles)
    groups = [
        Group(circle.id, readable(circle.text(language), LONGEST_TITLE), f"t{k % _TONES}", circle.members)
        for k, circle in enumerate(level)
    ]
    inside = {friend for circle in level for friend in circle.members}
    others = tuple(friend for friend in circles.friends if friend not in inside)
    return (*groups, *[Group(OTHERS, "", "tx", others)] * bool(others))


def find_group(groups: tuple[Group, ...], circle: str) -> Group | None:
    """Return the group of this id."""
    known: Mapping[str, Group] = {group.id: group for group in groups}
    return known.get(circle)


def find_place(groups: Sequence[Group], friends: Collection[str]) -> Place | None:
    """Return the circle, of those that the page speaks of, that more than half of some friends are in."""
    for number, group in enumerate(groups, start=1):
        inside = len(set(friends).intersection(group.members))
        if group.id and 2 * inside > len(friends):
            return Place(number, group.tone, "most" if inside < len(friends) else "part" if inside < len(group) else "same")
    return None


def any_group(circles: Circles, groups: tuple[Group, ...], circle: str, language: str) -> Group | None:
    """Return the circle of this id, on whatever level, in the colour of the group that most of its members are in."""
    found = next((known for known in circles if known.id == circle), None)
    if found is None:
        return None
    nearest = max(groups, key=lambda group: len(set(group.members).intersection(found.members)))
    return Group(found.id, readable(found.text(language), LONGEST_TITLE), nearest.tone, found.members)

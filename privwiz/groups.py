"""Groups to ask about: circles, friends who have something in common with the user, close and distant friends."""

import numpy as np

from privwiz.circles import MIN_SIZE, Circle, Circles, alike, attribute_circles
from privwiz.graphs import EgoNetwork
from privwiz.naming import UNNAMED_FIELDS
from privwiz.screens import NEARLY_ALL

__all__ = ["askable_groups", "shared_groups", "tie_groups"]

_MOST_CIRCLES = 45
_MOST_SHARED = 12
_CLOSEST = (0.1, 0.3, 0.5)
_MOST_DISTANT = (0.15, 0.3)


def askable_groups(network: EgoNetwork, circles: Circles) -> tuple[Circle, ...]:
    """Return what a screen may be about, each group of people once: the 45 largest circles, `shared_groups`, `tie_groups`.

    No group has more than `privwiz.screens.NEARLY_ALL` of all friends: that is the audience. None is nearly the same people as a
    circle that the user has dismissed, unless the user has corrected it.

    Parameters
    ----------
    network : EgoNetwork
    circles : Circles
        Of this network.
    """
    found = sorted(circles.distinct(), key=lambda circle: -len(circle))
    fitting = [circle for circle in found if len(circle) <= NEARLY_ALL * network.n][:_MOST_CIRCLES]
    groups: dict[tuple[str, ...], Circle] = {}
    for group in (*fitting, *shared_groups(network), *tie_groups(network)):
        if group.corrected or not any(alike(group.members, circle.members) for circle in circles.dismissed):
            groups.setdefault(group.members, group)
    return tuple(groups.values())


def shared_groups(network: EgoNetwork) -> tuple[Circle, ...]:
    """Return the friends who have an attribute in common with the user: the 12 largest of `attribute_circles` that fit.

    Gender and locale make no group, nor does what `privwiz.naming.PERSONAL_FIELDS` lists.

    Examples
    --------
    >>> from privwiz.graphs import build_ego_network
    >>> profiles = {friend: {"school": "PKU" if friend < "d" else "MIT"} for friend in "abcdef"}
    >>> network = build_ego_network("me", "abcdef", [], profiles, {"school": "PKU"})
    >>> [(group.name, group.members) for group in shared_groups(network)]
    [('All with school PKU', ('a', 'b', 'c'))]
    """
    own = {(field, value) for field, values in network.ego_profile.items() if field not in UNNAMED_FIELDS for value in values}
    return attribute_circles(network, own)[:_MOST_SHARED]


def tie_groups(network: EgoNetwork) -> tuple[Circle, ...]:
    """Return the friends with most and with fewest mutual friends: about the first 10, 30, 50 % and the last 15 and 30 %.

    Friends with equally many stand or fall together. Their names count the members.

    Examples
    --------
    >>> import networkx as nx
    >>> from privwiz.graphs import ego_network
    >>> for group in tie_groups(ego_network(nx.karate_club_graph(), 0)):
    ...     print(group.name)
    The 3 friends with most mutual friends
    The 5 friends with most mutual friends
    The 9 friends with most mutual friends
    The 7 friends with fewest mutual friends
    """
    degree = network.degree
    groups = {}
    for share in _CLOSEST if network.n else ():
        members = np.flatnonzero(degree >= max(1, np.quantile(degree, 1 - share, method="higher")))
        groups[tuple(members.tolist())] = ("most", "最多")
    for share in _MOST_DISTANT if network.n else ():
        members = np.flatnonzero(degree <= np.quantile(degree, share, method="lower"))
        groups.setdefault(tuple(members.tolist()), ("fewest", "最少"))
    return tuple(
        Circle(
            f"t:{en}-{len(members)}",
            -1,
            tuple(network.friends[i] for i in members),
            f"The {len(members)} friends with {en} mutual friends",
            f"共同好友{zh}的{len(members)}位好友",
            lists_people=True,
        )
        for members, (en, zh) in groups.items()
        if MIN_SIZE <= len(members) <= NEARLY_ALL * network.n
    )

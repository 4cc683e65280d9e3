"""Succession: what of the circles of a network as it was goes on in the network as it is."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from privwiz.communities import MIN_SIZE, Labels, best_community, canonical_labels, community_members, join_alike, match_groups
from privwiz.graphs import EgoNetwork

if TYPE_CHECKING:
    from privwiz.circles import Circle, Circles

__all__ = ["corrected_groups", "keep_corrections", "start_from", "still_dismissed"]


def start_from(network: EgoNetwork, resolutions: Sequence[float], previous: "Circles") -> Labels:
    """Each friend's community in ``previous``; who or whatever level is new starts alone."""
    start = np.tile(-1 - np.arange(network.n, dtype=np.int32), (len(resolutions), 1))
    position = {friend: i for i, friend in enumerate(previous.friends)}
    pairs = [(i, position[friend]) for i, friend in enumerate(network.friends) if friend in position]
    here, there = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    for k, gamma in enumerate(resolutions):
        if gamma in previous.resolutions:
            start[k, here] = previous.labels[previous.resolutions.index(gamma), there]
    return start


def keep_corrections(
    network: EgoNetwork, resolutions: Sequence[float], found: Labels, previous: "Circles"
) -> tuple[Labels, list[dict[int, "Circle"]]]:
    """Put the circles that the user has corrected in the place of what was found.

    Return the communities that result, and for each level which of them continues which old circle.
    """
    n, here = network.n, set(network.friends)
    labels = found.copy()
    kept: list[dict[int, Circle]] = [{} for _ in resolutions]
    for number, circle in enumerate((circle for circle in previous if circle.corrected), start=2 * n):
        gamma, members = (
            previous.resolutions[circle.level],
            [network.index(friend) for friend in circle.members if friend in here],
        )
        if gamma in resolutions and members:
            kept[resolutions.index(gamma)][number] = circle
            labels[resolutions.index(gamma), members] = number
    if groups := corrected_groups(kept):
        for i in (network.index(friend) for friend in network.friends if friend not in set(previous.friends)):
            for level, gamma in zip(labels, resolutions, strict=True):
                community = best_community(network, i, level, gamma)
                level[i] = community if community >= 2 * n else level[i]
            join_alike(labels, i, groups, n + i)
    numbered = np.array([canonical_labels(level) for level in labels], dtype=np.int32).reshape(labels.shape)
    successors = [
        {int(number[level == raw][0]): circle for raw, circle in old.items()}
        for level, number, old in zip(labels, numbered, kept, strict=True)
    ]
    for taken, others in zip(successors, _successors(network, resolutions, numbered, successors, previous), strict=True):
        taken.update(others)
    return numbered, successors


def corrected_groups(kept: Sequence[Mapping[int, "Circle"]]) -> list[dict[int, int]]:
    """Return for each group of people that the user has corrected its community on each level where it stands.

    ``kept`` says for each level which community is which circle. Groups on a coarse level come first.
    """
    groups: dict[tuple[str, ...], dict[int, int]] = {}
    for k, level in enumerate(kept):
        for community, circle in level.items():
            if circle.corrected:
                groups.setdefault(circle.members, {})[k] = community
    return list(groups.values())


def still_dismissed(network: EgoNetwork, resolutions: Sequence[float], previous: "Circles") -> tuple["Circle", ...]:
    """Return the dismissed circles, less the friends who are gone, on the levels of today."""
    here = set(network.friends)
    return tuple(
        replace(circle, level=resolutions.index(gamma), members=tuple(friend for friend in circle.members if friend in here))
        for circle in previous.dismissed
        if (gamma := previous.resolutions[circle.level]) in resolutions and len(here.intersection(circle.members)) >= MIN_SIZE
    )


def _successors(
    network: EgoNetwork, resolutions: Sequence[float], labels: Labels, taken: Sequence[Collection[int]], previous: "Circles"
) -> list[dict[int, "Circle"]]:
    """Return for each level which of its communities, but those ``taken``, continues which old circle."""
    position = {friend: i for i, friend in enumerate(dict.fromkeys((*network.friends, *previous.friends)))}
    nobody = np.zeros(0, np.intp)
    successors = []
    for gamma, level, corrected in zip(resolutions, labels, taken, strict=True):
        old = previous.level(previous.resolutions.index(gamma)) if gamma in previous.resolutions else ()
        members = [np.array([position[friend] for friend in circle.members]) for circle in old]
        new = [nobody if c in corrected else group for c, group in enumerate(community_members(level))]
        pairs = match_groups(members, new, len(position))
        successors.append({number: old[k] for number, k in pairs.items()})
    return successors

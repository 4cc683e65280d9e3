"""What the tables hold as documents: networks with their circles, entries of the log, catalogues, decisions; compressed JSON."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from privwiz.answers import Answer, Entry
from privwiz.circles import Circles, assign_friend, find_circles
from privwiz.corrections import Correction, apply_corrections
from privwiz.decisions import Decision
from privwiz.graphs import EgoNetwork, build_ego_network
from privwiz.items import CATALOGUE, ProfileItem

__all__ = [
    "Catalogue",
    "StoredNetwork",
    "document_of",
    "merge_patch",
    "network_of",
    "pack",
    "read_decisions",
    "read_entry",
    "unpack",
    "with_ties_of_friends",
    "write_decisions",
    "write_entry",
]

NetworkDocument = Mapping[str, Any]
"""``{"friends": {id: {"profile": ..., "weight": ...}}, "ties": [[a, b], [a, c, 2.5]], "profile": {...}}``, as it is sent."""


def pack(document: object) -> bytes:
    """Write a document as compressed JSON."""
    return zlib.compress(json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(), 3)


def unpack(data: bytes) -> Any:
    """Read what `pack` wrote."""
    return json.loads(zlib.decompress(data))


def network_of(user: str, document: NetworkDocument) -> EgoNetwork:
    """Build the network that a document describes; raises the errors of `build_ego_network`."""
    friends: Mapping[str, Any] = document["friends"]
    weights = {friend: said["weight"] for friend, said in friends.items() if said.get("weight") is not None}
    return build_ego_network(
        user,
        friends,
        [tuple(tie) for tie in document["ties"]],
        {friend: said.get("profile") or {} for friend, said in friends.items()},
        document.get("profile") or {},
        weights or None,
    )


def document_of(network: EgoNetwork) -> dict[str, Any]:
    """Describe a network as the service takes it."""
    weights = network.ego_weights
    friends = {
        friend: {"profile": _lists(network.profiles[friend]), "weight": None if weights is None else float(weights[k])}
        for k, friend in enumerate(network.friends)
    }
    rows = np.repeat(np.arange(network.n), network.degree)
    once = rows < network.indices
    columns: list[list[Any]] = [[network.friends[k] for k in end[once].tolist()] for end in (rows, network.indices)]
    if network.weights is not None:
        columns.append(network.weights[once].tolist())
    ties = [list(tie) for tie in zip(*columns, strict=True)]
    return {"friends": friends, "ties": ties, "profile": _lists(network.ego_profile)}


def _lists(profile: Any) -> dict[str, list[str]]:
    return {field: list(values) for field, values in profile.items()}


def merge_patch(document: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396).

    >>> merge_patch({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": None}, "d": [2]})
    {'a': {'c': 2}, 'd': [2]}
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


@dataclass(frozen=True, eq=False)
class StoredNetwork:
    """A network, the circles found in it, and since when each friend is one.

    The circles are kept although they were computed: their ids depend on the order in which friends came and went, and the
    user's corrections refer to them, and are kept with them.

    Parameters
    ----------
    document : mapping
    network : EgoNetwork
    circles : Circles
    since : mapping of str to int
        Friend -> the revision with which the friend came. What was accepted before is not of this friend.
    """

    document: NetworkDocument
    network: EgoNetwork
    circles: Circles
    since: Mapping[str, int]

    @classmethod
    def of(cls, user: str, document: NetworkDocument, revision: int, before: "StoredNetwork | None" = None) -> "StoredNetwork":
        """Take in a whole network that comes with a revision."""
        network = network_of(user, document)
        circles = find_circles(network, previous=None if before is None else before.circles)
        known = {} if before is None else before.since
        return cls(document, network, circles, {friend: known.get(friend, revision) for friend in network.friends})

    def with_friend(
        self, friend: str, ties: Mapping[str, float] | list[str], profile: Mapping[str, Any], weight: float | None, revision: int
    ) -> "StoredNetwork":
        """Take in one friend more, who comes with a revision."""
        network = self.network.with_friend(friend, ties, profile, weight)
        added = [[friend, *tie] for tie in (ties.items() if isinstance(ties, Mapping) else ((other,) for other in ties))]
        document = {
            **self.document,
            "friends": {**self.document["friends"], friend: {"profile": dict(profile), "weight": weight}},
            "ties": [*self.document["ties"], *added],
        }
        return StoredNetwork(document, network, assign_friend(self.circles, network, friend), {**self.since, friend: revision})

    def corrected(self, correction: Correction) -> "StoredNetwork":
        """Correct a circle; the circles keep it as friends come and go."""
        return replace(self, circles=apply_corrections(self.circles, self.network, [correction]))

    def without_friend(self, friend: str) -> "StoredNetwork":
        """Leave one friend out."""
        network = self.network.without_friend(friend)
        document = {
            **self.document,
            "friends": {other: said for other, said in self.document["friends"].items() if other != friend},
            "ties": [tie for tie in self.document["ties"] if friend not in tie[:2]],
        }
        circles = find_circles(network, previous=self.circles)
        return StoredNetwork(document, network, circles, {other: came for other, came in self.since.items() if other != friend})

    def write(self) -> bytes:
        """Write it for the table."""
        return pack({"network": self.document, "circles": self.circles.to_dict(), "since": self.since})

    @classmethod
    def read(cls, user: str, data: bytes) -> "StoredNetwork":
        """Read what `write` wrote."""
        stored = unpack(data)
        network = network_of(user, stored["network"])
        return cls(stored["network"], network, Circles.from_dict(stored["circles"], network), stored["since"])


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What there is to protect, and since when each item is there.

    Parameters
    ----------
    revision : int
        Counts how often the tenant replaced it; 0 for the library's own.
    items : tuple of ProfileItem
    since : mapping of str to int
        Item -> the revision with which the item came. What was accepted before is not of this item.
    """

    revision: int
    items: tuple[ProfileItem, ...]
    since: Mapping[str, int]

    def replaced(self, items: tuple[ProfileItem, ...]) -> "Catalogue":
        """Return the next catalogue, of these items."""
        revision = self.revision + 1
        return Catalogue(revision, items, {item.id: self.since.get(item.id, revision) for item in items})

    def write(self) -> bytes:
        """Write it for the table."""
        return pack({"items": [asdict(item) for item in self.items], "since": self.since})

    @classmethod
    def read(cls, revision: int, data: bytes | None) -> "Catalogue":
        """Read what `write` wrote; without any, the catalogue is the library's."""
        if data is None:
            return cls(0, CATALOGUE, {item.id: 0 for item in CATALOGUE})
        stored = unpack(data)
        return cls(revision, tuple(ProfileItem(**item) for item in stored["items"]), stored["since"])


def write_entry(entry: Entry) -> bytes:
    """Write one entry of the log; each group of friends is listed once, however many answers are about it."""
    groups: dict[tuple[str, ...], int] = {}
    for answer in entry.answers:
        groups.setdefault(answer.friends, len(groups))
    rows = [[answer.item, groups[answer.friends], answer.value, answer.each] for answer in entry.answers]
    return pack({"kind": entry.kind, "groups": list(groups), "answers": rows})


def read_entry(data: bytes) -> Entry:
    """Read what `write_entry` wrote."""
    stored = unpack(data)
    groups = [tuple(group) for group in stored["groups"]]
    return Entry(
        stored["kind"], tuple(Answer(item, groups[group], value, each) for item, group, value, each in stored["answers"])
    )


def write_decisions(decisions: Mapping[tuple[str, str], Decision]) -> bytes:
    """Write a table of decisions."""
    rows: dict[str, dict[str, list[str]]] = {}
    for (item, friend), decision in decisions.items():
        rows.setdefault(item, {}).setdefault(decision.value, []).append(friend)
    return pack(rows)


def read_decisions(data: bytes) -> dict[tuple[str, str], Decision]:
    """Read what `write_decisions` wrote."""
    return {
        (item, friend): Decision(decision)
        for item, row in unpack(data).items()
        for decision, friends in row.items()
        for friend in friends
    }


def with_ties_of_friends(document: NetworkDocument) -> NetworkDocument:
    """Leave out the ties of people who are not among the friends."""
    friends = document["friends"]
    return {**document, "ties": [tie for tie in document["ties"] if tie[0] in friends and tie[1] in friends]}

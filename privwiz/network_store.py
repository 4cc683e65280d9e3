"""A whole social network in files that worker processes map: who is tied to whom, profiles, and what users answered."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from privwiz.graphs import EgoNetwork
from privwiz.profiles import Profile
from privwiz.vocabulary import Vocabulary

__all__ = ["NetworkStore", "Said", "stated_weights"]

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, order=True)
class Said:
    """One row of the answers of a user.

    Parameters
    ----------
    item, friend, decision : str
        As the table has them.
    line : int
        Where it stands in the table; 0 where the engine does not know.
    """

    item: str
    friend: str
    decision: str
    line: int = 0


@dataclass(frozen=True, eq=False)
class NetworkStore:
    """A social network in a folder, mapped; people are numbered in the order of their ids.

    Parameters
    ----------
    folder : Path
        As `privwiz.store_builder.build_store` filled it.
    """

    folder: Path

    @cached_property
    def people(self) -> Vocabulary:
        """Ids of all people."""
        return Vocabulary.open(self.folder / "people.arrow")

    @cached_property
    def texts(self) -> Vocabulary:
        """Values of profiles, items and decisions."""
        return Vocabulary.open(self.folder / "texts.arrow")

    @cached_property
    def weighted(self) -> bool:
        """Whether any tie states a weight."""
        return (self.folder / "weights.npy").exists()

    def friends(self, person: int) -> npt.NDArray[np.uint32]:
        """Return the numbers of the friends of person number ``person``, ascending."""
        start, end = self._starts("ties")[person : person + 2]
        friends: npt.NDArray[np.uint32] = self._array("ties")[start:end]
        return friends

    def degree(self, person: int) -> int:
        """Return how many friends person number ``person`` has."""
        start, end = self._starts("ties")[person : person + 2]
        return int(end - start)

    def new_friends(self, person: int) -> list[str]:
        """Return the ids of those to whom the table of new ties ties person number ``person``."""
        start, end = self._starts("new")[person : person + 2]
        return self.people.some(self._array("new")[start:end])

    def newly_tied(self) -> npt.NDArray[np.intp]:
        """Return the numbers of all people in the table of new ties."""
        return np.flatnonzero(np.diff(self._starts("new")))

    def ego_network(self, person: int) -> EgoNetwork:
        """Cut one ego network out; equal to what `privwiz.graphs.ego_network` takes out of the same graph."""
        starts, ties = self._starts("ties"), self._array("ties")
        friends = self.friends(person)
        n = len(friends)
        where = self._where
        where[friends] = np.arange(n, dtype=np.int32)
        try:
            bounds = list(zip(starts[friends].tolist(), starts[friends + np.uint32(1)].tolist(), strict=True))
            rows = [ties[start:end] for start, end in bounds]
            at = where[np.concatenate([*rows, friends[:0]])]
        finally:
            where[friends] = -1
        inside = at >= 0
        owner = np.repeat(np.arange(n, dtype=np.int32), [len(row) for row in rows])[inside]
        indptr = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=n))]).astype(np.int32)
        weights = ego_weights = None
        if self.weighted:
            stored = self._array("weights")
            strengths = [stored[start:end] for start, end in bounds]
            weights = stated_weights(np.concatenate([*strengths, stored[:0]])[inside])
            ego_weights = stated_weights(np.array(stored[slice(*starts[person : person + 2].tolist())]))
        ids = self.people.some(np.append(friends, np.uint32(person)))
        ego = ids.pop()
        profiles = self._profiles(np.append(friends, np.uint32(person)))
        own = profiles.pop()
        return EgoNetwork(ego, tuple(ids), indptr, at[inside], weights, dict(zip(ids, profiles, strict=True)), own, ego_weights)

    def said(self, person: int) -> tuple[Said, ...]:
        """Return what a user answered, in the order of the table."""
        start, end = self._starts("answers")[person : person + 2]
        rows = self._array("answers")[start:end]
        if not len(rows):
            return ()
        items, decisions = self.texts.some(rows["item"]), self.texts.some(rows["decision"])
        return tuple(map(Said, items, self.people.some(rows["friend"]), decisions, rows["line"].tolist()))

    def answering(self) -> npt.NDArray[np.intp]:
        """Return the numbers of all people who answered something."""
        return np.flatnonzero(np.diff(self._starts("answers")))

    @cached_property
    def _where(self) -> npt.NDArray[np.int32]:
        """Position of each person among the friends that are being looked at; -1 between two looks."""
        return np.full(len(self.people), -1, np.int32)

    @cached_property
    def _arrays(self) -> dict[str, Array]:
        return {}

    @cached_property
    def _fields(self) -> list[str]:
        fields: list[str] = json.loads((self.folder / "fields.json").read_text("utf-8"))
        return fields

    def _array(self, name: str) -> Array:
        if name not in self._arrays:
            self._arrays[name] = np.load(self.folder / f"{name}.npy", mmap_mode="r")
        return self._arrays[name]

    def _starts(self, name: str) -> Array:
        return self._array(f"{name}_starts")

    def _profiles(self, people: npt.NDArray[np.uint32]) -> list[Profile]:
        starts = self._starts("profiles")
        first, end = starts[people], starts[people + np.uint32(1)]
        stored = self._array("profiles")
        rows = np.concatenate([*(stored[a:b] for a, b in zip(first.tolist(), end.tolist(), strict=True)), stored[:0]])
        distinct, at = np.unique(rows["value"], return_inverse=True)
        texts = self.texts.some(distinct)
        fields = self._fields
        profiles: list[Profile] = []
        cells = zip(rows["field"].tolist(), at.tolist(), strict=True)
        for size in (end - first).tolist():
            profile: dict[str, tuple[str, ...]] = {}
            for _ in range(size):
                field, value = next(cells)
                name = fields[field]
                profile[name] = (*profile[name], texts[value]) if name in profile else (texts[value],)
            profiles.append(profile)
        return profiles


def stated_weights(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    """Return weights with 1 for those not stated; None if no weight is stated."""
    unstated = np.isnan(weights)
    return None if unstated.all() else np.where(unstated, 1.0, weights)

"""A whole social network in files that worker processes map: who is tied to whom, profiles, and what users answered."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from privwiz.graphs import Attributes, EgoNetwork
from privwiz.profiles import Profile
from privwiz.tables import pyarrow
from privwiz.vocabulary import Vocabulary

__all__ = ["ANSWER", "VALUE", "NetworkStore", "Said", "stated_weights"]

Array: TypeAlias = npt.NDArray[Any]


_MOST_TIES = 1 << 22
"""Of so many ties of friends those among them are picked out in one go; of more, friend by friend in little memory."""

VALUE = [("who", "<u4"), ("field", "<i4"), ("value", "<i4")]
"""The form in which one value of a profile is stored."""
ANSWER = [("who", "<u4"), ("friend", "<i4"), ("item", "<i4"), ("decision", "<i4"), ("line", "<i8")]
"""The form in which one answer is stored."""


@dataclass(frozen=True, slots=True, order=True)
class Said:
    """One row of the answers of a user.

    Parameters
    ----------
    item, friend, decision : str
        As the table has them; ``friend`` is empty where it names nobody in the graph.
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
    def fields(self) -> list[str]:
        """Names of the fields of profiles."""
        fields: list[str] = json.loads((self.folder / "fields.json").read_text("utf-8"))
        return fields

    @cached_property
    def weighted(self) -> bool:
        """Whether any tie states a weight."""
        return (self.folder / "weights.npy").exists()

    @property
    def whole(self) -> bool:
        """Whether all of it is there, as it may not be after a machine has lost its power."""
        names = ["ties", "profiles", "answers", *(["new"] if (self.folder / "new_starts.npy").exists() else [])]
        try:
            sizes = [(self._starts(name), len(self._array(name))) for name in names]
            if self.weighted:
                sizes.append((self._starts("ties"), len(self._array("weights"))))
            return all(len(starts) == len(self.people) + 1 and starts[-1] == size for starts, size in sizes)
        except (EOFError, FileNotFoundError, ValueError):
            return False

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

    def ties(self, first: int, end: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.float64] | None]:
        """Return the ties of the people from ``first`` up to, without, ``end`` to those of higher numbers: both ends, weights.

        So each tie of the network is in one such stretch, once. A weight is NaN where none is stated; None if none is anywhere.
        """
        who, rows = self._stretch("ties", first, end)
        whom = self._array("ties")[rows]
        once = who < whom
        return who[once], whom[once], self._array("weights")[rows][once] if self.weighted else None

    def profile_rows(self, first: int, end: int) -> tuple[npt.NDArray[np.int64], Array, Array]:
        """Return what the profiles of the people of a stretch say: who, and the positions in ``fields`` and in ``texts``."""
        who, rows = self._stretch("profiles", first, end)
        records = self._array("profiles")[rows]
        return who, records["field"], records["value"]

    def answer_rows(self, first: int, end: int) -> tuple[npt.NDArray[np.int64], Array]:
        """Return what the people of a stretch answered, in the order of the table: who, and the rows, in numbers."""
        who, rows = self._stretch("answers", first, end)
        return who, self._array("answers")[rows]

    def ego_network(self, person: int) -> EgoNetwork:
        """Cut one ego network out; equal to what `privwiz.graphs.ego_network` takes out of the same graph."""
        friends = self.friends(person)
        n = len(friends)
        rows, sizes = self._tie_rows(friends)
        where = self._where
        try:
            where[friends] = np.arange(n, dtype=np.int32)
            at = where.take(self._array("ties").take(rows))
        finally:  # also where memory is short: what is left there would be taken for friends of the next user
            where[friends] = -1
        inside = np.flatnonzero(at >= 0)
        indptr = np.searchsorted(inside, np.concatenate([[0], np.cumsum(sizes)])).astype(np.int32)
        weights = ego_weights = None
        if self.weighted:
            stored = self._array("weights")
            weights = stated_weights(stored.take(rows.take(inside)))
            ego_weights = stated_weights(stored[self._rows("ties", np.array([person]))[0]])
        *ids, ego = self.people.some(np.append(friends, np.uint32(person)))
        attributes, (own,) = self._attributes(friends), self._attributes(np.array([person])).profiles(1)
        network = EgoNetwork(ego, tuple(ids), indptr, at.take(inside), weights, _Profiles(ids, attributes), own, ego_weights)
        vars(network)["attributes"] = attributes  # what the network would find in the profiles, without writing these out
        return network

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

    def _array(self, name: str) -> Array:
        if name not in self._arrays:
            # A plain view of the mapped file: slices of a `numpy.memmap` cost several times more.
            self._arrays[name] = np.asarray(np.load(self.folder / f"{name}.npy", mmap_mode="r"))
        return self._arrays[name]

    def _starts(self, name: str) -> Array:
        return self._array(f"{name}_starts")

    def _stretch(self, name: str, first: int, end: int) -> tuple[npt.NDArray[np.int64], slice]:
        """Return whose each row about the people of a stretch is, and where these rows stand."""
        starts = self._starts(name)[first : end + 1]
        return np.repeat(np.arange(first, end), np.diff(starts)), slice(int(starts[0]), int(starts[-1]))

    def _rows(self, name: str, people: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return where the rows of some people stand, one person after the other, and how many rows each has."""
        return _spread(*self._extents(name, people))

    def _extents(self, name: str, people: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return where the rows of each of some people begin, and how many there are."""
        starts = self._starts(name)
        first = starts[people]
        return first, starts[people.astype(np.int64) + 1] - first

    def _tie_rows(self, friends: npt.NDArray[np.uint32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return where the ties of friends stand, as `_rows` does; where these are very many, only of ties among the friends."""
        first, sizes = self._extents("ties", friends)
        if sizes.sum() <= _MOST_TIES:
            return _spread(first, sizes)
        ties, found = self._array("ties"), []
        for start, size in zip(first.tolist(), sizes.tolist(), strict=True):
            at = np.searchsorted(ties[start : start + size], friends)
            at = at[at < size]
            found.append(start + at[ties[start + at] == friends[: len(at)]])
        return np.concatenate(found), np.array([len(rows) for rows in found])

    def _attributes(self, people: npt.NDArray[np.integer]) -> Attributes:
        """Return what the profiles of some people say."""
        rows, sizes = self._rows("profiles", people)
        cells = self._array("profiles").view("<i4").reshape(-1, len(VALUE)).take(rows, 0)
        keys = cells[:, 1].astype(np.int64) << 32 | cells[:, 2]
        encoded = pyarrow("labelling many users")[0].array(keys).dictionary_encode()  # numbered as they first come
        distinct, at = encoded.dictionary.to_numpy(), encoded.indices.to_numpy()
        fields = [self.fields[number] for number in (distinct >> 32).tolist()]
        names = zip(fields, self.texts.some(distinct & 0xFFFFFFFF), strict=True)
        return Attributes(tuple(names), np.repeat(np.arange(len(people)), sizes), at.astype(np.intp))


class _Profiles(Mapping[str, Profile]):
    """Profiles that are written out when somebody looks at them."""

    def __init__(self, friends: Sequence[str], attributes: Attributes) -> None:
        self._friends, self._said = friends, attributes

    @cached_property
    def _all(self) -> dict[str, Profile]:
        return dict(zip(self._friends, self._said.profiles(len(self._friends)), strict=True))

    def __getitem__(self, friend: str) -> Profile:
        return self._all[friend]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __reduce__(self) -> tuple[type, tuple[dict[str, Profile]]]:
        return dict, (self._all,)


def _spread(first: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the numbers of rows that begin at some places, one stretch after the other, and the size of each stretch."""
    before = np.cumsum(sizes) - sizes
    return np.arange(sizes.sum()) + np.repeat(first - before, sizes), sizes


def stated_weights(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    """Return weights with 1 for those not stated; None if no weight is stated."""
    unstated = np.isnan(weights)
    return None if unstated.all() else np.where(unstated, 1.0, weights)

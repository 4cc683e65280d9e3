"""How a `privwiz.network_store.NetworkStore` is built from tables, also from such as do not fit into memory."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError
from privwiz.files import FilePath, source_name
from privwiz.network_store import ANSWER, VALUE, NetworkStore
from privwiz.pieces import Piece, read_pieces
from privwiz.rejected import NO_PERSON, NO_USER, Rejected, RejectedRows
from privwiz.spill import Spill
from privwiz.ties import STRONGEST, WEAKEST, tie_weight
from privwiz.vocabulary import Vocabulary, distinct_texts
from privwiz.words import amount

__all__ = ["DEFAULT_MEMORY", "build_store"]

Array: TypeAlias = npt.NDArray[Any]
Say: TypeAlias = Callable[[str], None]
"""Told what is being done, for whoever waits."""

DEFAULT_MEMORY = 1 << 30
"""Bytes that building a store takes at most for ties, profiles or answers, beside the ids of all people."""

_TIE = [("who", "<u4"), ("whom", "<u4"), ("weight", "<f8")]
_BARE_TIE = _TIE[:2]


def build_store(
    folder: Path,
    edges: FilePath,
    profiles: FilePath | None,
    answers: FilePath,
    rejected: RejectedRows,
    *,
    new: FilePath | None = None,
    memory: int = DEFAULT_MEMORY,
    say: Say = lambda _: None,
) -> NetworkStore:
    """Read a network from tables; what does not fit into memory waits in files.

    Parameters
    ----------
    folder : Path
        To be filled; holds nothing yet.
    edges : path
        Table ``source, target`` and, if wanted, ``weight``, as `privwiz.readers.read_graph` understands it.
    profiles : path, optional
        Table ``user, field, value``.
    answers : path
        Table ``user, item, friend, decision``.
    rejected : RejectedRows
        Receives the rows that cannot be used.
    new : path, optional
        A table like that of the edges: ties that are added to them, and told apart.
    memory : int
        Bytes for ties, profiles or answers at a time. The ids of all people are held in memory beside.
    say : callable
        Told about each step.

    Raises
    ------
    DataError
        If a table cannot be read, or there is no tie at all.
    """
    folder.mkdir(parents=True)
    say("reading who there is")
    tables = (edges,) if new is None else (edges, new)
    people, weighted, count = _people(tables)
    if not len(people):
        raise DataError("no ties in it; give an edge list with a row for each tie", source=source_name(edges))
    people.save(folder / "people.arrow")
    say(f"{len(people):,} people, {amount(count, 'row')} of ties; sorting the ties")
    _sort_ties(folder, "ties", tables, people, rejected, weighted=weighted, count=count, memory=memory)
    if new is not None:
        with RejectedRows(Path(os.devnull)) as known:
            _sort_ties(folder, "new", (new,), people, known, weighted=False, count=count, memory=memory)
    say("sorting profiles and answers")
    texts, fields, rows = _texts(profiles, answers)
    texts.save(folder / "texts.arrow")
    (folder / "fields.json").write_text(json.dumps(fields), "utf-8")
    _sort_profiles(folder, profiles, people, texts, fields, rejected, count=rows[0], memory=memory)
    _sort_answers(folder, answers, people, texts, rejected, count=rows[1], memory=memory)
    return NetworkStore(folder)


def _people(edges: Sequence[FilePath]) -> tuple[Vocabulary, bool, int]:
    count, weighted = 0, False

    def columns() -> Iterator[tuple[Any, Any]]:
        nonlocal count, weighted
        for path in edges:
            for piece in read_pieces(path, ("source", "target"), ("weight",), "weight"):
                count += len(piece)
                weighted = weighted or bool((~np.isnan(_weights(piece)[0])).any())
                yield piece["source"], piece["target"]

    return distinct_texts(columns()), weighted, count


def _sort_ties(
    folder: Path,
    name: str,
    edges: Sequence[FilePath],
    people: Vocabulary,
    rejected: RejectedRows,
    *,
    weighted: bool,
    count: int,
    memory: int,
) -> None:
    spill = Spill(folder / "spill", _TIE if weighted else _BARE_TIE, len(people), 2 * count, memory)
    for path in edges:
        pieces = read_pieces(path, ("source", "target"), ("weight",), "weight")
        for piece, numbers in _numbered(pieces, source=people, target=people):
            one, other = numbers
            weights, wrong = _weights(piece)
            reasons = {
                "lacks an id": (one < 0) | (other < 0),
                "ties somebody to themselves": one == other,
                f"has a weight that is not a number from {WEAKEST:g} to {STRONGEST:g}": wrong,
            }
            good = _sift(piece, ("source", "target", "weight"), reasons, rejected)
            one, other, weights = one[good], other[good], weights[good]
            for who, whom in ((one, other), (other, one)):
                fields = {"who": who, "whom": whom} | ({"weight": weights} if weighted else {})
                spill.add(spill.records(**fields))
    with _Rows(folder, name, "<u4") as ties, _Rows(folder, "weights", "<f8") if weighted else nullcontext() as strengths:
        starts = [np.zeros(1, np.int64)]
        for first, end, records in spill.read():
            keys = records["who"].astype(np.uint64) << np.uint64(32) | records["whom"]
            if strengths is not None:
                order = np.argsort(keys, kind="stable")
                keys, weights = keys[order], records["weight"][order]
                begins = np.flatnonzero(np.diff(keys, prepend=keys[:1] + np.uint64(1)))
                strengths.add(_strongest(weights, begins))
                keys = keys[begins]
            else:
                keys.sort()
                keys = keys[np.diff(keys, prepend=keys[:1] + np.uint64(1)) != 0]
            ties.add((keys & np.uint64(0xFFFFFFFF)).astype("<u4"))
            degrees = np.bincount((keys >> np.uint64(32)).astype(np.int64) - first, minlength=end - first)
            starts.append(starts[-1][-1] + np.cumsum(degrees))
        np.save(folder / f"{name}_starts.npy", np.concatenate(starts))


def _strongest(weights: Array, begins: Array) -> Array:
    """Return the strongest of the repeats of each tie: unstated counts 1 beside stated ones, and is NaN among its like."""
    if not len(begins):
        return weights[:0]
    strongest = np.fmax.reduceat(weights, begins)
    return np.where(np.logical_or.reduceat(np.isnan(weights), begins), np.maximum(strongest, 1.0), strongest)


def _texts(profiles: FilePath | None, answers: FilePath) -> tuple[Vocabulary, list[str], tuple[int, int]]:
    """Return the texts of profiles and answers, the fields in order, and how many rows there are of each."""
    fields: list[Any] = []
    counts = [0, 0]

    def columns() -> Iterator[Sequence[Any]]:
        for piece in () if profiles is None else read_pieces(profiles, ("user", "field", "value")):
            counts[0] += len(piece)
            fields.append(piece["field"].unique())
            yield (piece["value"],)
        for piece in read_pieces(answers, ("user", "item", "friend", "decision")):
            counts[1] += len(piece)
            yield piece["item"], piece["decision"]

    texts = distinct_texts(columns())
    names = {name for part in fields for name in part.to_pylist()} - {""}
    return texts, sorted(names), (counts[0], counts[1])


def _sort_profiles(
    folder: Path,
    profiles: FilePath | None,
    people: Vocabulary,
    texts: Vocabulary,
    fields: list[str],
    rejected: RejectedRows,
    *,
    count: int,
    memory: int,
) -> None:
    from pyarrow import array

    names = Vocabulary(array(fields, "string"))
    spill = Spill(folder / "spill", VALUE, len(people), count, memory)
    pieces = iter(()) if profiles is None else read_pieces(profiles, ("user", "field", "value"))
    for piece, (who, field, value) in _numbered(pieces, user=people, field=names, value=texts):
        reasons = {"lacks a user or a field": _empty(piece, "user", "field"), NO_USER: who < 0}
        good = _sift(piece, ("user", "field", "value"), reasons, rejected) & (value >= 0)
        spill.add(spill.records(who=who[good], field=field[good], value=value[good]))
    _write_sorted(folder, "profiles", spill, ("who", "field", "value"), distinct=True)


def _sort_answers(
    folder: Path,
    answers: FilePath,
    people: Vocabulary,
    texts: Vocabulary,
    rejected: RejectedRows,
    *,
    count: int,
    memory: int,
) -> None:
    names = ("user", "item", "friend", "decision")
    spill = Spill(folder / "spill", ANSWER, len(people), count, memory)
    pieces = read_pieces(answers, names)
    for piece, (who, item, friend, decision) in _numbered(pieces, user=people, item=texts, friend=people, decision=texts):
        reasons = {"lacks a user": _empty(piece, "user"), NO_USER: who < 0, NO_PERSON: friend < 0}
        good = _sift(piece, names, reasons, rejected)
        # What hides something from nobody we know was meant for somebody: it stays with its user, who gets no policy for it.
        good |= (who >= 0) & (friend < 0) & ~_equal(piece, "decision", "allow")
        lines = np.array(piece.lines)
        spill.add(spill.records(who=who[good], friend=friend[good], item=item[good], decision=decision[good], line=lines[good]))
    _write_sorted(folder, "answers", spill, ("who", "line"), distinct=False)


def _write_sorted(folder: Path, name: str, spill: Spill, by: tuple[str, ...], *, distinct: bool) -> None:
    with _Rows(folder, name, spill.dtype.descr) as rows:
        starts = [np.zeros(1, np.int64)]
        for first, end, records in spill.read():
            ordered = records[np.lexsort([records[key] for key in reversed(by)])]
            if distinct and len(ordered):
                ordered = ordered[np.append([True], ordered[1:] != ordered[:-1])]
            rows.add(ordered)
            sizes = np.bincount(ordered["who"].astype(np.int64) - first, minlength=end - first)
            starts.append(starts[-1][-1] + np.cumsum(sizes))
        np.save(folder / f"{name}_starts.npy", np.concatenate(starts))


class _Rows:
    """An ``.npy`` file that grows."""

    def __init__(self, folder: Path, name: str, dtype: Any) -> None:
        self._path, self._dtype, self._count = folder / f"{name}.npy", np.dtype(dtype), 0

    def __enter__(self) -> Self:
        self._file = self._path.open("wb")
        self._head()
        return self

    def __exit__(self, *_: object) -> None:
        self._file.seek(0)
        self._head()
        self._file.close()

    def add(self, rows: Array) -> None:
        self._count += len(rows)
        self._file.write(rows.tobytes())

    def _head(self) -> None:
        """Write the head for as many rows as there are; numpy leaves room in it for more digits."""
        described = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": (self._count,)}
        np.lib.format.write_array_header_1_0(self._file, described)


def _sift(piece: Piece, names: Sequence[str], reasons: Mapping[str, Array], rejected: RejectedRows) -> npt.NDArray[np.bool_]:
    """Reject the rows that one of the reasons holds for, the first of several; return which rows are left."""
    good = np.ones(len(piece), bool)
    for reason, holds in reasons.items():
        rows = np.flatnonzero(holds & good)
        values = [piece[name].take(_indices(rows)).to_pylist() for name in names] if len(rows) else []
        for row, cells in zip(rows.tolist(), zip(*values, strict=True), strict=True):
            rejected.add(
                [Rejected.of(piece.source, piece.lines[row], reason, ["" if cell is None else str(cell) for cell in cells])]
            )
        good &= ~holds
    return good


def _numbered(pieces: Iterator[Piece], **columns: Vocabulary) -> Iterator[tuple[Piece, list[Array]]]:
    """Yield pieces with the numbers of the texts in some columns, each in its vocabulary.

    To look up takes time for the whole vocabulary besides that for the rows: as many pieces as are worth it are taken at once.
    """
    enough = max(map(len, columns.values())) // 2
    waiting: list[Piece] = []
    for piece in pieces:
        waiting.append(piece)
        if sum(map(len, waiting)) >= enough:
            yield from _looked_up(waiting, columns)
            waiting = []
    yield from _looked_up(waiting, columns)


def _looked_up(pieces: Sequence[Piece], columns: Mapping[str, Vocabulary]) -> Iterator[tuple[Piece, list[Array]]]:
    from pyarrow import chunked_array

    found: dict[str, Iterator[Array]] = {}
    for vocabulary in dict.fromkeys(columns.values()):
        names = [name for name, its in columns.items() if its is vocabulary]
        numbers = vocabulary.numbers(chunked_array([piece[name] for name in names for piece in pieces], "string"))
        sizes = [len(piece) for piece in pieces] * len(names)
        parts = np.split(numbers, np.cumsum(sizes)[:-1])
        found |= {name: iter(parts[k * len(pieces) : (k + 1) * len(pieces)]) for k, name in enumerate(names)}
    for piece in pieces:
        yield piece, [next(found[name]) for name in columns]


def _indices(rows: Array) -> Any:
    from pyarrow import array

    return array(rows)


def _empty(piece: Piece, *names: str) -> npt.NDArray[np.bool_]:
    return np.asarray(np.logical_or.reduce([_equal(piece, name, "") for name in names]))


def _equal(piece: Piece, name: str, text: str) -> npt.NDArray[np.bool_]:
    from pyarrow import compute

    found: npt.NDArray[np.bool_] = compute.equal(piece[name], text).to_numpy(zero_copy_only=False)
    return found


def _weights(piece: Piece) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return the weight of each tie, NaN where none is stated, and which of them cannot be used."""
    from pyarrow import ArrowInvalid, compute, types

    column = piece["weight"]
    if types.is_floating(column.type):
        weights = column.cast("double").to_numpy(zero_copy_only=False)
        stated = column.is_valid().to_numpy(zero_copy_only=False)
    else:
        stated = compute.not_equal(column, "").to_numpy(zero_copy_only=False)
        try:
            weights = compute.if_else(compute.equal(column, ""), "nan", column).cast("double").to_numpy()
        except ArrowInvalid:
            weights = np.array([_weight_or_zero(text) for text in column.to_pylist()])
    wrong = stated & ~((weights >= WEAKEST) & (weights <= STRONGEST))
    return np.where(stated & ~wrong, weights, np.nan), wrong


def _weight_or_zero(text: str) -> float:
    try:
        return tie_weight(text) or np.nan
    except DataError:
        return 0.0

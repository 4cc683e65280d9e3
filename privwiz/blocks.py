"""A block: the part of a social network that some users' ego networks are cut out of, put together from rows about people."""

import json
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from privwiz.network_store import ANSWER, VALUE, NetworkStore
from privwiz.vocabulary import distinct_texts

__all__ = ["build_block"]

Array: TypeAlias = npt.NDArray[Any]


def build_block(folder: Path, people: Any) -> NetworkStore:
    """Write the store of a block; what is cut out of it equals what is cut out of the store of the whole network.

    Parameters
    ----------
    folder : Path
        Empty; to be filled.
    people : pyarrow.RecordBatch
        A row for each user of the block and each friend of theirs, in any order: ``id`` (a number), ``user`` (the id as text),
        ``ties`` (ids of people, also such as are not in the block; each tie in one of its ends' rows), ``weights`` (of these, NaN
        where none is stated), ``profile`` (field and value of each entry, sorted) and ``answers`` (item, friend and decision).
    """
    said, sizes = _lists(people, "answers")
    names = distinct_texts([(people["user"], said.field("friend"))])  # answers may be about somebody who is no friend
    names.save(folder / "people.arrow")
    number, n = names.numbers(people["user"]).astype(np.int64), len(names)
    _write_ties(folder, people, number, n)
    profile, entries = _lists(people, "profile")
    texts = distinct_texts([(profile.field("value"), said.field("item"), said.field("decision"))])
    texts.save(folder / "texts.arrow")
    fields = distinct_texts([(profile.field("field"),)])
    (folder / "fields.json").write_text(json.dumps(fields.texts.to_pylist()), "utf-8")
    _write_rows(
        folder,
        "profiles",
        VALUE,
        n,
        who=np.repeat(number, entries),
        field=fields.numbers(profile.field("field")),
        value=texts.numbers(profile.field("value")),
    )
    _write_rows(
        folder,
        "answers",
        ANSWER,
        n,
        who=np.repeat(number, sizes),
        friend=names.numbers(said.field("friend")),
        item=texts.numbers(said.field("item")),
        decision=texts.numbers(said.field("decision")),
        line=np.zeros(len(said), np.int64),
    )
    return NetworkStore(folder)


def _write_ties(folder: Path, people: Any, number: npt.NDArray[np.int64], n: int) -> None:
    from pyarrow import compute

    ends, sizes = _lists(people, "ties")
    weights = _lists(people, "weights")[0].to_numpy()
    other = compute.index_in(ends, value_set=people["id"]).fill_null(-1).to_numpy(zero_copy_only=False)
    inside = other >= 0
    one, two = np.repeat(number, sizes)[inside], number[other[inside]]
    rows, cols = np.concatenate([one, two]), np.concatenate([two, one])
    order = np.argsort(rows * n + cols)
    np.save(folder / "ties.npy", cols[order].astype("<u4"))
    _write_starts(folder, "ties", rows, n)
    strengths = weights[inside]
    if not np.isnan(strengths).all():
        np.save(folder / "weights.npy", np.concatenate([strengths, strengths])[order])


def _write_rows(folder: Path, name: str, kind: list[tuple[str, str]], n: int, **columns: Array) -> None:
    """Write records, those of one person together."""
    order = np.argsort(columns["who"], kind="stable")
    rows = np.empty(len(order), kind)
    for column, values in columns.items():
        rows[column] = values[order]
    np.save(folder / f"{name}.npy", rows)
    _write_starts(folder, name, rows["who"], n)


def _write_starts(folder: Path, name: str, who: npt.NDArray[np.integer], n: int) -> None:
    np.save(folder / f"{name}_starts.npy", np.concatenate([[0], np.cumsum(np.bincount(who, minlength=n))]))


def _lists(people: Any, name: str) -> tuple[Any, npt.NDArray[np.int64]]:
    """Return all elements of a column of lists, row after row, and how many each row has."""
    from pyarrow import compute

    column = people[name]
    sizes = compute.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return column.flatten(), sizes

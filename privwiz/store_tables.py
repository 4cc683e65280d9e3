"""The tables that a `privwiz.network_store.NetworkStore` holds, written out: each row once, in the order of people's ids."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from privwiz.files import writing
from privwiz.network_store import NetworkStore
from privwiz.tables import pyarrow
from privwiz.vocabulary import Vocabulary

__all__ = ["write_store_tables"]

Columns: TypeAlias = Mapping[str, Any]

_PEOPLE = 1024


def write_store_tables(store: NetworkStore, folder: Path) -> None:
    """Write ``edges.parquet``, ``profiles.parquet`` and ``answers.parquet``; a store built from them is the same.

    Who has no tie at all is not in it. Equal networks give equal files, in whatever order their rows came.
    """
    _, pq = pyarrow("writing Parquet")
    for name, columns in _TABLES.items():
        with writing(folder / f"{name}.parquet") as file:
            writer = None
            for first in range(0, len(store.people), _PEOPLE):
                table = _table(columns(store, first, min(first + _PEOPLE, len(store.people))))
                writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
                writer.write_table(table)
            assert writer is not None, "a network has people"
            writer.close()


def _table(columns: Columns) -> Any:
    pa, _ = pyarrow("writing Parquet")
    return pa.table(columns)


def _edges(store: NetworkStore, first: int, end: int) -> Columns:
    pa, _ = pyarrow("writing Parquet")
    who, whom, weights = store.ties(first, end)
    ends = {"source": _texts(store.people, who), "target": _texts(store.people, whom)}
    return ends if weights is None else ends | {"weight": pa.array(weights, from_pandas=True)}


def _profiles(store: NetworkStore, first: int, end: int) -> Columns:
    pa, _ = pyarrow("writing Parquet")
    who, field, value = store.profile_rows(first, end)
    names = pa.array(store.fields, pa.string()).take(pa.array(field))
    return {"user": _texts(store.people, who), "field": names, "value": _texts(store.texts, value)}


def _answers(store: NetworkStore, first: int, end: int) -> Columns:
    who, said = store.answer_rows(first, end)
    return {
        "user": _texts(store.people, who),
        "item": _texts(store.texts, said["item"]),
        "friend": _texts(store.people, said["friend"]),
        "decision": _texts(store.texts, said["decision"]),
    }


def _texts(vocabulary: Vocabulary, numbers: Any) -> Any:
    return vocabulary.taken(np.ascontiguousarray(numbers))


_TABLES: Mapping[str, Callable[[NetworkStore, int, int], Columns]] = {
    "edges": _edges,
    "profiles": _profiles,
    "answers": _answers,
}

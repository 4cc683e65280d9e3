"""Policies of many users as Parquet: a row for each cell, or a row for each user and item."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from privwiz.case import Labelled
from privwiz.decisions import DECIDED
from privwiz.tables import pyarrow

__all__ = ["LAYOUTS", "Layout", "policy_table", "write_part", "write_policies"]

Layout: TypeAlias = Literal["flat", "nested"]
"""``"flat"``: a row ``user, item, friend, decision, probability`` (``reason``) for each cell. ``"nested"``: a row ``user, item,
friends, decisions, percents`` (``reasons``) for each user and item, lists over friends, probabilities as whole per cents."""
LAYOUTS: tuple[Layout, ...] = ("flat", "nested")

_CELLS = 1 << 17
"""Policies of about so many cells are held in memory together, and are a row group of a file."""


def policy_table(labelled: Sequence[Labelled], items: Sequence[str], layout: Layout, *, reasons: bool) -> Any:
    """Return the policies of some users as a pyarrow table, user by user, item by item, friend by friend.

    Parameters
    ----------
    labelled : sequence of Labelled
    items : sequence of str, length J
        Their ids.
    layout : {"flat", "nested"}
    reasons : bool
        Whether there is a column of reasons.
    """
    pa, _ = pyarrow("labelling many users")
    counts = np.array([len(one.friends) for one in labelled], np.int64)
    users = pa.array([one.ego for one in labelled], pa.string())
    friends = pa.array([friend for one in labelled for friend in one.friends], pa.string())
    first = np.cumsum(counts) - counts
    each = [np.arange(start, start + count) for start, count in zip(first.tolist(), counts.tolist(), strict=True)]
    cells = _joined([np.tile(numbers, len(items)) for numbers in each], np.int64)
    number = _joined([one.decisions.ravel() for one in labelled], np.int8)
    decision = pa.DictionaryArray.from_arrays(
        pa.array(number), pa.array([decision.value for decision in DECIDED])
    ).dictionary_decode()
    probability = _joined([one.probability.ravel() for one in labelled], np.float64)
    said = pa.array([reason for one in labelled for reason in one.reasons or ()], pa.string()) if reasons else None
    names = pa.array(list(items), pa.string())
    if layout == "flat":
        columns = {
            "user": users.take(pa.array(np.repeat(np.arange(len(labelled)), counts * len(items)))),
            "item": names.take(
                pa.array(_joined([np.repeat(np.arange(len(items)), count) for count in counts.tolist()], np.int64))
            ),
            "friend": friends.take(pa.array(cells)),
            "decision": decision,
            "probability": pa.array(probability),
        }
        return pa.table(columns if said is None else columns | {"reason": said})
    offsets = pa.array(np.concatenate([[0], np.cumsum(np.repeat(counts, len(items)))]).astype(np.int32))
    percents = pa.array(np.rint(100 * probability).astype(np.uint8))
    lists = {"friends": friends.take(pa.array(cells)), "decisions": decision, "percents": percents}
    return pa.table(
        {
            "user": users.take(pa.array(np.repeat(np.arange(len(labelled)), len(items)))),
            "item": names.take(pa.array(np.tile(np.arange(len(items)), len(labelled)))),
        }
        | {
            name: pa.ListArray.from_arrays(offsets, values)
            for name, values in (lists if said is None else lists | {"reasons": said}).items()
        }
    )


def write_policies(labelled: Iterable[Labelled], items: Sequence[str], layout: Layout, file: Any, *, reasons: bool) -> None:
    """Write `policy_table` of some users as Parquet to an open file, holding a few of them at a time.

    The parameters are those of `policy_table`. Equal policies are written as equal bytes.
    """
    _, pq = pyarrow("labelling many users")
    tables = (policy_table(few, items, layout, reasons=reasons) for few in _few_at_a_time(labelled))
    schema = policy_table((), items, layout, reasons=reasons).schema
    with pq.ParquetWriter(file, schema, **_options(schema)) as writer:
        for table in tables:
            writer.write_table(table)


def _few_at_a_time(labelled: Iterable[Labelled]) -> Iterator[list[Labelled]]:
    few: list[Labelled] = []
    cells = 0
    for one in labelled:
        few.append(one)
        cells += one.decisions.size
        if cells >= _CELLS:
            yield few
            few, cells = [], 0
    if few:
        yield few


def write_part(table: Any, file: Any) -> None:
    """Write a table as Parquet to an open file: equal tables as equal bytes."""
    _, pq = pyarrow("labelling many users")
    pq.write_table(table, file, **_options(table.schema))


def _options(schema: Any) -> dict[str, Any]:
    names = schema.names
    repeated = [name for name in names if name != "probability"] if "probability" in names else True
    return {"compression": "zstd", "use_dictionary": repeated}


def _joined(parts: list[Any], dtype: Any) -> Any:
    return np.concatenate([*parts, np.zeros(0, dtype)])

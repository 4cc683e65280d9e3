"""The rows of the benchmark: what a player believed at a checkpoint, compared with the truth; and what they amount to."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow as pa

from privwiz.decisions import threshold
from privwiz.items import ProfileItem
from privwiz.learning_curve import Checkpoint
from privwiz.metrics import ItemScore, item_scores, summarise
from privwiz.simulate import SimulatedPolicy

__all__ = ["KEYS", "SCHEMA", "score_rows", "summary"]

KEYS = ("budget", "unit", "regime", "method", "at", "ego", "draw", "item")
"""What identifies a row; the rows are sorted by it."""

_SCORE = tuple(part.name for part in fields(ItemScore))
_KINDS = {"bin_probability": pa.list_(pa.float64()), "auc": pa.float64(), "brier": pa.float64(), "nontrivial": pa.bool_()}
_KINDS |= dict.fromkeys(("bin_count", "bin_allowed"), pa.list_(pa.int64()))
_TEXTS = ("budget", "unit", "regime", "method", "ego", "item")
_COLUMNS = (*KEYS, "screens", "taps", *_SCORE)

SCHEMA = pa.schema([(name, _KINDS.get(name, pa.string() if name in _TEXTS else pa.int64())) for name in _COLUMNS])


def score_rows(
    player: Mapping[str, Any], curve: Iterable[Checkpoint], policy: SimulatedPolicy, items: Sequence[ProfileItem]
) -> list[dict[str, Any]]:
    """Compare a learning curve with the truth: one row per checkpoint and item.

    Parameters
    ----------
    player : mapping
        Budget, regime, method, ego and draw.
    curve : iterable of Checkpoint
        Of a wizard of these items.
    policy : SimulatedPolicy
    items : sequence of ProfileItem, length J
    """
    known = [item.id for item in policy.items]
    allow = policy.allow[[known.index(item.id) for item in items]]
    limit = np.array([threshold(item.cost_ratio) for item in items])
    rows = []
    for point in curve:
        spent = {"unit": point.unit, "at": point.at, "screens": point.screens, "taps": point.taps}
        scores = item_scores(point.probability, allow, ~point.asked, limit)
        rows += [
            {**player, **spent, "item": item.id, **{name: getattr(score, name) for name in _SCORE}}
            for item, score in zip(items, scores, strict=True)
        ]
    return rows


def summary(rows: pa.Table) -> list[dict[str, Any]]:
    """Return the metrics of every method, regime and checkpoint: of all items of all users, and of the nontrivial ones.

    Parameters
    ----------
    rows : pyarrow.Table
        Sorted by `KEYS`.
    """
    group = KEYS[:5]
    told = []
    columns = {name: rows[name].to_pylist() for name in group}
    keys = list(zip(*columns.values(), strict=True))
    starts = [k for k, key in enumerate(keys) if k == 0 or key != keys[k - 1]]
    for start, end in zip(starts, [*starts[1:], len(keys)], strict=True):
        some = rows.slice(start, end - start).to_pylist()
        scores = [ItemScore(**{name: row[name] for name in _SCORE}) for row in some]
        told.append(
            {
                **dict(zip(group, keys[start], strict=True)),
                "users": len({(row["ego"], row["draw"]) for row in some}),
                "all": _plain(summarise(scores)),
                "nontrivial": _plain(summarise(score for score in scores if score.nontrivial)),
            }
        )
    return told


def _plain(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Return the metrics with None, which JSON has, for NaN, which it has not."""
    return {name: None if math.isnan(value) else value for name, value in metrics.items()}

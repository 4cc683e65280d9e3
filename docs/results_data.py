"""Read the results of the label-efficiency benchmark: rows of counts (`privwiz.metrics.ItemScore`) and the facts of the run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError
from privwiz.files import read_text, reading
from privwiz.metrics import BINS, ItemScore

__all__ = ["REGIMES", "ROLES", "Facts", "Results", "Sample", "User", "read_results", "sample"]

REGIMES = ("mixed", "cohesive", "circle", "noisy", "idio", "stress")
"""The order in which regimes are shown; others come after them."""

ROLES = ("ours", "rival", "gp_rival", "no_prior", "oracle")
"""What a method can be for the page: each is the name of a method in the facts."""

Ints = npt.NDArray[np.int64]
User = tuple[str, int]
"""A network and the number of the simulated policy on it."""

_OBJECTS = "egos methods skipped items cpu_seconds versions ceiling targets".split()
_NUMBERS = {"egos", "cpu_seconds", "ceiling", "targets"}
_KINDS: Mapping[str, tuple[Any, str]] = {
    **dict.fromkeys(("data", *ROLES), (str, "a text")),
    **dict.fromkeys(_OBJECTS, (dict, "an object")),
    **dict.fromkeys(("draws", "workers"), (int, "a whole number")),
    **dict.fromkeys(("regimes", "variants"), (list, "a list")),
    "seconds": ((int, float), "a number"),
}
"""What each fact must be in JSON, and in words."""

_KEYS = {
    "unit": "string",
    "regime": "string",
    "method": "string",
    "at": "int64",
    "ego": "string",
    "draw": "int64",
    "item": "string",
}
_SCORE = tuple(part.name for part in fields(ItemScore))
_SPENT = ("screens", "taps")


class Sample(NamedTuple):
    """What one method did in one regime up to one checkpoint: equally long lists, one entry per user and item."""

    scores: list[ItemScore]
    users: list[User]
    items: list[str]
    taps: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about the run; an empty one is left out of the page.

    Parameters
    ----------
    data : str
        What the networks are called.
    egos : mapping of str to int
        Network -> friends.
    regimes : sequence of str
    methods : mapping of str to str
        Method -> what it is, in one sentence.
    skipped : mapping of str to int or list
        Reason -> networks that were left out.
    draws : int, optional
        Simulated policies of each network.
    ours, rival, gp_rival, no_prior, oracle : str, optional
        Methods: the main one, the wizard of 2010, the Gaussian process without screens about circles, the main one without a
        trained prior, the main one with the real circles.
    variants : sequence of str
        Methods that are the main one with something left out or changed: shown, but not counted among its rivals.
    items : mapping of str to str
        The same roles where one item is asked about by itself.
    cpu_seconds : mapping of str to float or None
        Method -> CPU seconds per screen.
    seconds, workers : number, optional
        Of the whole run.
    versions : mapping of str to str
    ceiling : mapping of str to float
        Regime -> accuracy in %, on nontrivial items, of the policy before exceptions and slips.
    targets : mapping of str to float
        Regime -> accuracy in % on nontrivial items that was aimed at, after 10 screens.
    """

    data: str
    egos: Mapping[str, int]
    regimes: Sequence[str]
    methods: Mapping[str, str]
    skipped: Mapping[str, Any] = field(default_factory=dict)
    variants: Sequence[str] = ()
    draws: int | None = None
    ours: str | None = None
    rival: str | None = None
    gp_rival: str | None = None
    no_prior: str | None = None
    oracle: str | None = None
    items: Mapping[str, str] = field(default_factory=dict)
    cpu_seconds: Mapping[str, float | None] = field(default_factory=dict)
    seconds: float | None = None
    workers: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    ceiling: Mapping[str, float] = field(default_factory=dict)
    targets: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """The rows, sorted, and where each sample stands in them.

    Parameters
    ----------
    facts : Facts
    columns : mapping of str to array of length N, or (N, `BINS`)
    places : mapping of (unit, regime, method, checkpoint) to int array
        Row numbers.
    """

    facts: Facts
    columns: Mapping[str, npt.NDArray[Any]]
    places: Mapping[tuple[str, str, str, int], Ints]

    def checkpoints(self, unit: str) -> list[int]:
        """Return the checkpoints of this unit, ascending."""
        return sorted({key[3] for key in self.places if key[0] == unit})

    def regimes(self, unit: str) -> list[str]:
        """Return the regimes with rows of this unit, in the order of the page."""
        found = {key[1] for key in self.places if key[0] == unit}
        return [name for name in (*REGIMES, *sorted(found - set(REGIMES))) if name in found]

    def methods(self, unit: str) -> list[str]:
        """Return the methods with rows of this unit: the main one, then the others in the order of the facts."""
        found = {key[2] for key in self.places if key[0] == unit}
        ours = self.role("ours", unit, found)
        return sorted((name for name in self.facts.methods if name in found), key=lambda name: name != ours)

    def role(self, name: str, unit: str, among: set[str] | None = None) -> str | None:
        """Return the method that plays this role where ``unit`` is counted, if there is one with rows."""
        found = {key[2] for key in self.places if key[0] == unit} if among is None else among
        method = self.facts.items.get(name) if unit == "answers" else None
        method = method or getattr(self.facts, name)
        return method if method in found else None


@cache
def sample(results: Results, unit: str, regime: str, method: str, at: int, *, nontrivial: bool = False) -> Sample:
    """Return what ``method`` did up to this checkpoint; empty if there are no rows."""
    places = results.places.get((unit, regime, method, at), np.zeros(0, dtype=np.int64))
    if nontrivial:
        places = places[results.columns["nontrivial"][places]]
    parts = {name: results.columns[name][places].tolist() for name in (*_SCORE, *_KEYS, *_SPENT)}
    parts |= {name: list(map(tuple, parts[name])) for name in _SCORE if name.startswith("bin_")}
    scores = [ItemScore(*values) for values in zip(*(parts[name] for name in _SCORE), strict=True)]
    return Sample(scores, list(zip(parts["ego"], parts["draw"], strict=True)), parts["item"], parts["taps"])


def read_results(folder: str | Path) -> Results:
    """Read ``rows.parquet`` and ``facts.json``, and check that they are of one run.

    Raises
    ------
    DataError
        If a file is missing, damaged or lacks a part, or the two do not fit together.
    """
    facts = _read_facts(Path(folder, "facts.json"))
    columns = _read_rows(Path(folder, "rows.parquet"))
    for column, known in {"method": facts.methods, "regime": facts.regimes, "ego": facts.egos}.items():
        unknown = sorted(set(columns[column].tolist()) - set(known))
        if unknown:
            wrong = f"{column} {unknown[0]!r} has rows, but is not in facts.json; take both files from one run"
            raise DataError(wrong, source=str(Path(folder, "rows.parquet")))
    present = set(columns["method"].tolist())
    for role, method in [(role, getattr(facts, role)) for role in ROLES] + [*facts.items.items()]:
        if method is not None and method not in present:
            wrong = f"{role!r} is {method!r}, a method without rows; name one of {', '.join(sorted(present))}"
            raise DataError(wrong, source=str(Path(folder, "facts.json")))
    return Results(facts, columns, _places(columns))


def _read_facts(path: Path) -> Facts:
    source = str(path)
    try:
        given = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"not JSON ({error}); write it again", source=source) from None
    if not isinstance(given, dict):
        raise DataError("not a JSON object; write it again", source=source)
    for name in ("data", "egos", "regimes", "methods"):
        if name not in given:
            raise DataError(f"{name!r} is missing; every run has it", source=source)
    given = {name: value for name, value in given.items() if name in _KINDS and value is not None}
    for name, value in given.items():
        kind, words = _KINDS[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise DataError(f"{name!r} is {value!r:.60}, which is not {words}; correct it", source=source)
        if name in _NUMBERS and not all(isinstance(number, int | float | None) for number in value.values()):
            raise DataError(f"{name!r} holds something that is not a number; correct it", source=source)
    named = [*given["regimes"], *given.get("items", {}).values()]
    if not all(isinstance(name, str) for name in named):
        raise DataError("'regimes' or 'items' holds something that is not a text; correct it", source=source)
    return Facts(**given)


def _read_rows(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read the columns, rows sorted by what identifies them, so that the order of the file does not matter."""
    import pyarrow as pa
    from pyarrow import parquet

    source = str(path)
    counts = dict.fromkeys((*_SCORE, *_SPENT), "int64") | {"nontrivial": "bool", "auc": "float64", "brier": "float64"}
    kinds = counts | _KEYS
    lists = {"bin_count": pa.list_(pa.int64()), "bin_probability": pa.list_(pa.float64()), "bin_allowed": pa.list_(pa.int64())}
    schema = pa.schema([(name, lists.get(name) or pa.type_for_alias(kind)) for name, kind in kinds.items()])
    with reading(path) as file:
        try:
            table = parquet.read_table(file)
            missing = [name for name in schema.names if name not in table.column_names]
            if missing:
                raise DataError(f"column {missing[0]!r} is missing; write the file again", source=source)
            table = table.select(schema.names).cast(schema)
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"not a Parquet file of results, or damaged ({error!s:.100}); write it again", source=source
            ) from None
    if not table.num_rows:
        raise DataError("holds no rows; run the benchmark again", source=source)
    for name in schema.names:
        if table[name].null_count and name != "auc":
            raise DataError(f"column {name!r} has an empty place; write the file again", source=source)
    table = table.sort_by([(name, "ascending") for name in _KEYS])
    return {name: _array(table[name].combine_chunks(), name, source) for name in schema.names}


def _array(column: Any, name: str, source: str) -> npt.NDArray[Any]:
    if name.startswith("bin_"):
        flat = column.flatten().to_numpy(zero_copy_only=False)
        if len(flat) != BINS * len(column) or set(column.value_lengths().to_pylist()) - {BINS}:
            raise DataError(f"column {name!r} needs {BINS} numbers in every row; write the file again", source=source)
        return flat.reshape(-1, BINS)
    return column.to_numpy(zero_copy_only=False)


def _places(columns: Mapping[str, npt.NDArray[Any]]) -> dict[tuple[str, str, str, int], Ints]:
    """Find the sample of every row; refuse two rows of one user, item, method and checkpoint."""
    rows = list(zip(*(columns[name].tolist() for name in _KEYS), strict=True))
    found: dict[tuple[str, str, str, int], list[int]] = {}
    for number, row in enumerate(rows):
        if number and row == rows[number - 1]:
            raise DataError(f"two rows of {dict(zip(_KEYS, row, strict=True))}; keep one", source="rows.parquet")
        found.setdefault(row[:4], []).append(number)
    return {key: np.array(numbers) for key, numbers in found.items()}

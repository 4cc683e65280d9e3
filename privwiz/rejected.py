"""Rows of tables that a run could not use: kept with the reason, and counted."""

import csv
import io
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

__all__ = ["COLUMNS", "NO_FRIEND", "NO_PERSON", "NO_USER", "STRANGER", "Rejected", "RejectedRows"]

COLUMNS = ("table", "line", "reason", "row")

NO_FRIEND = "names somebody who is not a friend of the user"
NO_PERSON = "names somebody who is not in the graph"
NO_USER = "is about a user who is not in the graph"
STRANGER = "is not in the graph"
"""Why there is no policy of a user whom no tie names."""


class Rejected(NamedTuple):
    """One row.

    Parameters
    ----------
    table : str
        The file it is from.
    line : int or None
        Where it stands, as in `privwiz.tables.Table`; None where the engine does not know.
    reason : str
        Without names, so that equal reasons can be counted.
    row : str
        Its values, separated by commas as in a CSV file.
    """

    table: str
    line: int | None
    reason: str
    row: str

    @classmethod
    def of(cls, table: str, line: int | None, reason: str, values: Iterable[str]) -> "Rejected":
        """Return the rejection of a row with these values."""
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(values)
        return cls(table, line, reason, text.getvalue())


class RejectedRows:
    """A CSV file of rejected rows while it is written.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def add(self, rows: Iterable[Rejected]) -> None:
        """Write rows, and count them by table and reason."""
        for row in rows:
            self.counts[row.table, row.reason] += 1
            self._writer.writerow(["" if value is None else value for value in row])

"""Large tables, read piece by piece as Arrow arrays of text: a CSV or Parquet file, or a folder of Parquet files."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from privwiz.errors import DataError
from privwiz.files import STANDARD, FilePath, ending, source_name
from privwiz.tables import iter_parquet, iter_tables, pyarrow, stored_texts

__all__ = ["Piece", "parquet_files", "read_pieces"]

_ROWS = 1 << 20
_IDS = ("source", "target", "user", "friend")


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """Some rows of a table.

    Parameters
    ----------
    source : str
        What messages call the table.
    lines : sequence of int
        As in `privwiz.tables.Table`; in a folder, counted through its files in the order of their paths, as pyarrow reads them.
    columns : mapping of str to pyarrow.Array
        Text, each as long as ``lines``; ``""`` where nothing is said. A column of floating-point numbers that was asked for as
        ``number`` is left as it is.
    """

    source: str
    lines: Sequence[int]
    columns: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, name: str) -> Any:
        return self.columns[name]


def read_pieces(
    path: FilePath, required: Sequence[str], optional: Sequence[str] = (), number: str | None = None
) -> Iterator[Piece]:
    """Read the named columns of a table in pieces of a million rows at most.

    Parameters
    ----------
    path : path
        Ending in ``.csv`` or ``.parquet``; or a folder of Parquet files, all of which are read, those in its folders too.
    required, optional : sequence of str
        As in `privwiz.tables.read_table`.
    number : str, optional
        A column that need not become text where it is floating point.

    Raises
    ------
    DataError
        As `privwiz.tables.read_table` and `parquet_files`, and for ids that are floating-point numbers too large to be exact.
    MissingExtra
        If pyarrow is not installed.
    """
    if path != STANDARD and Path(path).is_dir():
        done = 0
        for file in parquet_files(path):
            for piece in _parquet_pieces(file, required, optional, number):
                yield Piece(source_name(path), range(done + 1, done + 1 + len(piece)), piece.columns)
                done += len(piece)
    elif ending(path) == ".parquet":
        yield from _parquet_pieces(path, required, optional, number)
    else:
        pa, _ = pyarrow("labelling many users")
        for table in iter_tables(path, required, optional, _ROWS // 4):
            columns = {name: pa.array(values, pa.string()) for name, values in table.columns.items()}
            yield Piece(table.source, table.lines, columns)


def parquet_files(folder: FilePath) -> list[Path]:
    """Return the Parquet files below a folder, sorted; what begins with ``_`` or ``.`` is no data, as everywhere with Parquet.

    Raises
    ------
    DataError
        If there is none, or something else beside them, which may be a part of the table that would be missed.
    """
    files: list[Path] = []
    odd: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = [name for name in folders if name[0] not in "_."]
        files += [Path(place, name) for name in names if name[0] not in "_."]
        odd += [path for path in (Path(place, name) for name in folders) if path.is_symlink()]
    odd += [file for file in files if ending(file) != ".parquet"]
    if odd:
        raise DataError("is no .parquet file; rename it, or move it out of the folder of the table", source=source_name(min(odd)))
    if not files:
        raise DataError(
            "a directory without .parquet files; give a table or a folder of Parquet files", source=source_name(folder)
        )
    return sorted(files, key=os.fspath)


def _unreadable(error: OSError) -> NoReturn:
    raise DataError(f"{error.strerror or error}; check the path and its permissions", source=error.filename) from None


def _parquet_pieces(path: FilePath, required: Sequence[str], optional: Sequence[str], number: str | None) -> Iterator[Piece]:
    pa, _ = pyarrow("labelling many users")
    source = source_name(path)
    for lines, batch in iter_parquet(path, required, optional, _ROWS):
        columns = {
            name: column if name == number and pa.types.is_floating(column.type) else _as_text(column, name, source)
            for name, column in batch.items()
        }
        nothing = pa.array([""], pa.string()).take(pa.array([0] * len(lines), pa.int32()))
        yield Piece(source, lines, {name: columns.get(name, nothing) for name in (*required, *optional)})


def _as_text(column: Any, name: str, source: str) -> Any:
    pa, _ = pyarrow("labelling many users")
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_integer(column.type):
        return column.cast(pa.string()).fill_null("")
    return pa.array(stored_texts(column, name, source, exact=name in _IDS), pa.string())

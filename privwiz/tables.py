"""Tables with named columns: CSV or Parquet by their ending, ``-`` for CSV on standard input and output."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from numbers import Integral, Real
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np

from privwiz.errors import DataError, MissingExtra
from privwiz.files import STANDARD, FilePath, ending, read_lines, reading, source_name, writing

__all__ = [
    "Table",
    "check_columns",
    "iter_parquet",
    "iter_tables",
    "pyarrow",
    "read_table",
    "stored_texts",
    "text_of",
    "write_table",
    "writing_rows",
]

Column: TypeAlias = Sequence[object] | np.ndarray[Any, Any]

_PIECE = 1 << 16
_EXACT_BITS = {16: 11, 32: 24, 64: 53}
"""By the width of a floating-point number: whole numbers of more bits than this do not all have one of their own."""
_TRUTHS = (bool, np.bool_)
_TYPED: tuple[set[type], ...] = ({bool}, {int}, {float}, {int, float})


@dataclass(frozen=True, eq=False, slots=True)
class Table:
    """Columns of text, with the place in the file that each row came from.

    Parameters
    ----------
    source : str
        What messages call the file.
    lines : sequence of int
        Where each row starts: the line of a CSV file (the header is line 1), the row of a Parquet file (the first is 1).
    columns : mapping of str to sequence of str
        Each as long as ``lines``; ``""`` where nothing is said.
    """

    source: str
    lines: Sequence[int]
    columns: Mapping[str, Sequence[str]]

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, name: str) -> Sequence[str]:
        return self.columns[name]

    def rows(self, *names: str) -> Iterator[tuple[str, ...]]:
        """Yield the values of the columns ``names`` (all columns by default), row by row."""
        return zip(*(self.columns[name] for name in names or self.columns), strict=True)

    def error(self, row: int, message: str) -> DataError:
        """Return the error that says ``message`` about row number ``row`` of this table."""
        return DataError(message, source=self.source, line=self.lines[row])

    def check_filled(self, *names: str) -> "Table":
        """Return the table itself if no value in the columns ``names`` is empty.

        Raises
        ------
        DataError
            With the line of the first empty value.
        """
        empty = [(self.columns[name].index(""), name) for name in names if "" in self.columns[name]]
        if empty:
            row, name = min(empty)
            raise self.error(row, f"{name!r} is empty; every row needs one")
        return self


def read_table(path: FilePath, required: Sequence[str], optional: Sequence[str] = ()) -> Table:
    """Read the named columns of a CSV or Parquet file.

    Parameters
    ----------
    path : path
        Ending in ``.csv`` or ``.parquet``; ``"-"`` is CSV from standard input.
    required, optional : sequence of str
        The columns to read. An optional one that is not there reads as empty; what seems to be one under another name, such as
        ``Weight`` or ``cost``, is refused. Other columns are ignored, and so is their order.

    Returns
    -------
    Table
        Every value as text, exactly as it stands in a CSV file; numbers, booleans and nulls of a Parquet file as `text_of` writes
        them.

    Raises
    ------
    DataError
        If the file cannot be read, lacks a required column, names one twice, or is damaged; with the line.
    MissingExtra
        If a Parquet file is to be read and pyarrow is not installed.
    """
    pieces = list(iter_tables(path, required, optional))
    names = (*required, *optional)
    columns = {name: list(chain.from_iterable(piece[name] for piece in pieces)) for name in names}
    return Table(source_name(path), list(chain.from_iterable(piece.lines for piece in pieces)), columns)


def iter_tables(path: FilePath, required: Sequence[str], optional: Sequence[str] = (), size: int = _PIECE) -> Iterator[Table]:
    """Read a table in pieces of at most ``size`` rows, so that memory does not grow with the file; otherwise as `read_table`."""
    if path == STANDARD or ending(path) == ".csv":
        return _iter_csv(path, required, optional, size)
    if ending(path) == ".parquet":
        return _iter_parquet(path, required, optional, size)
    raise _wrong_ending(path)


def write_table(path: FilePath, columns: Mapping[str, Column]) -> None:
    """Write columns as a CSV or Parquet file, replacing the old file in one step.

    Parameters
    ----------
    path : path
        Ending in ``.csv`` or ``.parquet``; ``"-"`` is CSV to standard output.
    columns : mapping of str to sequence
        Text, numbers, booleans or None, all columns equally long. CSV holds them as `text_of` writes them; Parquet keeps the type
        of a column, or makes it text where kinds are mixed.

    Raises
    ------
    DataError
        If the ending is another, the columns differ in length, a value is of another kind, or the file cannot be written.
    MissingExtra
        If a Parquet file is to be written and pyarrow is not installed.
    """
    source = source_name(path)
    lists = {name: _plain(values) for name, values in columns.items()}
    if len(set(map(len, lists.values()))) != 1:
        lengths = ", ".join(f"{name} {len(values)}" for name, values in lists.items())
        raise DataError(f"columns of different length ({lengths or 'none'}); give all columns as many values", source=source)
    texts = {name: _texts(name, values, source) for name, values in lists.items()}
    if path == STANDARD or ending(path) == ".csv":
        _write_csv(path, texts)
    elif ending(path) == ".parquet":
        _write_parquet(path, lists, texts)
    else:
        raise _wrong_ending(path)


@contextmanager
def writing_rows(path: FilePath, names: Sequence[str]) -> Iterator[Callable[[Iterable[Sequence[object]]], None]]:
    """Write a table of text row by row, so that memory does not grow with it; otherwise as `write_table`.

    Yields a function that takes more rows, each with one value for each of ``names``. The file is there when all are written.
    """
    source, rows, done = source_name(path), list[Sequence[object]](), 0
    if path == STANDARD or ending(path) == ".csv":
        pieces = _csv_pieces(path, names)
    elif ending(path) == ".parquet":
        pieces = _parquet_pieces(path, names)
    else:
        raise _wrong_ending(path)
    with pieces as write_piece:

        def write_out() -> None:
            nonlocal done
            write_piece([_texts(name, values, source, done) for name, values in zip(names, zip(*rows, strict=True), strict=True)])
            done += len(rows)
            rows.clear()

        def write(more: Iterable[Sequence[object]]) -> None:
            rows.extend(more)
            if len(rows) >= _PIECE:
                write_out()

        yield write
        if rows:
            write_out()


def text_of(value: object) -> str:
    """Return the text that a value has in a table.

    Whole numbers have no decimal point, so that a column that became floating point because of a gap still means the same.

    Raises
    ------
    TypeError
        If the value is not text, a number, a boolean or None.

    Examples
    --------
    >>> [text_of(value) for value in ("PKU", 1990.0, 0.5, True, None)]
    ['PKU', '1990', '0.5', 'true', '']
    """
    if isinstance(value, str):
        return str.__str__(value)
    if value is None:
        return ""
    if isinstance(value, _TRUTHS):
        return "true" if value else "false"
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        return str(int(float(value))) if float(value).is_integer() else str(value)
    raise TypeError


def _iter_csv(path: FilePath, required: Sequence[str], optional: Sequence[str], size: int) -> Iterator[Table]:
    source, names = source_name(path), (*required, *optional)
    rows = _csv_rows(path)
    first, header = next(rows, (0, []))
    if not header:
        raise DataError(f"empty; its first line must name the columns {', '.join(required)}", source=source)
    header = [name.strip() for name in header]
    check_columns(header, required, optional, source, line=first)
    places = [header.index(name) if name in header else len(header) for name in names]

    def checked() -> Iterator[tuple[int, list[str]]]:
        for line, row in rows:
            if len(row) != len(header):
                wrong = f"{len(row)} values for {len(header)} columns; separate values by commas and quote a value that holds one"
                raise DataError(wrong, source=source, line=line)
            row.append("")
            yield line, row

    numbered = checked()
    while piece := list(islice(numbered, size)):
        cells = [row for _, row in piece]
        yield Table(
            source,
            [line for line, _ in piece],
            {name: list(map(itemgetter(place), cells)) for name, place in zip(names, places, strict=True)},
        )


def _csv_rows(path: FilePath) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each row starts, and the row; blank lines are passed over."""
    reader = csv.reader(read_lines(path), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = "a line ends in CR alone" if "new-line" in str(error) else str(error)
            wrong = f"not valid CSV ({reason}); close every quotation mark, end lines with LF or CRLF"
            raise DataError(wrong, source=source_name(path), line=line) from None
        if row:
            yield line, row


def _iter_parquet(path: FilePath, required: Sequence[str], optional: Sequence[str], size: int) -> Iterator[Table]:
    source, names = source_name(path), (*required, *optional)
    for first, batch in iter_parquet(path, required, optional, size):
        columns = {name: stored_texts(batch[name], name, source) if name in batch else [""] * len(first) for name in names}
        yield Table(source, first, columns)


def iter_parquet(
    path: FilePath, required: Sequence[str], optional: Sequence[str] = (), size: int = _PIECE
) -> Iterator[tuple[range, dict[str, Any]]]:
    """Read a Parquet file in pieces: the numbers of their rows, from 1 up, and the columns that are there, as Arrow arrays.

    Raises the errors of `read_table`.
    """
    pa, pq = pyarrow("reading Parquet")
    source, done = source_name(path), 0
    with reading(path) as file:
        try:
            parquet = pq.ParquetFile(file)
            check_columns(parquet.schema_arrow.names, required, optional, source)
            there = [name for name in (*required, *optional) if name in parquet.schema_arrow.names]
            for batch in parquet.iter_batches(size, columns=there):
                yield range(done + 1, done + len(batch) + 1), {name: batch.column(name) for name in there}
                done += len(batch)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError("not a Parquet file, or damaged; write it again", source=source) from error


def stored_texts(column: Any, name: str, source: str, *, exact: bool = False) -> list[str]:
    """Return the values of an Arrow array as `text_of` writes them.

    Raises `DataError` for what is neither text nor number, and, if ``exact``, for a floating-point number so large that it may
    have been another whole number: an id is not to become somebody else's.
    """
    pa, _ = pyarrow("reading Parquet")
    values = column.to_pylist()
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if exact and pa.types.is_floating(kind):
        limit = 2.0 ** _EXACT_BITS[kind.bit_width]
        vague = next((value for value in values if value is not None and limit <= abs(value) < float("inf")), None)
        if vague is not None:
            wrong = f"column {name!r} holds {vague!r}, a floating-point number too large to be exact"
            raise DataError(f"{wrong}; store ids as whole numbers or text", source=source)
    try:
        return [text_of(value) for value in values]
    except (TypeError, UnicodeDecodeError):
        raise DataError(f"column {name!r} holds {column.type} that is not text; store text or numbers", source=source) from None


def check_columns(
    header: Sequence[str], required: Sequence[str], optional: Sequence[str], source: str, line: int | None = None
) -> None:
    """Refuse a header without a required column, with one twice, or with an optional one under another name."""
    missing = [name for name in required if name not in header]
    if missing:
        wanted, found = ", ".join(map(repr, missing)), ", ".join(map(repr, header)) or "none"
        many = len(missing) > 1
        what = f"{'columns' if many else 'column'} {wanted} {'are' if many else 'is'} missing (found {found:.200})"
        raise DataError(f"{what}; name {'them' if many else 'it'} in the header", source=source, line=line)
    twice = [name for name in (*required, *optional) if header.count(name) > 1]
    if twice:
        raise DataError(f"column {twice[0]!r} is there twice; keep one", source=source, line=line)
    others = [name for name in header if name not in (*required, *optional) and _bare(name)]
    for name in (name for name in optional if name not in header):
        if meant := [other for other in others if _bare(name).startswith(_bare(other))]:
            raise DataError(f"column {meant[0]!r} is not read; call it {name!r}, or leave it out", source=source, line=line)


def _bare(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold()


class _RowSink:
    """What `csv.writer` writes to: each row, as text, goes to a function."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.write = write


@contextmanager
def _csv_pieces(path: FilePath, names: Iterable[str]) -> Iterator[Callable[[Sequence[Sequence[str]]], object]]:
    with writing(path) as file:
        lines = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        # The line end given here decides what is quoted: with "\n" alone, a value with a bare "\r" would not come back.
        writer = csv.writer(_RowSink(lambda row: lines.write(row[:-2] + "\n")), lineterminator="\r\n")
        writer.writerow(names)
        try:
            yield lambda columns: writer.writerows(zip(*columns, strict=True))
        finally:
            lines.detach()


def _write_csv(path: FilePath, texts: dict[str, list[str]]) -> None:
    with _csv_pieces(path, texts) as write:
        write(list(texts.values()))


@contextmanager
def _parquet_pieces(path: FilePath, names: Sequence[str]) -> Iterator[Callable[[Sequence[Sequence[str]]], object]]:
    pa, pq = pyarrow("writing Parquet")
    schema = pa.schema([(name, pa.string()) for name in names])
    with writing(path) as file, pq.ParquetWriter(file, schema) as writer:
        yield lambda columns: writer.write_table(pa.table(list(columns), schema=schema))


def _write_parquet(path: FilePath, lists: dict[str, list[object]], texts: dict[str, list[str]]) -> None:
    pa, pq = pyarrow("writing Parquet")

    def array(values: list[object], texts: list[str]) -> Any:
        try:
            if {type(value) for value in values} - {type(None)} in _TYPED:
                return pa.array(values)
        except (pa.ArrowException, OverflowError):
            pass
        return pa.array([None if value is None else text for value, text in zip(values, texts, strict=True)], pa.string())

    table = pa.table({name: array(values, texts[name]) for name, values in lists.items()})
    with writing(path) as file:
        pq.write_table(table, file)


def _plain(values: Column) -> list[object]:
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    return [value.item() if isinstance(value, np.generic) else value for value in listed]


def _texts(name: str, values: Sequence[object], source: str, before: int = 0) -> list[str]:
    texts = []
    try:
        for value in values:
            texts.append(text_of(value))  # noqa: PERF401 - how far it came tells the row
    except TypeError:
        wrong = f"column {name!r}, row {before + len(texts) + 1} holds {values[len(texts)]!r:.80}; give text or numbers"
        raise DataError(wrong, source=source) from None
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise DataError(
            f"column {name!r} holds {half!r}, half a character (a lone surrogate); correct it", source=source
        ) from None
    return texts


def pyarrow(what: str) -> tuple[Any, Any]:
    """Return the modules ``pyarrow`` and ``pyarrow.parquet``; raises `MissingExtra`, which says ``what`` needs them."""
    try:
        import pyarrow as pa
        from pyarrow import parquet as pq
    except ImportError:
        raise MissingExtra(what, "parquet") from None
    return pa, pq


def _wrong_ending(path: FilePath) -> DataError:
    return DataError(f"ends in {ending(path)!r}; a table ends in '.csv' or '.parquet'", source=source_name(path))

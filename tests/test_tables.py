"""Tables and files: what is read and written, every defect told with its line, and old files safe until the new one is whole."""

import csv
import io
import os
import stat
import subprocess
import sys
from enum import Enum
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet as pq

from privwiz.errors import DataError, MissingExtra
from privwiz.files import ending, read_text, reading, source_name, writing
from privwiz.tables import Table, iter_tables, read_table, text_of, write_table, writing_rows

LAWS = settings(max_examples=40)

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
numbers = st.integers(-(2**62), 2**62) | st.floats(allow_nan=False)
cells = texts | numbers | st.booleans() | st.none()


class Word(str, Enum):  # noqa: UP042 - as `Decision` is
    """A text that is an enumeration too, as decisions are."""

    ALLOW = "allow"


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path, monkeypatch):
    """Every test works in its own empty folder, so that messages show short names."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stdin(monkeypatch):
    """Return a function that puts bytes on standard input."""
    return lambda data: monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def put(name, data):
    """Write a file and return its name."""
    with open(name, "wb") as file:  # noqa: PTH123 - any name
        file.write(data)
    return name


# -- round trips


@given(st.lists(st.tuples(texts, cells, cells), max_size=8))
@LAWS
def test_csv_and_parquet_mean_the_same(tmp_path_factory, rows):
    """Whatever columns are written, reading the CSV and reading the Parquet file gives the same text, `text_of` of each value."""
    columns = dict(zip("abc", map(list, zip(*rows, strict=True)) if rows else ([], [], []), strict=True))
    folder = tmp_path_factory.mktemp("tables")
    for name in ("t.csv", "t.parquet"):
        write_table(folder / name, columns)
        table = read_table(folder / name, ("a", "b", "c"))
        assert list(table.rows("a", "b", "c")) == [tuple(map(text_of, row)) for row in rows]


@given(st.lists(st.tuples(texts, texts), max_size=12), st.integers(1, 5))
@LAWS
def test_pieces_make_up_the_whole(tmp_path_factory, rows, size):
    """Reading in pieces gives the rows and lines of reading at once, at most ``size`` rows at a time."""
    folder = tmp_path_factory.mktemp("tables")
    for name in ("t.csv", "t.parquet"):
        write_table(folder / name, {"a": [a for a, _ in rows], "b": [b for _, b in rows]})
        whole = read_table(folder / name, ("a", "b"))
        pieces = list(iter_tables(folder / name, ("a", "b"), size=size))
        assert [row for piece in pieces for row in piece.rows("a", "b")] == list(whole.rows("a", "b")) == rows
        assert [line for piece in pieces for line in piece.lines] == list(whole.lines)
        assert all(1 <= len(piece) <= size for piece in pieces)


def test_numbers_keep_their_type_in_parquet():
    """Parquet stores numbers and booleans as such; a column of mixed kinds, or of numbers too large, becomes text."""
    columns = {"n": np.arange(2), "p": np.array([0.25, 1.0]), "b": [True, None], "m": ["x", 1], "big": [10**30, 1], "e": [1, 2.5]}
    write_table("t.parquet", columns)
    kinds = {field.name: str(field.type) for field in pq.read_schema("t.parquet")}
    assert kinds == {"n": "int64", "p": "double", "b": "bool", "m": "string", "big": "string", "e": "double"}
    assert list(read_table("t.parquet", ("big", "m")).rows()) == [(str(10**30), "x"), ("1", "1")]


def test_enumerated_words_are_written_as_words():
    """A text that is an enumeration member is written as its text."""
    for name in ("t.csv", "t.parquet"):
        write_table(name, {"decision": [Word.ALLOW]})
        assert read_table(name, ("decision",))["decision"] == ["allow"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["x", None]).dictionary_encode(),
        pa.array(["x", None], pa.large_string()),
        pa.array([None, None]),
        pa.array([1, None], pa.uint8()),
        pa.array([1.0, None], pa.float32()),
    ],
    ids=lambda column: str(column.type),
)
def test_parquet_columns_of_other_writers(column):
    """Dictionary, large, empty, small and gappy columns read as the text that they mean."""
    pq.write_table(pa.table({"a": column}), "t.parquet")
    assert read_table("t.parquet", ("a",))["a"] == ["" if v is None else text_of(v) for v in column.to_pylist()]


# -- what is read


def test_columns_are_found_by_name():
    """Order and further columns do not matter, an optional column that is missing reads as empty, endings may be capitals."""
    put("T.CSV", b"c,b,a\r\n3,2,1\r\n")
    table = read_table("T.CSV", ("a", "b"), ("d",))
    assert table.columns == {"a": ["1"], "b": ["2"], "d": [""]}
    assert list(table.rows("b", "a")) == [("2", "1")]


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_columns_come_in_the_order_asked_for(name):
    """Columns have the order of ``required``, then ``optional``, whatever the file's, and whether they are there or not."""
    write_table(name, {"d": [4], "b": [2], "a": [1]})
    table = read_table(name, ("a", "b"), ("c", "d"))
    assert (list(table.columns), list(table.rows())) == (["a", "b", "c", "d"], [("1", "2", "", "4")])


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_table_without_rows(name):
    """A table that has only its header is legal and empty."""
    write_table(name, {"a": [], "b": []})
    table = read_table(name, ("a",), ("c",))
    assert (len(table), table.columns) == (0, {"a": [], "c": []})


def test_lines_are_those_of_the_file():
    """The line of a row is where it starts, whatever blank lines and values of several lines come before; Parquet counts rows."""
    put("t.csv", b'a,b\n1,"x\r\ny"\n\n2,\xe7\x8e\x8b\n')
    table = read_table("t.csv", ("a", "b"))
    assert (table.lines, table["b"]) == ([2, 5], ["x\r\ny", "王"])
    write_table("t.parquet", table.columns)
    assert read_table("t.parquet", ("a",)).lines == [1, 2]


def test_a_byte_order_mark_is_no_part_of_the_table():
    """The mark that some programs write before UTF-8 is passed over."""
    put("t.csv", b"\xef\xbb\xbfa\n\xef\xbb\xbfx\n")
    assert read_table("t.csv", ("a",))["a"] == ["\ufeffx"]


def test_standard_input(stdin):
    """``-`` reads CSV from standard input, and errors say so."""
    stdin(b"a\nx\n")
    assert read_table("-", ("a",))["a"] == ["x"]
    stdin(b"b\nx\n")
    with pytest.raises(DataError) as caught:
        read_table("-", ("a",))
    assert str(caught.value) == "standard input, line 1: column 'a' is missing (found 'b'); name it in the header"


def test_pieces_are_read_as_they_are_wanted(stdin):
    """The first piece comes before a defect further on is met."""
    stdin(b"a\n1\n2\n\xff\n")
    pieces = iter_tables("-", ("a",), size=2)
    assert next(pieces)["a"] == ["1", "2"]
    with pytest.raises(DataError, match="line 4: byte 0xff"):
        next(pieces)


def test_standard_output(capfdbinary):
    """``-`` writes CSV to standard output, which stays open."""
    sys.stdout.write("before\n")
    write_table("-", {"a": ["王", 'say "x"'], "b": [True, None]})
    print("after")
    sys.stdout.flush()
    assert capfdbinary.readouterr().out == 'before\na,b\n王,true\n"say ""x""",\nafter\n'.encode()


def test_rows_can_be_told_apart_in_errors():
    """`Table.error` names file and line of a row; `check_filled` finds the first empty value."""
    table = Table("t.csv", [2, 5], {"a": ["x", ""], "b": ["", "y"]})
    assert str(table.error(1, "odd")) == "t.csv, line 5: odd"
    assert table.check_filled() is table
    with pytest.raises(DataError) as caught:
        table.check_filled("a", "b")
    assert str(caught.value) == "t.csv, line 2: 'b' is empty; every row needs one"


# -- what cannot be read


def parquet_bytes(**columns):
    """Return a Parquet file of these Arrow columns."""
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


GOOD = parquet_bytes(a=pa.array(["x"]), b=pa.array(["y"]))
HINT = "close every quotation mark, end lines with LF or CRLF"

BAD_TABLES = [
    ("t.csv", b"", "t.csv: empty; its first line must name the columns a, b"),
    ("t.csv", b"\xef\xbb\xbf", "t.csv: empty; its first line must name the columns a, b"),
    ("t.csv", b"\r\n\n", "t.csv: empty; its first line must name the columns a, b"),
    ("t.csv", b"a\n1\n", "t.csv, line 1: column 'b' is missing (found 'a'); name it in the header"),
    ("t.csv", b"\n1,2\n", "t.csv, line 2: columns 'a', 'b' are missing (found '1', '2'); name them in the header"),
    ("t.csv", b"a;b\n1;2\n", "t.csv, line 1: columns 'a', 'b' are missing (found 'a;b'); name them in the header"),
    ("t.csv", b"A,B\n1,2\n", "t.csv, line 1: columns 'a', 'b' are missing (found 'A', 'B'); name them in the header"),
    ("t.csv", b"a,b,a\n1,2,3\n", "t.csv, line 1: column 'a' is there twice; keep one"),
    (
        "t.csv",
        b"a,b\n1,2\n\n3\n",
        "t.csv, line 4: 1 values for 2 columns; separate values by commas and quote a value that holds one",
    ),
    (
        "t.csv",
        b"a,b\n1,2,3\n",
        "t.csv, line 2: 3 values for 2 columns; separate values by commas and quote a value that holds one",
    ),
    ("t.csv", b'a,b\n1,2\n"3,4\n5,6\n', f"t.csv, line 3: not valid CSV (unexpected end of data); {HINT}"),
    ("t.csv", b'a,b\n"1"x,2\n', f"t.csv, line 2: not valid CSV (',' expected after '\"'); {HINT}"),
    ("t.csv", b"a,b\r1,2\r", f"t.csv, line 1: not valid CSV (a line ends in CR alone); {HINT}"),
    (
        "t.csv",
        b"a,b\n" + b"x" * 131_073 + b",2\n",
        f"t.csv, line 2: not valid CSV (field larger than field limit (131072)); {HINT}",
    ),
    ("t.csv", b"a,b\n1,\xff\n", "t.csv, line 2: byte 0xff is not UTF-8; save the file as UTF-8"),
    ("t.csv", b"a,b\n\xe7\x8e\x8b,caf\xe9\n", "t.csv, line 2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
    ("t.csv", "a,b\n1,2\n".encode("utf-16"), "t.csv, line 1: byte 0xff is not UTF-8; save the file as UTF-8"),
    ("t.csv", b"a,b\n1,\0\n", "t.csv, line 2: a zero byte: not a text file; save it as UTF-8"),
    ("t.csv", None, "t.csv: no such file; check the path"),
    ("folder.csv", "folder", "folder.csv: a directory; give a file"),
    ("t.csv/x.csv", b"", "t.csv/x.csv: Not a directory; check the path and its permissions"),
    ("t\0.csv", None, "t\0.csv: embedded null byte; check the path and its permissions"),
    ("x" * 300 + ".csv", None, "x" * 300 + ".csv: File name too long; check the path and its permissions"),
    ("t.txt", b"a,b\n1,2\n", "t.txt: ends in '.txt'; a table ends in '.csv' or '.parquet'"),
    ("table", b"a,b\n1,2\n", "table: ends in ''; a table ends in '.csv' or '.parquet'"),
    ("t.parquet", None, "t.parquet: no such file; check the path"),
    ("folder.parquet", "folder", "folder.parquet: a directory; give a file"),
    ("t.parquet", b"", "t.parquet: not a Parquet file, or damaged; write it again"),
    (
        "t.parquet",
        b"a,b\n1,2\n",
        "t.parquet: not a Parquet file, or damaged; write it again",
    ),
    (
        "t.parquet",
        GOOD[:-9],
        "t.parquet: not a Parquet file, or damaged; write it again",
    ),
    ("t.parquet", parquet_bytes(a=["x"]), "t.parquet: column 'b' is missing (found 'a'); name it in the header"),
    (
        "t.parquet",
        parquet_bytes(a=[["x"]], b=["y"]),
        "t.parquet: column 'a' holds list<element: string> that is not text; store text or numbers",
    ),
    (
        "t.parquet",
        parquet_bytes(a=["x"], b=pa.array([b"\xff"])),
        "t.parquet: column 'b' holds binary that is not text; store text or numbers",
    ),
]


@pytest.mark.parametrize(("name", "data", "message"), BAD_TABLES)
def test_tables_that_cannot_be_read(tmp_path, name, data, message):
    """Each bad table is a `DataError` with exactly this message: the file, the line, what is wrong and what to do."""
    if data == "folder":
        (tmp_path / name).mkdir()
    elif name == "t.csv/x.csv":
        put("t.csv", data)
    elif data is not None:
        put(name, data)
    with pytest.raises(DataError) as caught:
        read_table(name, ("a", "b"))
    assert str(caught.value) == message


@given(st.binary(max_size=60), st.integers(0, len(GOOD)))
@LAWS
def test_damaged_tables_raise_nothing_else(tmp_path_factory, noise, place):
    """Random bytes, alone or written over a good file, are read or are a `DataError`; no other exception leaves the reader."""
    folder = tmp_path_factory.mktemp("damaged")
    damaged = GOOD[:place] + noise + GOOD[place + len(noise) :]
    for name, data in (("t.csv", noise), ("u.csv", b"a,b\n" + noise), ("t.parquet", noise), ("u.parquet", damaged)):
        (folder / name).write_bytes(data)
        try:
            read_table(folder / name, ("a", "b"))
        except DataError as error:
            assert str(error).startswith(str(folder / name))  # noqa: PT017 - either outcome is right


# -- what cannot be written


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("t.txt", {"a": []}, "t.txt: ends in '.txt'; a table ends in '.csv' or '.parquet'"),
        ("t.csv", {}, "t.csv: columns of different length (none); give all columns as many values"),
        ("t.csv", {"a": [1], "b": []}, "t.csv: columns of different length (a 1, b 0); give all columns as many values"),
        ("t.csv", {"a": ["x", b"y"]}, "t.csv: column 'a', row 2 holds b'y'; give text or numbers"),
        ("t.parquet", {"a": [{}]}, "t.parquet: column 'a', row 1 holds {}; give text or numbers"),
        ("t.csv", {"a": ["\ud800"]}, "t.csv: column 'a' holds '\\ud800', half a character (a lone surrogate); correct it"),
        ("no/t.csv", {"a": []}, "no/t.csv: its directory does not exist; create it first"),
        (".csv/t.csv", {"a": []}, ".csv/t.csv: Not a directory; check the path and its permissions"),
        ("folder.csv", {"a": []}, "folder.csv: a directory; give a file"),
        ("t\0.csv", {"a": []}, "t\0.csv: embedded null byte; check the path and its permissions"),
    ],
)
def test_tables_that_cannot_be_written(tmp_path, name, columns, message):
    """Each table that cannot be written is a `DataError` with exactly this message, and leaves no file behind."""
    put(".csv", b"")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError) as caught:
        write_table(name, columns)
    assert str(caught.value) == message
    assert sorted(path.name for path in tmp_path.iterdir()) == [".csv", "folder.csv"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    """If writing fails half way, the old file stands untouched and no temporary file stays."""

    def interrupted():
        with writing("t.csv") as file:
            file.write(b"new")
            raise KeyboardInterrupt

    put("t.csv", b"old")
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (read_text("t.csv"), list(tmp_path.iterdir())) == ("old", [tmp_path / "t.csv"])


def test_the_new_file_replaces_the_old_in_one_step():
    """Until the block ends, readers see the old file; the new one is an ordinary file with ordinary permissions."""
    put("t.csv", b"old")
    old = os.umask(0o027)
    try:
        with writing("t.csv") as file:
            file.write(b"new")
            assert read_text("t.csv") == "old"
    finally:
        os.umask(old)
    assert read_text("t.csv") == "new"
    assert stat.S_IMODE(Path("t.csv").stat().st_mode) == 0o640


def test_links_and_devices_are_written_through(tmp_path):
    """A symbolic link stays a link to the new content; a device is written to, not replaced."""
    put("real.csv", b"old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    write_table("link.csv", {"a": ["new"]})
    assert (tmp_path / "link.csv").is_symlink()
    assert read_text("real.csv") == "a\nnew\n"
    with writing(os.devnull) as file:
        file.write(b"x")
    assert not os.path.isfile(os.devnull)  # noqa: PTH113


# -- files


def test_names_of_sources():
    """Messages call a file as it was given, and ``-`` standard input; the ending is in lower case."""
    assert (source_name("-"), source_name("a/b.csv")) == ("standard input", "a/b.csv")
    assert (ending("a.B/c"), ending("x.tar.GZ")) == ("", ".gz")


def test_a_device_that_fails_while_it_is_read():
    """An operating-system error in the middle of reading is a `DataError` too."""

    def fail():
        with reading(os.devnull):
            raise OSError(5, "Input/output error")

    with pytest.raises(DataError) as caught:
        fail()
    assert str(caught.value) == f"{os.devnull}: Input/output error; check the path and its permissions"


def test_written_csv_is_what_the_standard_library_reads():
    """Values with commas, quotation marks and line ends of every kind come back through `csv` itself."""
    values = ["a,b", 'say "x"', "two\nlines", "cr\rlf\r\n", " spaces ", "", "王"]
    write_table("t.csv", {"v": values, "n": list(range(7))})
    with open("t.csv", encoding="utf-8", newline="") as file:  # noqa: PTH123
        assert [row[0] for row in csv.reader(file, strict=True)] == ["v", *values]


def test_values_that_have_no_text():
    """Only text, numbers, booleans and None have a text."""
    for value in (b"x", [1], object(), 1j):
        with pytest.raises(TypeError):
            text_of(value)


def test_parquet_without_pyarrow_names_the_extra():
    """Where pyarrow is not installed, reading and writing Parquet say which extra to install."""
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from privwiz.tables import read_table, write_table\n"
        "for call in (lambda: read_table('t.parquet', ('a',)), lambda: write_table('t.parquet', {'a': []})):\n"
        "    try: call()\n"
        "    except ImportError as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"{MissingExtra.__name__} {what} Parquet needs the extra 'parquet': pip install 'privwiz[parquet]', "
        "or in a clone make EXTRAS=parquet extras"
        for what in ("reading", "writing")
    ]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_rows_written_one_after_the_other_are_the_table(tmp_path, monkeypatch, ending):
    """However many rows come at once, and into however many pieces they go, they are those of the table written at once."""
    monkeypatch.setattr("privwiz.tables._PIECE", 3)
    rows = [(f"user, {k}", 'say "hi"\r' if k % 2 else "") for k in range(10)]
    with writing_rows(tmp_path / f"rows{ending}", ("user", "said")) as write:
        for first, last in ((0, 0), (0, 2), (2, 3), (3, 9), (9, 10)):
            write(rows[first:last])
    write_table(tmp_path / f"table{ending}", dict(zip(("user", "said"), zip(*rows, strict=True), strict=True)))
    written, expected = (read_table(tmp_path / f"{name}{ending}", ("user", "said")) for name in ("rows", "table"))
    assert list(written.rows()) == list(expected.rows()) == rows
    if ending == ".csv":
        assert (tmp_path / "rows.csv").read_bytes() == (tmp_path / "table.csv").read_bytes()


def each(write, *pieces):
    """Write one piece after the other."""
    for piece in pieces:
        write(piece)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_rows_that_cannot_all_be_written_leave_the_old_file(tmp_path, monkeypatch, ending):
    """A value that is no text is told with its row; it, and half a character, leave what was there before."""
    monkeypatch.setattr("privwiz.tables._PIECE", 3)
    path = tmp_path / f"rows{ending}"
    write_table(path, {"user": ["ann"]})
    before = path.read_bytes()
    for bad, told in (("\ud800", "half a character"), (object(), "column 'user', row 5 holds")):
        with pytest.raises(DataError, match=told), writing_rows(path, ("user",)) as write:
            each(write, [("bob",)] * 3, [("bob",), (bad,)])
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [before]


def test_standard_output_stays_open_when_rows_fail(monkeypatch, capfdbinary):
    """Whatever goes wrong between rows, one can go on printing."""
    monkeypatch.setattr("privwiz.tables._PIECE", 3)
    with pytest.raises(DataError), writing_rows("-", ("user",)) as write:
        each(write, [("ann",)] * 3, [(object(),)])
    sys.stdout.flush()
    print("still here")
    assert capfdbinary.readouterr().out.endswith(b"still here\n")

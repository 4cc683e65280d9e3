import tracemalloc
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet as pq

from privwiz.graphs import ego_network
from privwiz.network_store import NetworkStore, Said
from privwiz.readers import read_graph
from privwiz.rejected import NO_PERSON, NO_USER, RejectedRows
from privwiz.store_builder import build_store
from privwiz.tables import read_table, write_table
from privwiz.vocabulary import Vocabulary

IDS = ["ann", "bo", "陈", "dee", "Ëva", "f"]


def stored(folder, edges, profiles=(), answers=(), memory=1 << 30):
    """Write tables, build a store of them, and return it with the rows that were rejected."""
    tables = {
        "edges": (("source", "target", "weight"), edges),
        "profiles": (("user", "field", "value"), profiles),
        "answers": (("user", "item", "friend", "decision"), answers),
    }
    paths = {}
    for name, (names, rows) in tables.items():
        paths[name] = folder / f"{name}.parquet"
        write_table(paths[name], {column: [row[k] for row in rows] for k, column in enumerate(names)})
    with RejectedRows(folder / "rejected.csv") as rejected:
        store = build_store(folder / "store", paths["edges"], paths["profiles"], paths["answers"], rejected, memory=memory)
    return store, paths, rejected.counts


def assert_same_network(one, other):
    """Two ego networks are equal in every array and profile."""
    assert (one.ego, one.friends, one.ego_profile) == (other.ego, other.friends, other.ego_profile)
    assert {friend: dict(one.profiles[friend]) for friend in one.friends} == {f: dict(other.profiles[f]) for f in other.friends}
    for name in ("indptr", "indices", "weights", "ego_weights"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert (mine is None) == (theirs is None), name
        if mine is not None:
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)


ties = st.tuples(st.sampled_from(IDS), st.sampled_from(IDS), st.sampled_from(["", "", "1", "2.5", "0.25"]))
values = st.tuples(st.sampled_from(IDS), st.sampled_from(["school", "name"]), st.sampled_from(["PKU", "MIT", "学校", ""]))


@given(st.lists(ties, min_size=1), st.lists(values), st.sampled_from([1, 1 << 30]), st.sampled_from([0, 1 << 22]))
def test_an_ego_network_is_that_of_the_graph(tmp_path_factory, edges, profiles, memory, most_ties):
    """What is cut out of the store equals what is taken out of the graph, ties spilled or not, friend by friend or not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("privwiz.network_store._MOST_TIES", most_ties)
        assert_store_cuts_as_graph(tmp_path_factory, edges, profiles, memory)


def assert_store_cuts_as_graph(tmp_path_factory, edges, profiles, memory):
    """Every ego network of the store equals that of the graph."""
    store, paths, _ = stored(tmp_path_factory.mktemp("store"), edges, profiles, memory=memory)
    graph = read_graph(paths["edges"], paths["profiles"])
    assert store.people.texts.to_pylist() == sorted(graph)
    for number, user in enumerate(sorted(graph)):
        assert store.people.number(user) == number
        assert_same_network(store.ego_network(number), ego_network(graph, user))


def test_a_network_that_does_not_fit_leaves_nothing_to_the_next(tmp_path):
    """Where memory runs short for one user, the next user's network is the same as ever."""
    store, _, _ = stored(tmp_path, [("ann", "bo", ""), ("dee", "f", ""), ("ann", "f", ""), ("ann", "dee", ""), ("bo", "f", "")])
    asked = []

    class Short(NetworkStore):
        def _array(self, name):
            asked.append(name)
            if name == "ties" and asked.count(name) == 2:  # the first time, who the friends are; now, whom they are tied to
                raise MemoryError
            return super()._array(name)

    short = Short(store.folder)
    with pytest.raises(MemoryError):
        short.ego_network(0)
    assert_same_network(short.ego_network(3), store.ego_network(3))


def test_answers_come_back_in_the_order_of_the_table(tmp_path):
    """A user's answers keep the order and the line of the table; who has none has none."""
    answers = [("bo", "phone", "ann", "allow"), ("ann", "phone", "bo", "deny"), ("bo", "email", "ann", "perhaps")]
    store, _, _ = stored(tmp_path, [("ann", "bo", "")], answers=answers)
    assert store.said(store.people.number("bo")) == (Said("phone", "ann", "allow", 1), Said("email", "ann", "perhaps", 3))
    assert store.answering().tolist() == [0, 1]


def test_friends_with_very_many_friends_take_little_memory(tmp_path, monkeypatch):
    """What an ego network takes depends on the user's own friends, however many friends these have."""
    monkeypatch.setattr("privwiz.network_store._MOST_TIES", 1 << 10, raising=False)
    fans = [("hub", f"fan{fan}", "") for fan in range(100_000)]
    store, _, _ = stored(tmp_path, [*fans, ("me", "hub", ""), ("me", "fan7", "")])
    store.ego_network(store.people.number("fan0"))  # what is mapped and made for all users is there
    tracemalloc.start()
    network = store.ego_network(store.people.number("me"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (network.friends, network.indices.tolist()) == (("fan7", "hub"), [1, 0])
    assert peak < 100_000


def test_many_pieces_are_looked_up_at_once(tmp_path, monkeypatch):
    """A table read in many pieces becomes the same store, though nobody is looked up for each piece alone."""
    names = [f"p{number:03}" for number in range(40)]
    edges = [(one, other, "") for one, other in pairwise(names)]
    answers = [(one, "phone", other, "deny") for one, other, _ in edges]
    whole, paths, _ = stored(tmp_path, edges, [(name, "school", "PKU") for name in names], answers)
    looked_up = []
    numbers = Vocabulary.numbers
    monkeypatch.setattr(Vocabulary, "numbers", lambda self, texts: looked_up.append(len(texts)) or numbers(self, texts))
    monkeypatch.setattr("privwiz.pieces._ROWS", 3)
    with RejectedRows(tmp_path / "rejected.csv") as rejected:
        store = build_store(tmp_path / "pieces", paths["edges"], paths["profiles"], paths["answers"], rejected)
    for path in whole.folder.glob("*.*"):
        assert path.read_bytes() == (store.folder / path.name).read_bytes()
    assert len(looked_up) < 20  # 39 rows of ties and answers in 13 pieces each, 40 of profiles in 14, and two or three columns


def test_what_may_hide_something_is_never_left_out(tmp_path):
    """An answer without item or decision stays with its user, and so does one that hides something from nobody we know."""
    answers = [("bo", "", "ann", "deny"), ("bo", "phone", "ann", ""), ("bo", "phone", "Ann", "deny"), ("bo", "phone", "", "ask")]
    store, _, counts = stored(tmp_path, [("ann", "bo", "")], answers=[*answers, ("bo", "phone", "Ann", "allow")])
    said = [Said("", "ann", "deny", 1), Said("phone", "ann", "", 2), Said("phone", "", "deny", 3), Said("phone", "", "ask", 4)]
    assert list(store.said(store.people.number("bo"))) == said
    assert [(reason, count) for (_, reason), count in counts.items()] == [(NO_PERSON, 3)]


def test_rows_that_cannot_be_used_are_kept_with_the_reason(tmp_path):
    """Self-ties, empty ids, bad weights and rows about strangers are rejected; the rest of the table counts."""
    edges = [("ann", "bo", "1"), ("ann", "ann", ""), ("", "bo", ""), ("bo", "dee", "-1"), ("bo", "f", "much")]
    answers = [("ann", "phone", "zoe", "allow"), ("", "phone", "bo", "deny"), ("zoe", "phone", "bo", "deny")]
    store, _, counts = stored(tmp_path, edges, [("zoe", "school", "PKU"), ("ann", "", "x")], answers)
    assert store.people.texts.to_pylist() == ["ann", "bo", "dee", "f"]
    assert sorted((table.rpartition("/")[2], reason, count) for (table, reason), count in counts.items()) == [
        ("answers.parquet", NO_USER, 1),
        ("answers.parquet", "lacks a user", 1),
        ("answers.parquet", NO_PERSON, 1),
        ("edges.parquet", "has a weight that is not a number from 1e-100 to 1e+100", 2),
        ("edges.parquet", "lacks an id", 1),
        ("edges.parquet", "ties somebody to themselves", 1),
        ("profiles.parquet", NO_USER, 1),
        ("profiles.parquet", "lacks a user or a field", 1),
    ]
    lines = (tmp_path / "rejected.csv").read_text("utf-8").splitlines()
    assert f'{tmp_path}/edges.parquet,4,has a weight that is not a number from 1e-100 to 1e+100,"bo,dee,-1"' in lines
    assert NetworkStore(tmp_path / "store").ego_network(0).friends == ("bo",)


def test_a_rejected_row_of_a_folder_can_be_found(tmp_path):
    """The rows of a folder are counted through its files, in the order in which pyarrow reads them."""
    rows = {"a-b/1": ["zoe"], "a/2": ["ann", "yan"], "b": ["xia", "ann"], "B": ["ann", "ada"]}
    for name, friends in rows.items():
        columns = {"user": "bo", "item": "phone", "decision": "allow"}
        (tmp_path / "answers" / name).parent.mkdir(parents=True, exist_ok=True)
        table = {**{column: [value] * len(friends) for column, value in columns.items()}, "friend": friends}
        write_table(tmp_path / "answers" / f"{name}.parquet", table)
    write_table(tmp_path / "edges.csv", {"source": ["ann"], "target": ["bo"]})
    with RejectedRows(tmp_path / "rejected.csv") as rejected:
        store = build_store(tmp_path / "store", tmp_path / "edges.csv", None, tmp_path / "answers", rejected)
    table = pq.read_table(tmp_path / "answers")
    found = read_table(tmp_path / "rejected.csv", ("table", "line", "row"))
    assert set(found["table"]) == {str(tmp_path / "answers")}
    assert [(table["friend"][int(line) - 1].as_py(), row.split(",")[2]) for line, row in found.rows("line", "row")] == [
        ("ada", "ada"),
        ("zoe", "zoe"),
        ("yan", "yan"),
        ("xia", "xia"),
    ]
    said = [table["friend"][answer.line - 1].as_py() for answer in store.said(store.people.number("bo"))]
    assert said == ["ann"] * 3


@pytest.mark.parametrize("kind", ["numbers", "floats", "categories", "folder"])
def test_columns_of_every_kind(tmp_path, kind):
    """Ids may be numbers or categories, weights floating point with gaps, and a table a folder of Parquet files."""
    source, target, weight = [1, 2, 3], [2, 3, 1], ["1", "", "2"]
    table = {"source": source, "target": target, "weight": weight}
    if kind == "floats":
        table = {"source": [1.0, 2.0, 3.0], "target": target, "weight": [1.0, None, 2.0]}
    elif kind == "categories":
        table |= {name: pa.array(list(map(str, table[name]))).dictionary_encode() for name in ("source", "target")}
    path = tmp_path / "edges.parquet"
    if kind == "folder":
        for day in (1, 2):
            (path / f"day={day}").mkdir(parents=True)
            part = {name: values[:1] if day == 1 else values[1:] for name, values in table.items()}
            pq.write_table(pa.table(part), path / f"day={day}" / ("part.parquet" if day == 1 else "part.PARQUET"))
        (path / "_SUCCESS").touch()
    else:
        pq.write_table(pa.table(table), path)
    write_table(tmp_path / "answers.csv", {"user": [1], "item": ["phone"], "friend": [2], "decision": ["deny"]})
    with RejectedRows(tmp_path / "rejected.csv") as rejected:
        store = build_store(tmp_path / "store", path, None, tmp_path / "answers.csv", rejected)
    assert not rejected.counts
    network = store.ego_network(store.people.number("1"))
    assert (network.friends, network.weights, network.ego_weights.tolist()) == (("2", "3"), None, [1.0, 2.0])

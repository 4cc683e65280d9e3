from hypothesis import example, given
from hypothesis import strategies as st

from privwiz.case import network_fingerprint
from privwiz.graphs import ego_network
from privwiz.network_store import Said
from privwiz.readers import read_graph
from privwiz.rejected import RejectedRows
from privwiz.store_builder import build_store
from privwiz.store_tables import write_store_tables
from privwiz.tables import read_table, write_table

IDS = ["ann", "bo", "陈", "dee", "Ëva", "f"]
COLUMNS = {
    "edges": ("source", "target", "weight"),
    "profiles": ("user", "field", "value"),
    "answers": ("user", "item", "friend", "decision"),
}


def stored(folder, tables):
    """Write tables, and build a store of them."""
    for name, rows in tables.items():
        columns = {column: [row[k] for row in rows] for k, column in enumerate(COLUMNS[name])}
        write_table(folder / f"{name}.parquet", columns)
    return built(folder)


def built(folder):
    """Build a store of the tables in a folder."""
    with RejectedRows(folder / "rejected.csv") as rejected:
        return build_store(folder / "store", *(folder / f"{name}.parquet" for name in COLUMNS), rejected)


def rows(folder):
    """Return the rows of the tables in a folder."""
    optional = {"edges": ("weight",)}
    return {
        name: list(read_table(folder / f"{name}.parquet", [c for c in names if c != "weight"], optional.get(name, ())).rows())
        for name, names in COLUMNS.items()
    }


def unlined(answer):
    """Return an answer without the line on which it stands."""
    return Said(answer.item, answer.friend, answer.decision)


pairs = st.permutations(IDS).map(lambda order: order[:2])
ties = st.tuples(pairs, st.sampled_from(["", "", "1", "2.5", "0.25"])).map(lambda tie: (*tie[0], tie[1]))
values = st.tuples(st.sampled_from(IDS), st.sampled_from(["school", "name"]), st.sampled_from(["PKU", "MIT", "学校"]))
said = st.tuples(
    st.sampled_from(IDS), st.sampled_from(["phone", "写真"]), st.sampled_from(IDS), st.sampled_from(["allow", "deny"])
)


@given(st.lists(ties, min_size=1), st.lists(values), st.lists(said))
@example([("ann", "bo", "")], [], [("ann", "phone", "dee", "deny"), ("bo", "phone", "dee", "allow")])
def test_what_is_written_out_makes_the_same_store(tmp_path_factory, edges, profiles, answers):
    """A store of the written tables has the same people, ego networks and answers; its own tables are the same files."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    store = stored(one, {"edges": edges, "profiles": profiles, "answers": answers})
    write_store_tables(store, two)
    again = built(two)
    for user in store.people.texts.to_pylist():
        here, there = store.people.number(user), again.people.number(user)
        assert network_fingerprint(store.ego_network(here)) == network_fingerprint(again.ego_network(there))
        assert [unlined(answer) for answer in again.said(there)] == [unlined(answer) for answer in store.said(here)]
    three = tmp_path_factory.mktemp("three")
    write_store_tables(again, three)
    assert rows(three) == rows(two)


def test_each_tie_is_written_once(tmp_path):
    """A tie that is said from both ends, or again, is one row, with the weight that counts."""
    edges = [("bo", "ann", "2.5"), ("ann", "bo", "1"), ("bo", "cy", ""), ("cy", "bo", "")]
    write_store_tables(stored(tmp_path, {"edges": edges, "profiles": [], "answers": []}), tmp_path)
    assert rows(tmp_path)["edges"] == [("ann", "bo", "2.5"), ("bo", "cy", "")]


def test_a_fingerprint_is_that_of_the_graph(tmp_path):
    """A network has the same fingerprint out of the store and out of the graph, and another when anything differs."""
    edges = [("ann", "bo", "2.5"), ("bo", "陈", ""), ("ann", "陈", "")]
    profiles = [("bo", "school", "PKU"), ("陈", "school", "MIT"), ("ann", "name", "Ann")]
    store = stored(tmp_path, {"edges": edges, "profiles": profiles, "answers": []})
    graph = read_graph(tmp_path / "edges.parquet", tmp_path / "profiles.parquet")
    found = {user: network_fingerprint(ego_network(graph, user)) for user in graph}
    assert found == {user: network_fingerprint(store.ego_network(k)) for k, user in enumerate(sorted(graph))}
    graph.nodes["bo"]["school"] = ("MIT",)
    assert network_fingerprint(ego_network(graph, "ann")) != found["ann"]

"""Any block of users, cut out of rows about people, gives the ego networks and answers that the whole network gives."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from privwiz.blocks import build_block
from privwiz.case import Labelling, case_fingerprint
from privwiz.graphs import ego_network
from privwiz.items import profile_items
from privwiz.network_store import Said
from privwiz.prior import Prior
from privwiz.readers import read_graph
from privwiz.tables import write_table

IDS = ["10", "9", "ann", "Ëva", "陈", "｡", "𝒳"]  # as numbers, and as UTF-16, the order would be another
LABELLING = Labelling(profile_items(("phone",)), Prior.default())

ties = st.tuples(st.sampled_from(IDS), st.sampled_from(IDS), st.sampled_from(["", "", "1", "2.5"]))
values = st.tuples(st.sampled_from(IDS), st.sampled_from(["school", "name"]), st.sampled_from(["PKU", "MIT", "学校"]))
answers = st.tuples(st.sampled_from(IDS), st.sampled_from(["phone", "email"]), st.sampled_from(IDS), st.sampled_from(["allow"]))


def block(folder, graph, users, said, order):
    """Build the block of some users, people numbered in an order of their own."""
    number = {person: k for k, person in enumerate(order)}
    needed = sorted({*users}.union(*(graph[user] for user in users)), key=number.__getitem__, reverse=True)
    rows = []
    for person in needed:
        kept = [(number[other], tie) for other, tie in graph[person].items() if number[other] > number[person]]
        rows.append(
            {
                "id": number[person],
                "user": person,
                "ties": [other for other, _ in kept],
                "weights": [float(tie.get("weight", "nan")) for _, tie in kept],
                "profile": sorted(
                    ({"field": field, "value": value} for field, held in graph.nodes[person].items() for value in held),
                    key=lambda entry: (entry["field"], entry["value"]),
                ),
                "answers": said[person] if person in users else None,
            }
        )
    text = pa.string()
    entry, cell = (pa.struct([(name, text) for name in names]) for names in (("field", "value"), ("item", "friend", "decision")))
    lists = {"ties": pa.int64(), "weights": pa.float64(), "profile": entry, "answers": cell}
    schema = pa.schema([("id", pa.int64()), ("user", text), *((name, pa.list_(kind)) for name, kind in lists.items())])
    folder.mkdir()
    return build_block(folder, pa.RecordBatch.from_pylist(rows, schema=schema))


@settings(deadline=None)
@given(st.lists(ties, min_size=1), st.lists(values), st.lists(answers), st.permutations(IDS), st.sets(st.sampled_from(IDS)))
def test_a_block_holds_what_its_users_need(tmp_path_factory, edges, profiles, answered, order, chosen):
    """Whoever is in the block, and however people are numbered, ego networks and answers are those of the whole graph."""
    folder = tmp_path_factory.mktemp("block")
    for name, columns, rows in (
        ("edges", ("source", "target", "weight"), edges),
        ("profiles", ("user", "field", "value"), profiles),
    ):
        write_table(folder / f"{name}.csv", {column: [row[k] for row in rows] for k, column in enumerate(columns)})
    graph = read_graph(folder / "edges.csv", folder / "profiles.csv")
    users = [user for user in order if user in graph and user in chosen]
    said = {
        user: [dict(zip(("item", "friend", "decision"), row[1:], strict=True)) for row in answered if row[0] == user]
        for user in IDS
    }
    if not users:
        return
    store = block(folder / "store", graph, users, said, order)
    for user in users:
        person, whole = store.people.number(user), ego_network(graph, user)
        assert store.people.some(np.array([person])) == [user]
        rows = store.said(person)
        assert rows == tuple(Said(**row) for row in said[user])
        assert case_fingerprint(store.ego_network(person), rows, LABELLING) == case_fingerprint(whole, rows, LABELLING)

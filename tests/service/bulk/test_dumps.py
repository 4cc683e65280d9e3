"""Users written out of the service as the tables of the next run, on both databases."""

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from pyarrow import parquet as pq

from privwiz.commands.options import read_items
from privwiz.files import unfinished_folder
from privwiz.items import CATALOGUE
from privwiz.tables import read_table
from privwiz_api import dump
from privwiz_api.client import Client
from privwiz_api.dump import Dump
from privwiz_api.migrate import migrate
from privwiz_api.settings import Settings

ANSWERS = ("user", "item", "friend", "decision")


HIDDEN = {"deny", "ask"}


def assert_close(one, other):
    """Two policies decide the same, with probabilities that differ by no more than the order of answers moves them."""
    assert {cell: said for cell, (said, _) in one.items()} == {cell: said for cell, (said, _) in other.items()}
    assert {cell: chance for cell, (_, chance) in one.items()} == pytest.approx(
        {cell: chance for cell, (_, chance) in other.items()}, abs=1e-6
    )


def test_items_of_the_tenants_own_go_round(app, backend, backend_of, town, tmp_path, bulk):
    """The catalogue is dumped as it is; a run over it is loaded where the catalogue is the same, and not where it allows more."""
    items = [
        {"id": "phone", "en": "phone", "zh": "电话", "sensitivity": 0.9, "cost_ratio": 2.5},
        {"id": "shoes", "en": "shoe size", "zh": "鞋码", "cost_ratio": 1.25},
    ]
    tenants = {"same": items, "strict": [items[0], {**items[1], "cost_ratio": 900}]}
    assert backend.as_admin()("PUT", "/v1/items", {"items": items}).status_code == 200
    user, policy = min(bulk.policies(town / "run").items())
    friends = sorted({friend for _, friend in policy})
    network = {"friends": {friend: {} for friend in friends}, "ties": [[friends[0], friends[1]]]}
    assert backend("PUT", f"/v1/users/{user}/network", network).status_code == 201
    said = [{"item": "shoes", "friends": [friend], "decision": "allow"} for friend in friends[:5]]
    assert backend("POST", f"/v1/users/{user}/answers", {"answers": said}).status_code == 200
    bulk.dump(backend, tmp_path / "dump")
    run = bulk.label(tmp_path / "dump", tmp_path / "run", items=read_items(str(tmp_path / "dump" / "items.parquet")))
    assert bulk.policies(run)[user] == bulk.suggested(backend, user)
    for name, expected in (("same", "loaded"), ("strict", "failed")):
        other = backend_of(app)
        assert other.as_admin()("PUT", "/v1/items", {"items": tenants[name]}).status_code == 200
        assert bulk.load(other, tmp_path / "dump", tmp_path / name, run).outcomes == {expected: 1}


def test_a_run_over_the_dump_is_the_run_that_was_loaded(backend, town, tmp_path, bulk):
    """Loaded and dumped, users have the same fingerprints, so nobody is labelled again, and labelled anew the same policies."""
    bulk.load(backend, town, tmp_path / "out")
    assert bulk.dump(backend, tmp_path / "dump") == Dump(12, 0, Counter(), 0, 0)
    assert sorted(path.name for path in (tmp_path / "dump").iterdir()) == [
        *(f"{name}.parquet" for name in ("answers", "edges", "items")),
        "partial.csv",
        *(f"{name}.parquet" for name in ("profiles", "users")),
    ]
    assert read_items(str(tmp_path / "dump" / "items.parquet")) == CATALOGUE
    since = bulk.label(tmp_path / "dump", tmp_path / "since", since=town / "run")
    assert {row["status"] for row in pq.read_table(since / "users").to_pylist()} == {"unchanged"}
    assert bulk.policies(bulk.label(tmp_path / "dump", tmp_path / "again")) == bulk.policies(town / "run")


def test_a_dump_is_the_same_whatever_the_database(postgres, another, backend_of, town, tmp_path, bulk):
    """Users are written in the order of their ids, each row once: on both databases, page by page, the same bytes."""
    tables = {}
    for name, url in (("sqlite", f"sqlite:///{tmp_path}/own.db"), ("postgresql", postgres.url)):
        own = backend_of(another(Settings(database_url=url)))
        migrate(own.app.extensions["privwiz"].database)
        bulk.load(own, town, tmp_path / f"{name}-out")
        bulk.dump(own, tmp_path / name)
        tables[name] = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
    assert tables["sqlite"] == tables["postgresql"]


def test_a_killed_dump_begins_again(database_url, backend, town, tmp_path, bulk):
    """Killed at work, a dump leaves no folder of its name; the same command again writes all of it."""
    bulk.load(backend, town, tmp_path / "loaded")
    words = ["dump", "--database", database_url, "--tenant", backend.tenant, "--out", tmp_path / "dump"]
    command = [Path(sys.executable).with_name("privwiz"), *words]
    with subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not unfinished_folder(tmp_path / "dump").exists() and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dump.unfinished", "loaded"]
    assert "12 users dumped, the tables say all of 12; " in bulk.run(*words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dump", "loaded"]


def test_a_dump_is_of_one_state(backend, network, tmp_path, monkeypatch, bulk):
    """What is written to the database while a dump reads is not in it."""
    monkeypatch.setattr(dump, "_PAGE", 1)
    for user in ("ann", "bob"):
        assert backend("PUT", f"/v1/users/{user}/network", network).status_code == 201

    class Writer(bulk.Quiet):
        def __init__(self):
            self.seen = []

        def progress(self, done, total):
            """Write when one of two users is read."""
            self.seen.append((done, total))
            if self.seen == [(0, 2), (1, 2)]:
                said = {"answers": [{"item": "phone", "friends": ["2"], "decision": "allow"}]}
                assert backend("POST", "/v1/users/bob/answers", said).status_code == 200
                assert backend("PUT", "/v1/users/cleo/network", network).status_code == 201

    assert bulk.dump(backend, tmp_path / "before", Writer()).whole == 2
    assert read_table(tmp_path / "before" / "answers.parquet", ANSWERS)["user"] == []
    assert bulk.dump(backend, tmp_path / "after").whole == 3
    assert list(read_table(tmp_path / "after" / "answers.parquet", ANSWERS).rows()) == [("bob", "phone", "2", "allow")]


def test_what_tables_cannot_hold_is_told(backend, network, tmp_path, bulk):
    """Each user of whom the tables do not say all is named with every reason; the others are in `users.parquet`."""
    friends = sorted(network["friends"])
    for user in ("cells", "several", "corrected", "grown", "group", "left"):
        assert backend("PUT", f"/v1/users/{user}/network", network).status_code == 201
    alone = {"friends": {}, "ties": [], "profile": {"town": ["Elsewhere"]}}
    assert backend("PUT", "/v1/users/alone/network", alone).status_code == 201
    more = {**network, "friends": {**network["friends"], friends[0]: {"profile": {"club": "another"}}}}
    backend(
        "PUT", "/v1/users/other/network", {**more, "friends": {name: more["friends"][name] for name in friends[:3]}, "ties": []}
    )

    def say(user, *cells):
        said = [{"item": item, "friends": names, "decision": decision} for item, names, decision in cells]
        assert backend("POST", f"/v1/users/{user}/answers", {"answers": said}).status_code == 200

    say("cells", ("phone", friends[:1], "allow"), ("phone", friends[1:2], "deny"), ("wall", friends[2:3], "unsure"))
    backend("POST", "/v1/users/cells/policy/accept", {}, match=True)
    say("several", ("phone", friends[:3], "deny"))
    circle = backend("GET", "/v1/users/corrected/circles").json["circles"][0]["id"]
    correction = {"correction": {"kind": "rename", "circle": circle, "name": "Club"}}
    assert backend("POST", "/v1/users/corrected/circles/corrections", correction).status_code == 200
    backend("POST", "/v1/users/grown/friends", {"friend": "zoe", "ties": friends[:2]})
    screen = backend("GET", "/v1/users/group/screens/next?kinds=audience").json["screens"][0]
    answer = {"screen": screen["id"], "values": ["few"] * len(screen["toggles"])}
    assert backend("POST", "/v1/users/group/answers", {"answers": [answer]}).status_code == 200
    say("left", ("phone", friends[-1:], "allow"))
    backend("DELETE", f"/v1/users/left/friends/{friends[-1]}")

    done = bulk.dump(
        backend, tmp_path / "all", named=["nobody", "cells", "several", "corrected", "grown", "group", "left", "alone"]
    )
    told = {}
    for user, reason in read_table(tmp_path / "all" / "partial.csv", ("user", "reason")).rows():
        told.setdefault(user, set()).add(reason)
    assert told == {
        "alone": {"no friends"},
        "corrected": {"circles that were corrected, or found before friends came or went"},
        "group": {"answers about a group as a whole"},
        "grown": {"circles that were corrected, or found before friends came or went"},
        "left": {"circles that were corrected, or found before friends came or went"},
        "nobody": {"not a user of the tenant"},
        "several": {"answers for several friends at once"},
    }
    assert (done.whole, done.partial, done.gone, done.accepted) == (1, 6, 1, 1)
    assert list(read_table(tmp_path / "all" / "users.parquet", ("user", "answers")).rows()) == [("cells", "3")]
    assert [row for row in read_table(tmp_path / "all" / "answers.parquet", ANSWERS).rows() if row[0] == "cells"] == [
        ("cells", "phone", friends[0], "allow"),
        ("cells", "phone", friends[1], "deny"),
        ("cells", "wall", friends[2], "ask"),
    ]
    assert_close(
        bulk.policies(bulk.label(tmp_path / "all", tmp_path / "run", users=["cells"]))["cells"], bulk.suggested(backend, "cells")
    )
    bulk.dump(backend, tmp_path / "with")
    assert ("cells", "another user's network says other things of the same people") in set(
        read_table(tmp_path / "with" / "partial.csv", ("user", "reason")).rows()
    )


def test_what_nobody_of_a_group_may_see_no_run_over_the_dump_shows(backend, network, tmp_path, bulk):
    """A group that the user closed is denied one by one, so that the batch does not allow what the service denies there."""
    assert backend("PUT", "/v1/users/ann/network", network).status_code == 201
    screen = backend("GET", "/v1/users/ann/screens/next?kinds=audience").json["screens"][0]
    values = ["nobody" if toggle["item"] == "phone" else "everybody" for toggle in screen["toggles"]]
    said = [{"screen": screen["id"], "values": values}]
    assert backend("POST", "/v1/users/ann/answers", {"answers": said}).status_code == 200
    bulk.dump(backend, tmp_path / "dump")
    decided = bulk.policies(bulk.label(tmp_path / "dump", tmp_path / "run"))["ann"]
    assert {decision for (item, _), (decision, _) in decided.items() if item == "phone"} == {"deny"}
    closed = {cell for cell, (decision, _) in bulk.suggested(backend, "ann").items() if decision == "deny"}
    assert {decided[cell][0] for cell in closed} <= HIDDEN


def test_from_tables_to_the_service_and_back(server, app, backend, sign, town, tmp_path, bulk):
    """Loaded users answer screens, accept and override through the client; dumped and labelled, all others are as before."""
    before = bulk.policies(town / "run")
    bulk.load(backend, town, tmp_path / "out")
    client = Client(server.url, sign(backend.tenant))
    user = client.user(min(before))
    screen = user.next_screen()
    user.answer(screen, ["most" if len(toggle["friends"]) > 1 else "allow" for toggle in screen["toggles"]])
    policy = user.policy()
    user.accept(policy)
    assert {(row["item"], friend) for row in user.policy()["items"] for friend in row["in_force"]} == {
        (row["item"], friend) for row in policy["items"] for friend in row["suggested"]
    }
    overrider = client.user(max(before))
    (item, friend), _ = next((cell, said) for cell, said in before[max(before)].items() if said[0] == "allow")
    overrider.override(overrider.policy(), [{"item": item, "friend": friend, "decision": "deny"}])
    client.close()

    done = bulk.dump(backend, tmp_path / "dump")
    assert (done.whole, done.partial, done.accepted) == (11, 1, 2)
    after = bulk.policies(bulk.label(tmp_path / "dump", tmp_path / "again"))
    assert {name: after[name] for name in before if name not in (min(before), max(before))} == {
        name: before[name] for name in before if name not in (min(before), max(before))
    }
    assert_close(after[max(before)], bulk.suggested(backend, max(before)))
    assert after[max(before)][item, friend][0] == "deny"
    assert after[min(before)] == before[min(before)], "the answers about groups are not in the tables"

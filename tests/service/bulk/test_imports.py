"""Runs loaded into the service, on both databases."""

import csv
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet as pq
from sqlalchemy import delete, func, select

from privwiz.errors import DataError
from privwiz.tables import read_table, write_table
from privwiz_api.migrate import migrate
from privwiz_api.settings import Settings, Webhook
from privwiz_api.tables import acceptances, answers, audit, networks, outbox, users

ANSWERS = ("user", "item", "friend", "decision")


HIDDEN = {"deny", "ask"}


def rows(backend):
    """Return every row that the service has of a tenant, but for the moments and what was drawn."""
    drawn = {"at", "created_at", "generation", "due", "id", "seq", "request"}
    with backend.app.extensions["privwiz"].database.read() as connection:
        return {
            table.name: sorted(
                str({name: value for name, value in row._asdict().items() if name not in drawn or (table, name) == (users, "id")})
                for row in connection.execute(select(table).where(table.c.tenant == backend.tenant))
            )
            for table in (users, networks, answers, acceptances, audit, outbox)
        }


def shown(backend, user):
    """Return the cells that are in force."""
    policy = backend("GET", f"/v1/users/{user}/policy").json
    return {(row["item"], friend) for row in policy["items"] for friend in row["in_force"]}


@pytest.mark.parametrize("layout", ["flat", "nested"])
def test_the_service_suggests_what_the_run_says(backend, town, tmp_path, layout, bulk):
    """Every cell of every user is suggested as in the run, to the last bit of its probability; nothing is in force."""
    run = town / "run" if layout == "flat" else bulk.label(town, tmp_path / "run", layout=layout)
    assert bulk.load(backend, town, tmp_path / "out", run).outcomes == {"loaded": 12}
    for user, policy in bulk.policies(town / "run").items():
        assert bulk.suggested(backend, user) == policy
        assert shown(backend, user) == set()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["errors.csv", "kept.csv", "users"]
    assert {row["status"] for row in pq.read_table(tmp_path / "out" / "users").to_pylist()} == {"loaded"}


def test_a_loaded_user_is_one_whom_the_backend_made(app, backend, backend_of, town, tmp_path, bulk):
    """Network, answers and versions are those of a backend's PUT and POST; the audit log has one entry for the whole user."""
    bulk.load(backend, town, tmp_path / "out")
    other = backend_of(app)
    user = min(bulk.policies(town / "run"))
    assert other("PUT", f"/v1/users/{user}/network", backend("GET", f"/v1/users/{user}/network").json).status_code == 201
    said = backend("GET", f"/v1/users/{user}/export").json["answers"]
    cells = [
        {"item": answer["item"], "friends": answer["friends"], "decision": answer["value"]}
        for entry in said
        for answer in entry["answers"]
    ]
    assert other("POST", f"/v1/users/{user}/answers", {"answers": cells}).status_code == 200
    assert bulk.suggested(other, user) == bulk.suggested(backend, user)
    mine, theirs = rows(backend), rows(other)
    for table in ("users", "networks", "answers"):
        assert [row.replace(other.tenant, backend.tenant) for row in theirs[table]] == [
            row for row in mine[table] if f"'{user}'" in row
        ]
    assert sum(f"'{user}'" in row for row in mine["audit"]) == 1
    assert all("'actor': 'backend:import', 'action': 'user.import', 'revision': 2" in row for row in mine["audit"])


def test_webhooks_hear_that_friends_joined_and_nothing_else(settings, another, backend, backend_of, town, tmp_path, bulk):
    """Each loaded user is one `suggestion.pending`, as after PUT; nothing came into force, so no `policy.changed`."""
    hooks = {backend.tenant: Webhook("https://sns.example/hook", "what the tenant and this service share")}
    app = another(replace(settings, webhooks=hooks))
    hooked = backend_of(app, backend.tenant)
    bulk.load(hooked, town, tmp_path / "out")
    bulk.load(hooked, town, tmp_path / "again")
    heard = rows(hooked)["outbox"]
    assert len(heard) == 12
    assert all("suggestion.pending" in row for row in heard)
    with app.extensions["privwiz"].database.write("test") as connection:
        connection.execute(delete(outbox).where(outbox.c.tenant == backend.tenant))


def test_loading_again_changes_nothing(backend, town, tmp_path, bulk):
    """The second time everybody is there already, and every row of the service is the same."""
    bulk.load(backend, town, tmp_path / "out")
    before = rows(backend)
    assert bulk.load(backend, town, tmp_path / "again").outcomes == {"present": 12}
    assert rows(backend) == before


def test_what_a_user_has_decided_since_stands(backend, town, tmp_path, bulk):
    """A user who accepted, overrode, answered or lost a friend since keeps all of it: no deny becomes allow by loading a run."""
    run = bulk.policies(town / "run")
    accepted, denied, answered, lost, *_ = sorted(run)
    bulk.load(backend, town, tmp_path / "out")
    assert backend("POST", f"/v1/users/{accepted}/policy/accept", {}, match=True).status_code == 200
    item, friend = next(cell for cell, (decision, _) in run[denied].items() if decision == "allow")
    cells = [{"item": item, "friend": friend, "decision": "deny"}]
    assert backend("POST", f"/v1/users/{denied}/policy/override", {"cells": cells}, match=True).status_code == 200
    item, friend = next(cell for cell, (decision, _) in run[answered].items() if decision in HIDDEN)
    said = [{"item": item, "friends": [friend], "decision": "allow"}]
    assert backend("POST", f"/v1/users/{answered}/answers", {"answers": said}).status_code == 200
    gone = min(friend for _, friend in run[lost])
    assert backend("DELETE", f"/v1/users/{lost}/friends/{gone}").status_code == 204
    before, in_force = rows(backend), {user: shown(backend, user) for user in run}

    assert bulk.load(backend, town, tmp_path / "again").outcomes == {"present": 9, "kept": 3}
    assert rows(backend) == before
    assert {user: shown(backend, user) for user in run} == in_force
    assert in_force[denied] == set()
    assert dict(read_table(tmp_path / "again" / "kept.csv", ("user", "reason")).rows()) == {
        denied: "has other answers",
        answered: "has other answers",
        lost: "has another network and other answers",
    }


def test_a_run_that_says_otherwise_is_not_loaded(backend, town, tmp_path, bulk):
    """Where the run has, by a mistake or on purpose, another decision in a single cell, the user is not loaded."""
    run, first = tmp_path / "run", min(bulk.policies(town / "run"))
    (run / "policies").mkdir(parents=True)
    (run / "users").symlink_to(town / "run" / "users")
    for path in sorted((town / "run" / "policies").iterdir()):
        table = pq.read_table(path).to_pylist()
        for row in table:
            if row["user"] == first and row["decision"] in HIDDEN:
                row["decision"] = "allow"
                break
        pq.write_table(pa.Table.from_pylist(table), run / "policies" / path.name)
    assert bulk.load(backend, town, tmp_path / "out", run).outcomes == {"loaded": 11, "failed": 1}
    ((user, reason),) = read_table(tmp_path / "out" / "errors.csv", ("user", "reason")).rows()
    assert user == first
    assert reason.startswith("the service would suggest otherwise in 1 of ")
    assert backend("GET", f"/v1/users/{user}/policy").status_code == 404


def test_other_tables_than_those_of_the_run_load_nobody_wrongly(backend, town, tmp_path, bulk):
    """Users whose answers in the tables are not those of the run are loaded only if that would change no suggestion."""
    said = list(read_table(town / "answers.parquet", ANSWERS).rows())
    other = {"allow": "deny", "deny": "allow"}
    user = min(row[0] for row in said)
    tables = tmp_path / "tables"
    tables.mkdir()
    for name in ("edges", "profiles"):
        (tables / f"{name}.parquet").symlink_to(town / f"{name}.parquet")
    bulk.write_answers(tables / "answers.parquet", [(*row[:3], other[row[3]]) if row[0] == user else row for row in said])
    assert bulk.load(backend, tables, tmp_path / "out", town / "run").outcomes == {"loaded": 11, "failed": 1}


def options(town, url, tenant, **changed):
    """Return the options that load the run over the town."""
    paths = {"graph": town / "edges.parquet", "profiles": town / "profiles.parquet", "answers": town / "answers.parquet"}
    chosen = paths | {"database": url, "tenant": tenant} | changed
    return [town / "run", *(word for name, value in chosen.items() for word in (f"--{name}", value))]


def test_one_users_failure_never_stops_the_others(database_url, app, backend, tmp_path, bulk):
    """A user whom the service does not take is listed with the reason, everybody else is loaded, and the exit code is 1."""
    ties = [("ann", "bo"), ("ann", "cy"), ("bo", "cy"), ("dee", "e" * 129), ("fay/gus", "gus"), ("hal", "ian"), ("a\0b", "gus")]
    write_table(tmp_path / "edges.parquet", {"source": [tie[0] for tie in ties], "target": [tie[1] for tie in ties]})
    write_table(tmp_path / "profiles.parquet", {"user": ["ian"], "field": ["motto"], "value": ["m" * 1001]})
    bulk.write_answers(tmp_path / "answers.parquet", [(user, "phone", friend, "allow") for user, friend in ties])
    bulk.label(tmp_path, tmp_path / "run")
    text = bulk.run("import", *options(tmp_path, database_url, backend.tenant), "--out", tmp_path / "out", code=1)
    assert "2 users loaded; " in text
    assert f"Error: 4 users were not loaded; see {tmp_path}/out/errors.csv" in text
    with (tmp_path / "out" / "errors.csv").open(encoding="utf-8", newline="") as file:
        reasons = {row["user"]: row["reason"] for row in csv.DictReader(file)}
    assert list(reasons) == ["a\0b", "dee", "fay/gus", "hal"]
    assert "should match pattern" in reasons["a\0b"]
    assert reasons["dee"].endswith("at most 128 characters")
    assert "should match pattern" in reasons["fay/gus"]
    assert reasons["hal"].endswith("at most 1000 characters")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"answers": "nowhere.csv"}, "Error: nowhere.csv: no such file; check the path"),
        ({"tenant": ""}, "Error: tenant '' cannot be; a name has 1 to 128 characters, and no control characters"),
        (
            {"database": "mysql://x"},
            "Error: databases of kind 'mysql' are not supported; give sqlite:///path or postgresql://...",
        ),
        (
            {"database": "sqlite:////nowhere/a.db"},
            "Error: the database refused (unable to open database file); mend it and run again",
        ),
        ({"database": "postgresql://127.0.0.1:9/x"}, "Error: the database refused (connection failed: "),
    ],
)
def test_bad_input_is_told_in_one_line(town, tmp_path, changed, message, bulk):
    """What cannot be used is told in one line with exit code 1, and nothing is left behind."""
    given = {"database": f"sqlite:///{tmp_path}/own.db", "tenant": "town"} | changed
    text = bulk.run(
        "import", *options(town, given.pop("database"), given.pop("tenant"), **given), "--out", tmp_path / "o", code=1
    )
    assert text.splitlines()[-1].startswith(message)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("o.") or path.name == "o"]


def test_a_run_about_other_items_is_refused(app, settings, town, tmp_path, backend, bulk):
    """Where run and service protect other things, nothing is loaded, and the message names both."""
    items = [{"id": "shoes", "en": "shoe size", "zh": "鞋码"}]
    assert backend.as_admin()("PUT", "/v1/items", {"items": items}).status_code == 200
    with pytest.raises(DataError, match=r"is about the items birthday, .*; those of tenant .* are shoes: PUT /v1/items first"):
        bulk.load(backend, town, tmp_path / "out")
    with pytest.raises(DataError, match="holds no finished run; give the folder that `privwiz label --out` made"):
        bulk.load(backend, town, tmp_path / "out", run=tmp_path)


def test_a_database_without_tables_is_refused(own_postgres, town, tmp_path, bulk):
    """PostgreSQL is the operator's to migrate, for loading as for serving; nothing is dumped of a database without tables."""
    words = options(town, own_postgres.url, "town")
    text = bulk.run("import", *words, "--out", tmp_path / "out", code=1)
    assert "Error: the database has other tables than this version needs; run `privwiz migrate` first" in text
    text = bulk.run("dump", "--database", own_postgres.url, "--tenant", "town", "--out", tmp_path / "out", code=1)
    assert "Error: the database has other tables than this version needs; run `privwiz migrate` first" in text


def test_the_commands_take_nothing_by_halves(town, tmp_path, bulk):
    """Wrong usage is 2; a folder that is there stays; a database that is not there is not made by a dump."""
    bulk.run("import", town / "run", "--out", tmp_path / "out", code=2)
    bulk.run("dump", "--out", tmp_path / "out", code=2)
    url = f"sqlite:///{tmp_path}/none.db"
    text = bulk.run("dump", "--database", url, "--tenant", "town", "--out", tmp_path / "out", code=1)
    assert text == f"Error: {tmp_path}/none.db: there is no such database; check the path\n"
    assert list(tmp_path.iterdir()) == []
    text = bulk.run("dump", "--database", url, "--tenant", "town", "--users", 5, "--out", tmp_path / "out", code=1)
    assert text == "Error: --users 5 draws users by chance; give a table\n"
    bulk.run("migrate", DATABASE_URL=url)
    text = bulk.run("dump", "--database", url, "--tenant", "town", "--out", tmp_path / "out", code=1)
    assert text.splitlines()[-1] == "Error: tenant 'town' has no user with friends here; nobody can be labelled"
    (tmp_path / "out").mkdir()
    text = bulk.run("import", *options(town, url, "town"), "--out", tmp_path / "out", code=1)
    assert text == f"Error: {tmp_path}/out: is there already; name a folder that is not\n"


def test_two_imports_at_once_load_everybody_once(backend, town, tmp_path, bulk):
    """Whoever comes first makes a user, the other finds it there; the service is as after one import."""
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(bulk.load, backend, town, tmp_path / name) for name in ("one", "two")]
    outcomes = [run.result().outcomes for run in done]
    assert sum(counts["loaded"] for counts in outcomes) == sum(counts["present"] for counts in outcomes) == 12
    assert {name: len(found) for name, found in rows(backend).items()} == {
        "users": 12,
        "networks": 12,
        "answers": len(read_table(town / "answers.parquet", ANSWERS)),
        "acceptances": 0,
        "audit": 12,
        "outbox": 0,
    }


KILLS = int(os.environ.get("PRIVWIZ_KILLS", "3"))


@pytest.mark.slow
def test_a_killed_import_goes_on_to_the_same_service(database_url, app, backend, backend_of, town, tmp_path, bulk):
    """Killed at any point, the same command again loads those who are missing, and nobody twice or by halves.

    PRIVWIZ_KILLS says at how many points.
    """
    bulk.load(backend, town, tmp_path / "whole")
    expected = {name: [row.replace(backend.tenant, "") for row in found] for name, found in rows(backend).items()}
    command = [Path(sys.executable).with_name("privwiz"), "import", *options(town, database_url, "")]
    place = command.index("--tenant") + 1
    for kill in range(KILLS):
        killed = backend_of(app)
        command[place] = killed.tenant
        out = tmp_path / f"out{kill}"
        with subprocess.Popen(
            [*map(str, command), "--out", out, "--workers", str(1 + kill % 2)], stderr=subprocess.DEVNULL
        ) as process:
            wait_for_users(killed, 1 + kill * 10 // KILLS, process)
            process.send_signal(signal.SIGKILL)
        found = len(rows(killed)["users"])
        assert found >= 1
        done = subprocess.run([*map(str, command), "--out", out], capture_output=True, text=True, check=True)
        assert f"{12 - found} users loaded" in done.stdout
        assert {name: [row.replace(killed.tenant, "") for row in found] for name, found in rows(killed).items()} == expected


def wait_for_users(backend, count, process):
    """Wait until the service has so many users of a tenant."""
    deadline = time.monotonic() + 120
    of_tenant = select(func.count()).select_from(users).where(users.c.tenant == backend.tenant)
    while time.monotonic() < deadline and process.poll() is None:
        with backend.app.extensions["privwiz"].database.read() as connection:
            if connection.scalar(of_tenant) >= count:
                return
        time.sleep(0.002)
    pytest.fail(f"the process ended with {process.poll()} before {count} users were there")


@pytest.mark.slow
def test_an_import_outlives_a_killed_database(own_postgres, another, backend_of, town, tmp_path, bulk):
    """When PostgreSQL dies, the command ends with one line; when it is back, the same command loads those who are missing."""
    own = backend_of(another(Settings(database_url=own_postgres.url)), "town")
    migrate(own.app.extensions["privwiz"].database)
    words = ["import", *options(town, own_postgres.url, "town"), "--out", tmp_path / "out"]
    command = [str(word) for word in (Path(sys.executable).with_name("privwiz"), *words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        wait_for_users(own, 1, process)
        own_postgres.process.kill()
        own_postgres.process.wait()
        last = process.stderr.read().splitlines()[-1]
    assert process.returncode == 1
    assert last.startswith("Error: the database refused (")
    assert last.endswith("; mend it and run again")
    own_postgres.restart()
    own.app.extensions["privwiz"].database.close()
    there = len(rows(own)["users"])
    assert 0 < there < 12
    assert f"{12 - there} users loaded, {there} there already; " in bulk.run(*words)


def test_an_interrupted_import_leaves_quietly(database_url, app, backend, town, tmp_path):
    """Ctrl-C ends the command with exit code 130 and no traceback, and leaves no folder."""
    command = [Path(sys.executable).with_name("privwiz"), "import", *options(town, database_url, backend.tenant)]
    with subprocess.Popen([*map(str, command), "--out", tmp_path / "out"], stderr=subprocess.PIPE, text=True) as process:
        wait_for_users(backend, 1, process)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert (process.returncode, "Traceback" in rest) == (130, False), rest
    assert list(tmp_path.iterdir()) == []


def limited(kilobytes, *words):
    """Run a command that may write no file larger than this; return it when it has ended."""
    script = f'trap "" XFSZ; ulimit -f {kilobytes}; exec "$@"'
    command = ["bash", "-c", script, "bash", Path(sys.executable).with_name("privwiz"), *words]
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)


def test_a_full_disk_is_told_and_loads_nobody_by_halves(another, backend_of, town, tmp_path, bulk):
    """Where the system takes no more bytes, both commands end with the reason and leave no folder; with room again they go on."""
    url = f"sqlite:///{tmp_path}/own.db"
    own = backend_of(another(Settings(database_url=url)), "town")
    migrate(own.app.extensions["privwiz"].database)
    words = ["import", *options(town, url, "town"), "--out", tmp_path / "out"]
    done = limited(200, *words)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] in {
        f"Error: the database refused ({reason}); mend it and run again"
        for reason in ("disk I/O error", "database or disk is full")
    }
    there = len(rows(own)["users"])
    assert 0 < there < 12
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("out")]
    assert f"{12 - there} users loaded, {there} there already; " in bulk.run(*words)

    words = ["dump", "--database", url, "--tenant", "town", "--out", tmp_path / "dump"]
    done = limited(8, *words)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        f"Error: {tmp_path}/dump: File too large; mend it and run again",
    )
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("dump")]
    assert "12 users dumped, the tables say all of 12; " in bulk.run(*words)

"""Runs loaded into the service and users written out of it, on both databases."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from pyarrow import parquet as pq
from sqlalchemy import delete, func, select

from privwiz.batch import BatchInput, Resources, label_many
from privwiz.case import Labelling
from privwiz.cli import main
from privwiz.commands.options import read_items
from privwiz.community import simulate_community
from privwiz.community_files import write_community
from privwiz.errors import DataError
from privwiz.files import unfinished_folder
from privwiz.items import CATALOGUE
from privwiz.prior import Prior
from privwiz.tables import read_table, write_table
from privwiz_api import dump
from privwiz_api.client import Client
from privwiz_api.dump import Dump, dump_tenant
from privwiz_api.imports import ImportInput, import_run
from privwiz_api.migrate import migrate
from privwiz_api.settings import Settings, Webhook
from privwiz_api.tables import acceptances, answers, audit, networks, outbox, users

ANSWERS = ("user", "item", "friend", "decision")
TABLES = ("edges", "profiles", "answers")
HIDDEN = {"deny", "ask"}


class Quiet:
    """Watches, and says nothing."""

    def say(self, text):
        """Hear it."""

    def progress(self, done, total):
        """Hear it."""


@pytest.fixture(scope="session")
def town(tmp_path_factory):
    """Return the folder with the tables of a town of 60 people, 12 of whom have answered, and the run over them."""
    folder = tmp_path_factory.mktemp("town")
    write_community(simulate_community(60, seed=3), folder, answers_per_item=4, ending=".parquet")
    rows = list(read_table(folder / "answers.parquet", ANSWERS).rows())
    write_answers(folder / "answers.parquet", [row for row in rows if row[0] in sorted({row[0] for row in rows})[::5]])
    label(folder, folder / "run")
    return folder


def write_answers(path, rows):
    """Write rows (user, item, friend, decision)."""
    write_table(path, {name: [row[k] for row in rows] for k, name in enumerate(ANSWERS)})


def label(tables, out, **options):
    """Label the users of the tables in a folder."""
    edges, profiles, said = (tables / f"{name}.parquet" for name in TABLES)
    given = BatchInput(edges, said, profiles, **{name: options.pop(name) for name in ("users", "since") if name in options})
    labelling = Labelling(options.pop("items", CATALOGUE), Prior.default())
    return label_many(given, out, labelling, resources=Resources(1, 5), **options).folder


def policies(folder):
    """Return the policies of a run, user by user."""
    found = {}
    for row in pq.read_table(folder / "policies").to_pylist():
        found.setdefault(row["user"], {})[row["item"], row["friend"]] = (row["decision"], row["probability"])
    return found


def load(backend, town, out, run=None, **options):
    """Load a run over the town for the tenant of a backend."""
    settings = backend.app.extensions["privwiz"].settings
    edges, profiles, said = (town / f"{name}.parquet" for name in TABLES)
    return import_run(ImportInput(run or town / "run", edges, said, profiles), out, settings, backend.tenant, Quiet(), **options)


def dumped(backend, out, watcher=None, named=None):
    """Dump the tenant of a backend."""
    return dump_tenant(backend.app.extensions["privwiz"].database, backend.tenant, out, watcher or Quiet(), named)


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


def suggested(backend, user):
    """Return what the service suggests, as a run has it."""
    state = backend.app.extensions["privwiz"].states.current(backend.tenant, user)
    return {(cell.item, cell.friend): (cell.decision.value, cell.probability) for cell in state.policy}


def assert_close(one, other):
    """Two policies decide the same, with probabilities that differ by no more than the order of answers moves them."""
    assert {cell: said for cell, (said, _) in one.items()} == {cell: said for cell, (said, _) in other.items()}
    assert {cell: chance for cell, (_, chance) in one.items()} == pytest.approx(
        {cell: chance for cell, (_, chance) in other.items()}, abs=1e-6
    )


def shown(backend, user):
    """Return the cells that are in force."""
    policy = backend("GET", f"/v1/users/{user}/policy").json
    return {(row["item"], friend) for row in policy["items"] for friend in row["in_force"]}


@pytest.mark.parametrize("layout", ["flat", "nested"])
def test_the_service_suggests_what_the_run_says(backend, town, tmp_path, layout):
    """Every cell of every user is suggested as in the run, to the last bit of its probability; nothing is in force."""
    run = town / "run" if layout == "flat" else label(town, tmp_path / "run", layout=layout)
    assert load(backend, town, tmp_path / "out", run).outcomes == {"loaded": 12}
    for user, policy in policies(town / "run").items():
        assert suggested(backend, user) == policy
        assert shown(backend, user) == set()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["errors.csv", "kept.csv", "users"]
    assert {row["status"] for row in pq.read_table(tmp_path / "out" / "users").to_pylist()} == {"loaded"}


def test_a_loaded_user_is_one_whom_the_backend_made(app, backend, backend_of, town, tmp_path):
    """Network, answers and versions are those of a backend's PUT and POST; the audit log has one entry for the whole user."""
    load(backend, town, tmp_path / "out")
    other = backend_of(app)
    user = min(policies(town / "run"))
    assert other("PUT", f"/v1/users/{user}/network", backend("GET", f"/v1/users/{user}/network").json).status_code == 201
    said = backend("GET", f"/v1/users/{user}/export").json["answers"]
    cells = [
        {"item": answer["item"], "friends": answer["friends"], "decision": answer["value"]}
        for entry in said
        for answer in entry["answers"]
    ]
    assert other("POST", f"/v1/users/{user}/answers", {"answers": cells}).status_code == 200
    assert suggested(other, user) == suggested(backend, user)
    mine, theirs = rows(backend), rows(other)
    for table in ("users", "networks", "answers"):
        assert [row.replace(other.tenant, backend.tenant) for row in theirs[table]] == [
            row for row in mine[table] if f"'{user}'" in row
        ]
    assert sum(f"'{user}'" in row for row in mine["audit"]) == 1
    assert all("'actor': 'backend:import', 'action': 'user.import', 'revision': 2" in row for row in mine["audit"])


def test_webhooks_hear_that_friends_joined_and_nothing_else(settings, another, backend, backend_of, town, tmp_path):
    """Each loaded user is one `suggestion.pending`, as after PUT; nothing came into force, so no `policy.changed`."""
    hooks = {backend.tenant: Webhook("https://sns.example/hook", "what the tenant and this service share")}
    app = another(replace(settings, webhooks=hooks))
    hooked = backend_of(app, backend.tenant)
    load(hooked, town, tmp_path / "out")
    load(hooked, town, tmp_path / "again")
    heard = rows(hooked)["outbox"]
    assert len(heard) == 12
    assert all("suggestion.pending" in row for row in heard)
    with app.extensions["privwiz"].database.write("test") as connection:
        connection.execute(delete(outbox).where(outbox.c.tenant == backend.tenant))


def test_loading_again_changes_nothing(backend, town, tmp_path):
    """The second time everybody is there already, and every row of the service is the same."""
    load(backend, town, tmp_path / "out")
    before = rows(backend)
    assert load(backend, town, tmp_path / "again").outcomes == {"present": 12}
    assert rows(backend) == before


def test_what_a_user_has_decided_since_stands(backend, town, tmp_path):
    """A user who accepted, overrode, answered or lost a friend since keeps all of it: no deny becomes allow by loading a run."""
    run = policies(town / "run")
    accepted, denied, answered, lost, *_ = sorted(run)
    load(backend, town, tmp_path / "out")
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

    assert load(backend, town, tmp_path / "again").outcomes == {"present": 9, "kept": 3}
    assert rows(backend) == before
    assert {user: shown(backend, user) for user in run} == in_force
    assert in_force[denied] == set()
    assert dict(read_table(tmp_path / "again" / "kept.csv", ("user", "reason")).rows()) == {
        denied: "has other answers",
        answered: "has other answers",
        lost: "has another network and other answers",
    }


def test_a_run_that_says_otherwise_is_not_loaded(backend, town, tmp_path):
    """Where the run has, by a mistake or on purpose, another decision in a single cell, the user is not loaded."""
    run, first = tmp_path / "run", min(policies(town / "run"))
    (run / "policies").mkdir(parents=True)
    (run / "users").symlink_to(town / "run" / "users")
    for path in sorted((town / "run" / "policies").iterdir()):
        table = pq.read_table(path).to_pylist()
        for row in table:
            if row["user"] == first and row["decision"] in HIDDEN:
                row["decision"] = "allow"
                break
        pq.write_table(pa.Table.from_pylist(table), run / "policies" / path.name)
    assert load(backend, town, tmp_path / "out", run).outcomes == {"loaded": 11, "failed": 1}
    ((user, reason),) = read_table(tmp_path / "out" / "errors.csv", ("user", "reason")).rows()
    assert user == first
    assert reason.startswith("the service would suggest otherwise in 1 of ")
    assert backend("GET", f"/v1/users/{user}/policy").status_code == 404


def test_other_tables_than_those_of_the_run_load_nobody_wrongly(backend, town, tmp_path):
    """Users whose answers in the tables are not those of the run are loaded only if that would change no suggestion."""
    said = list(read_table(town / "answers.parquet", ANSWERS).rows())
    other = {"allow": "deny", "deny": "allow"}
    user = min(row[0] for row in said)
    tables = tmp_path / "tables"
    tables.mkdir()
    for name in ("edges", "profiles"):
        (tables / f"{name}.parquet").symlink_to(town / f"{name}.parquet")
    write_answers(tables / "answers.parquet", [(*row[:3], other[row[3]]) if row[0] == user else row for row in said])
    assert load(backend, tables, tmp_path / "out", town / "run").outcomes == {"loaded": 11, "failed": 1}


def run_command(*words, code=0, **environment):
    """Run the command line in this process; return what it prints."""
    done = CliRunner().invoke(main, [str(word) for word in words], env=environment)
    assert done.exit_code == code, (done.exit_code, done.output, done.exception)
    return done.output


def options(town, url, tenant, **changed):
    """Return the options that load the run over the town."""
    paths = {"graph": town / "edges.parquet", "profiles": town / "profiles.parquet", "answers": town / "answers.parquet"}
    chosen = paths | {"database": url, "tenant": tenant} | changed
    return [town / "run", *(word for name, value in chosen.items() for word in (f"--{name}", value))]


def test_one_users_failure_never_stops_the_others(database_url, app, backend, tmp_path):
    """A user whom the service does not take is listed with the reason, everybody else is loaded, and the exit code is 1."""
    ties = [("ann", "bo"), ("ann", "cy"), ("bo", "cy"), ("dee", "e" * 129), ("fay/gus", "gus"), ("hal", "ian"), ("a\0b", "gus")]
    write_table(tmp_path / "edges.parquet", {"source": [tie[0] for tie in ties], "target": [tie[1] for tie in ties]})
    write_table(tmp_path / "profiles.parquet", {"user": ["ian"], "field": ["motto"], "value": ["m" * 1001]})
    write_answers(tmp_path / "answers.parquet", [(user, "phone", friend, "allow") for user, friend in ties])
    label(tmp_path, tmp_path / "run")
    text = run_command("import", *options(tmp_path, database_url, backend.tenant), "--out", tmp_path / "out", code=1)
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
def test_bad_input_is_told_in_one_line(town, tmp_path, changed, message):
    """What cannot be used is told in one line with exit code 1, and nothing is left behind."""
    given = {"database": f"sqlite:///{tmp_path}/own.db", "tenant": "town"} | changed
    text = run_command(
        "import", *options(town, given.pop("database"), given.pop("tenant"), **given), "--out", tmp_path / "o", code=1
    )
    assert text.splitlines()[-1].startswith(message)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("o.") or path.name == "o"]


def test_a_run_about_other_items_is_refused(app, settings, town, tmp_path, backend):
    """Where run and service protect other things, nothing is loaded, and the message names both."""
    items = [{"id": "shoes", "en": "shoe size", "zh": "鞋码"}]
    assert backend.as_admin()("PUT", "/v1/items", {"items": items}).status_code == 200
    with pytest.raises(DataError, match=r"is about the items birthday, .*; those of tenant .* are shoes: PUT /v1/items first"):
        load(backend, town, tmp_path / "out")
    with pytest.raises(DataError, match="holds no finished run; give the folder that `privwiz label --out` made"):
        load(backend, town, tmp_path / "out", run=tmp_path)


def test_items_of_the_tenants_own_go_round(app, backend, backend_of, town, tmp_path):
    """The catalogue is dumped as it is; a run over it is loaded where the catalogue is the same, and not where it allows more."""
    items = [
        {"id": "phone", "en": "phone", "zh": "电话", "sensitivity": 0.9, "cost_ratio": 2.5},
        {"id": "shoes", "en": "shoe size", "zh": "鞋码", "cost_ratio": 1.25},
    ]
    tenants = {"same": items, "strict": [items[0], {**items[1], "cost_ratio": 900}]}
    assert backend.as_admin()("PUT", "/v1/items", {"items": items}).status_code == 200
    user, policy = min(policies(town / "run").items())
    friends = sorted({friend for _, friend in policy})
    network = {"friends": {friend: {} for friend in friends}, "ties": [[friends[0], friends[1]]]}
    assert backend("PUT", f"/v1/users/{user}/network", network).status_code == 201
    said = [{"item": "shoes", "friends": [friend], "decision": "allow"} for friend in friends[:5]]
    assert backend("POST", f"/v1/users/{user}/answers", {"answers": said}).status_code == 200
    dumped(backend, tmp_path / "dump")
    run = label(tmp_path / "dump", tmp_path / "run", items=read_items(str(tmp_path / "dump" / "items.parquet")))
    assert policies(run)[user] == suggested(backend, user)
    for name, expected in (("same", "loaded"), ("strict", "failed")):
        other = backend_of(app)
        assert other.as_admin()("PUT", "/v1/items", {"items": tenants[name]}).status_code == 200
        assert load(other, tmp_path / "dump", tmp_path / name, run).outcomes == {expected: 1}


def test_a_database_without_tables_is_refused(own_postgres, town, tmp_path):
    """PostgreSQL is the operator's to migrate, for loading as for serving; nothing is dumped of a database without tables."""
    words = options(town, own_postgres.url, "town")
    text = run_command("import", *words, "--out", tmp_path / "out", code=1)
    assert "Error: the database has other tables than this version needs; run `privwiz migrate` first" in text
    text = run_command("dump", "--database", own_postgres.url, "--tenant", "town", "--out", tmp_path / "out", code=1)
    assert "Error: the database has other tables than this version needs; run `privwiz migrate` first" in text


def test_the_commands_take_nothing_by_halves(town, tmp_path):
    """Wrong usage is 2; a folder that is there stays; a database that is not there is not made by a dump."""
    run_command("import", town / "run", "--out", tmp_path / "out", code=2)
    run_command("dump", "--out", tmp_path / "out", code=2)
    url = f"sqlite:///{tmp_path}/none.db"
    text = run_command("dump", "--database", url, "--tenant", "town", "--out", tmp_path / "out", code=1)
    assert text == f"Error: {tmp_path}/none.db: there is no such database; check the path\n"
    assert list(tmp_path.iterdir()) == []
    text = run_command("dump", "--database", url, "--tenant", "town", "--users", 5, "--out", tmp_path / "out", code=1)
    assert text == "Error: --users 5 draws users by chance; give a table\n"
    run_command("migrate", DATABASE_URL=url)
    text = run_command("dump", "--database", url, "--tenant", "town", "--out", tmp_path / "out", code=1)
    assert text.splitlines()[-1] == "Error: tenant 'town' has no user with friends here; nobody can be labelled"
    (tmp_path / "out").mkdir()
    text = run_command("import", *options(town, url, "town"), "--out", tmp_path / "out", code=1)
    assert text == f"Error: {tmp_path}/out: is there already; name a folder that is not\n"


def test_two_imports_at_once_load_everybody_once(backend, town, tmp_path):
    """Whoever comes first makes a user, the other finds it there; the service is as after one import."""
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(load, backend, town, tmp_path / name) for name in ("one", "two")]
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
def test_a_killed_import_goes_on_to_the_same_service(database_url, app, backend, backend_of, town, tmp_path):
    """Killed at any point, the same command again loads those who are missing, and nobody twice or by halves.

    PRIVWIZ_KILLS says at how many points.
    """
    load(backend, town, tmp_path / "whole")
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
def test_an_import_outlives_a_killed_database(own_postgres, another, backend_of, town, tmp_path):
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
    assert f"{12 - there} users loaded, {there} there already; " in run_command(*words)


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


def test_a_full_disk_is_told_and_loads_nobody_by_halves(another, backend_of, town, tmp_path):
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
    assert f"{12 - there} users loaded, {there} there already; " in run_command(*words)

    words = ["dump", "--database", url, "--tenant", "town", "--out", tmp_path / "dump"]
    done = limited(8, *words)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        f"Error: {tmp_path}/dump: File too large; mend it and run again",
    )
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("dump")]
    assert "12 users dumped, the tables say all of 12; " in run_command(*words)


def test_a_run_over_the_dump_is_the_run_that_was_loaded(backend, town, tmp_path):
    """Loaded and dumped, users have the same fingerprints, so nobody is labelled again, and labelled anew the same policies."""
    load(backend, town, tmp_path / "out")
    assert dumped(backend, tmp_path / "dump") == Dump(12, 0, Counter(), 0, 0)
    assert sorted(path.name for path in (tmp_path / "dump").iterdir()) == [
        *(f"{name}.parquet" for name in ("answers", "edges", "items")),
        "partial.csv",
        *(f"{name}.parquet" for name in ("profiles", "users")),
    ]
    assert read_items(str(tmp_path / "dump" / "items.parquet")) == CATALOGUE
    since = label(tmp_path / "dump", tmp_path / "since", since=town / "run")
    assert {row["status"] for row in pq.read_table(since / "users").to_pylist()} == {"unchanged"}
    assert policies(label(tmp_path / "dump", tmp_path / "again")) == policies(town / "run")


def test_a_dump_is_the_same_whatever_the_database(postgres, another, backend_of, town, tmp_path):
    """Users are written in the order of their ids, each row once: on both databases, page by page, the same bytes."""
    tables = {}
    for name, url in (("sqlite", f"sqlite:///{tmp_path}/own.db"), ("postgresql", postgres.url)):
        own = backend_of(another(Settings(database_url=url)))
        migrate(own.app.extensions["privwiz"].database)
        load(own, town, tmp_path / f"{name}-out")
        dumped(own, tmp_path / name)
        tables[name] = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
    assert tables["sqlite"] == tables["postgresql"]


def test_a_killed_dump_begins_again(database_url, backend, town, tmp_path):
    """Killed at work, a dump leaves no folder of its name; the same command again writes all of it."""
    load(backend, town, tmp_path / "loaded")
    words = ["dump", "--database", database_url, "--tenant", backend.tenant, "--out", tmp_path / "dump"]
    command = [Path(sys.executable).with_name("privwiz"), *words]
    with subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not unfinished_folder(tmp_path / "dump").exists() and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dump.unfinished", "loaded"]
    assert "12 users dumped, the tables say all of 12; " in run_command(*words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dump", "loaded"]


def test_a_dump_is_of_one_state(backend, network, tmp_path, monkeypatch):
    """What is written to the database while a dump reads is not in it."""
    monkeypatch.setattr(dump, "_PAGE", 1)
    for user in ("ann", "bob"):
        assert backend("PUT", f"/v1/users/{user}/network", network).status_code == 201

    class Writer(Quiet):
        def __init__(self):
            self.seen = []

        def progress(self, done, total):
            """Write when one of two users is read."""
            self.seen.append((done, total))
            if self.seen == [(0, 2), (1, 2)]:
                said = {"answers": [{"item": "phone", "friends": ["2"], "decision": "allow"}]}
                assert backend("POST", "/v1/users/bob/answers", said).status_code == 200
                assert backend("PUT", "/v1/users/cleo/network", network).status_code == 201

    assert dumped(backend, tmp_path / "before", Writer()).whole == 2
    assert read_table(tmp_path / "before" / "answers.parquet", ANSWERS)["user"] == []
    assert dumped(backend, tmp_path / "after").whole == 3
    assert list(read_table(tmp_path / "after" / "answers.parquet", ANSWERS).rows()) == [("bob", "phone", "2", "allow")]


def test_what_tables_cannot_hold_is_told(backend, network, tmp_path):
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

    done = dumped(backend, tmp_path / "all", named=["nobody", "cells", "several", "corrected", "grown", "group", "left", "alone"])
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
    assert_close(policies(label(tmp_path / "all", tmp_path / "run", users=["cells"]))["cells"], suggested(backend, "cells"))
    dumped(backend, tmp_path / "with")
    assert ("cells", "another user's network says other things of the same people") in set(
        read_table(tmp_path / "with" / "partial.csv", ("user", "reason")).rows()
    )


def test_what_nobody_of_a_group_may_see_no_run_over_the_dump_shows(backend, network, tmp_path):
    """A group that the user closed is denied one by one, so that the batch does not allow what the service denies there."""
    assert backend("PUT", "/v1/users/ann/network", network).status_code == 201
    screen = backend("GET", "/v1/users/ann/screens/next?kinds=audience").json["screens"][0]
    values = ["nobody" if toggle["item"] == "phone" else "everybody" for toggle in screen["toggles"]]
    said = [{"screen": screen["id"], "values": values}]
    assert backend("POST", "/v1/users/ann/answers", {"answers": said}).status_code == 200
    dumped(backend, tmp_path / "dump")
    decided = policies(label(tmp_path / "dump", tmp_path / "run"))["ann"]
    assert {decision for (item, _), (decision, _) in decided.items() if item == "phone"} == {"deny"}
    closed = {cell for cell, (decision, _) in suggested(backend, "ann").items() if decision == "deny"}
    assert {decided[cell][0] for cell in closed} <= HIDDEN


def test_from_tables_to_the_service_and_back(server, app, backend, sign, town, tmp_path):
    """Loaded users answer screens, accept and override through the client; dumped and labelled, all others are as before."""
    before = policies(town / "run")
    load(backend, town, tmp_path / "out")
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

    done = dumped(backend, tmp_path / "dump")
    assert (done.whole, done.partial, done.accepted) == (11, 1, 2)
    after = policies(label(tmp_path / "dump", tmp_path / "again"))
    assert {name: after[name] for name in before if name not in (min(before), max(before))} == {
        name: before[name] for name in before if name not in (min(before), max(before))
    }
    assert_close(after[max(before)], suggested(backend, max(before)))
    assert after[max(before)][item, friend][0] == "deny"
    assert after[min(before)] == before[min(before)], "the answers about groups are not in the tables"

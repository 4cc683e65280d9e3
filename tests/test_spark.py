"""Spark finds what the local engine finds. One session serves all tests; without Java 17 they are skipped, but not in CI."""

import csv
import os
import shutil
import subprocess
import sys
from itertools import combinations

import pytest
from pyarrow import parquet as pq

from privwiz.batch import BatchInput, label_many
from privwiz.case import Labelling
from privwiz.community import simulate_community
from privwiz.community_files import write_community
from privwiz.errors import DataError
from privwiz.items import profile_items
from privwiz.prior import Prior
from privwiz.spark import label_on_spark
from privwiz.tables import read_table, write_table

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("spark")]  # one session

ITEMS = ("phone", "birthday", "photos")
NAMES = ("user", "item", "friend", "decision")
EDGES = ("source", "target", "weight")
ODD = ("10", "9", "｡", "𝒳")
"""Ids that would be in another order as numbers or as UTF-16."""


def java_version():
    """Return the version of Java as it says it, None without Java."""
    java = shutil.which("java")
    return java and subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr.splitlines()[0]


@pytest.fixture(scope="module")
def session():
    """A Spark session of two processes on this machine."""
    version = java_version()
    if version is None:
        reason = "Spark needs Java 17, and there is no Java"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.memory": "1g",
        # Nothing here runs long enough to be worth compiling well, or planning twice.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.codegen.wholeStage": "false",
    }
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").appName("privwiz tests")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """The tables of a town of 60 people, 12 of whom have answered, with odd ids, and rows of every kind that cannot be used."""
    folder = tmp_path_factory.mktemp("town")
    write_community(simulate_community(60, seed=3), folder, answers_per_item=4, ending=".parquet")
    rows = list(read_table(folder / "answers.parquet", NAMES).rows())
    users = sorted({row[0] for row in rows})[::5]
    rows = [row for row in rows if row[0] in users and row[1] in ITEMS]
    rows += [
        rows[0],
        (users[1], "shoe size", rows[0][2], "deny"),
        (users[1], "phone", "nobody", "deny"),
        ("nobody", *rows[0][1:]),
    ]
    rows += [(*next(row for row in rows if row[0] == users[2])[:3], "ask"), (users[3], "phone", "", "deny")]
    rows += [("10", "phone", "9", "deny"), ("𝒳", "phone", "｡", "allow"), ("loner", "phone", "10", "deny")]
    write_table(folder / "answers.parquet", {name: [row[k] for row in rows] for k, name in enumerate(NAMES)})
    edges = read_table(folder / "edges.parquet", ("source", "target", "weight"))
    more = [("ada", "ada", "1"), ("", "ada", "1"), ("ada", users[1], "-1"), (edges["target"][0], edges["source"][0], "9.5")]
    more += [*((one, other, "") for one, other in combinations((*ODD, users[4], users[5]), 2)), ("loner", "loner", "")]
    write_table(
        folder / "edges.parquet", {name: [*edges[name], *(row[k] for row in more)] for k, name in enumerate(edges.columns)}
    )
    return folder


def tables(town, **changed):
    """Return the input of a run over the town."""
    return BatchInput(**{name: town / f"{name}.parquet" for name in ("edges", "answers", "profiles")} | changed)


def rows(folder, table):
    """Return the rows of a table of a run, sorted."""
    return sorted(tuple(map(str, row.values())) for row in pq.read_table(folder / table).to_pylist())


def assert_same_run(spark, local):
    """Two runs have the same policies, outcomes, fingerprints and counts, to the last bit."""
    for table in ("policies", "users"):
        assert rows(spark.folder, table) == rows(local.folder, table)
    for name in ("outcomes", "decisions", "rejected", "errors"):
        assert getattr(spark.report, name) == getattr(local.report, name), name


def test_spark_finds_what_the_local_engine_finds(session, town, tmp_path):
    """All users, flat: the same as on one machine; with bad rows, odd ids, a user who contradicts itself and one without ties."""
    how = Labelling(profile_items(ITEMS), Prior.default())
    local = label_many(tables(town), tmp_path / "local", how)
    spark = label_on_spark(tables(town), tmp_path / "spark", how, session=session)
    assert_same_run(spark, local)
    assert spark.report.outcomes == {"labelled": 12, "failed": 3}
    assert len(spark.report.rejected) == 7
    assert "Policies of 12 users" in (tmp_path / "spark" / "report.html").read_text("utf-8")
    assert not (tmp_path / "spark.unfinished").exists()


def test_spark_takes_every_option(session, town, tmp_path):
    """Named users, nested, with reasons, since an earlier run, and a limit of friends: the same as on one machine."""
    how = Labelling(profile_items(ITEMS), Prior.default(), reasons="en", most_friends=12)
    monday = label_many(tables(town), tmp_path / "monday", how, layout="nested")
    assert monday.report.outcomes["labelled"] > 0
    others = sorted(set(read_table(town / "edges.parquet", ("source", "target"))["target"]))[:4]
    users = [*(row[0] for row in rows(tmp_path / "monday", "users")), *others, "stranger"]
    given = tables(town, users=users, since=tmp_path / "monday")
    local = label_many(given, tmp_path / "local", how, layout="nested")
    assert_same_run(label_on_spark(given, tmp_path / "spark", how, layout="nested", session=session), local)
    assert set(local.report.outcomes) == {"labelled", "unchanged", "failed"}
    assert local.report.errors[0] == ("stranger", "is not in the graph")


def test_spark_looks_at_the_users_of_the_earlier_run_again(session, town, tmp_path):
    """Whose answers are withdrawn is labelled without them, and who has left the graph is said to; both as on one machine."""
    how = Labelling(profile_items(ITEMS), Prior.default())
    label_on_spark(tables(town), tmp_path / "monday", how, session=session)
    answers, edges = (read_table(town / f"{name}.parquet", columns) for name, columns in (("answers", NAMES), ("edges", EDGES)))
    first, second = sorted({row[0] for row in answers.rows()} - {"nobody", "loner"})[-3:-1]
    said = [row for row in answers.rows() if first not in (row[0], row[2]) and row[0] != second]
    ties = [row for row in edges.rows() if first not in row[:2]]
    write_table(tmp_path / "answers.parquet", {name: [row[k] for row in said] for k, name in enumerate(NAMES)})
    write_table(tmp_path / "edges.parquet", {name: [row[k] for row in ties] for k, name in enumerate(EDGES)})
    given = tables(town, answers=tmp_path / "answers.parquet", edges=tmp_path / "edges.parquet", since=tmp_path / "monday")
    local = label_many(given, tmp_path / "local", how)
    assert_same_run(label_on_spark(given, tmp_path / "spark", how, session=session), local)
    assert local.report.errors[0] == (first, "is not in the graph")
    assert second in {row[0] for row in rows(tmp_path / "spark", "policies")}


def test_spark_reads_ids_and_weights_as_they_stand(session, tmp_path):
    """User 007 of a folder by users is not user 7; weights in single precision count as they are; odd values stay one value."""
    import pyarrow as pa

    edges = {"source": ["007", "7", "007", "7", "c,d"], "target": ["a", "a", "b", "b", "c,d"]}
    edges = pa.table(edges | {"weight": pa.array([5.3, 0.1, 1.7, 2.9, 1.0], pa.float32())})
    pq.write_table(edges, tmp_path / "edges.parquet")
    columns = {"item": ["phone", "phone"], "friend": ["a", "a"], "decision": ["allow", "deny"]}
    write_table(tmp_path / "answers.parquet", {"user": ["007", "7"]} | columns)
    for k, user in enumerate(("007", "7")):
        (tmp_path / "answers" / f"user={user}").mkdir(parents=True)
        rest = {name: [values[k]] for name, values in columns.items()}
        write_table(tmp_path / "answers" / f"user={user}" / "x.parquet", rest)
    how = Labelling(profile_items(ITEMS), Prior.default())
    local = label_many(BatchInput(tmp_path / "edges.parquet", tmp_path / "answers.parquet"), tmp_path / "local", how)
    spark = label_on_spark(BatchInput(tmp_path / "edges.parquet", tmp_path / "answers"), tmp_path / "spark", how, session=session)
    assert rows(spark.folder, "policies") == rows(local.folder, "policies")
    assert rows(spark.folder, "users") == rows(local.folder, "users")
    said = {row[0]: row[3] for row in rows(tmp_path / "spark", "policies") if row[1:3] == ("phone", "a")}
    assert said == {"007": "allow", "7": "deny"}
    with (min((tmp_path / "spark" / "rejected.csv").glob("*.csv"))).open(encoding="utf-8", newline="") as file:
        refused = list(csv.reader(file, strict=True))
    assert next(csv.reader([refused[1][2]], strict=True))[:2] == ["c,d", "c,d"]


def test_spark_tells_what_it_cannot_use(session, town, tmp_path):
    """A missing file or column, a column of another kind and a folder that is there are told as the local engine tells them."""
    how = Labelling(profile_items(ITEMS), Prior.default())
    write_table(tmp_path / "bad.csv", {"user": ["ada"], "item": ["phone"], "decision": ["deny"]})
    with pytest.raises(DataError, match=r"column 'friend' is missing \(found 'user', 'item', 'decision'\)"):
        label_on_spark(tables(town, answers=tmp_path / "bad.csv"), tmp_path / "out", how, session=session)
    write_table(tmp_path / "strong.csv", {"source": ["ada"], "target": ["bo"], "Weight": [3]})
    with pytest.raises(DataError, match="column 'Weight' is not read; call it 'weight', or leave it out"):
        label_on_spark(tables(town, edges=tmp_path / "strong.csv"), tmp_path / "out", how, session=session)
    with pytest.raises(DataError, match="Spark cannot read it"):
        label_on_spark(tables(town, edges=tmp_path / "none.parquet"), tmp_path / "out", how, session=session)
    write_table(tmp_path / "numbers.parquet", {"source": [1.5], "target": ["bo"]})
    with pytest.raises(DataError, match="column 'source' holds double; on Spark give text or whole numbers"):
        label_on_spark(tables(town, edges=tmp_path / "numbers.parquet"), tmp_path / "out", how, session=session)
    (tmp_path / "torn.parquet").write_bytes((town / "edges.parquet").read_bytes()[:2000] + b"PAR1")
    with pytest.raises(DataError, match=r"Spark gave up \(.*; mend it, delete .*unfinished and run again"):
        label_on_spark(tables(town, edges=tmp_path / "torn.parquet"), tmp_path / "torn", how, session=session)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: holds no finished run; give the folder that an earlier run wrote"):
        label_on_spark(tables(town, since=tmp_path / "empty"), tmp_path / "out", how, session=session)
    with pytest.raises(DataError, match="is there already"):
        label_on_spark(tables(town), tmp_path, how, session=session)
    write_table(tmp_path / "strangers.csv", dict(zip(NAMES, (["nobody"], ["phone"], ["ada"], ["deny"]), strict=True)))
    with pytest.raises(DataError, match="no answers in it that could be used"):
        label_on_spark(tables(town, answers=tmp_path / "strangers.csv"), tmp_path / "out", how, session=session)
    assert not list(tmp_path.glob("out*"))

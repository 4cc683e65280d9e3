"""Policies of many users on a Spark cluster: ego networks by joins there, and for each user the same function as everywhere."""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from privwiz.batch import BatchInput, BatchRun
from privwiz.batch_report import SHOWN, ChunkReport, batch_report
from privwiz.case import Labelled, Labelling, judge_case
from privwiz.decisions import DECIDED
from privwiz.errors import DataError, MissingExtra
from privwiz.files import FilePath
from privwiz.graphs import EgoNetwork
from privwiz.network_store import Said, stated_weights
from privwiz.policy_parts import Layout, policy_table
from privwiz.profiles import Profile
from privwiz.rejected import NO_FRIEND, NO_USER
from privwiz.tables import pyarrow
from privwiz.ties import STRONGEST, WEAKEST, canonical_ties

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["label_on_spark"]

_CASES_IN_BATCH = 20
_USERS_IN_PARTITION = 100
_LABELLED = (
    "user string, status string, friends long, answers long, fingerprint string, error string, seconds double, "
    "names array<string>, decisions array<tinyint>, probabilities array<double>, reasons array<string>, "
    "rejected array<struct<reason:string,item:string,friend:string,decision:string>>"
)
_FLAT = "user string, item string, friend string, decision string, probability double"
_NESTED = "user string, item string, friends array<string>, decisions array<string>, percents array<tinyint>"


def label_on_spark(
    given: BatchInput, out: FilePath, labelling: Labelling, *, layout: Layout = "flat", session: "SparkSession | None" = None
) -> BatchRun:
    """Label many users on Spark: `privwiz.batch.label_many` for networks that no machine holds.

    The results are the same to the last bit. Tables and ``out`` may be any URL that Spark reads and writes; ``errors.csv`` and
    ``rejected.csv`` are folders there, as Spark writes them, and rows have no line. Work is kept in ``OUT.unfinished``, which
    becomes ``OUT`` when all is done; after a fault, delete it and run again.

    Parameters
    ----------
    given : BatchInput
        Without ``new``.
    out : path
    labelling : Labelling
    layout : {"flat", "nested"}
    session : pyspark.sql.SparkSession, optional
        The running one, or a new one, unless given.

    Raises
    ------
    DataError
        If a table cannot be used, or ``out`` or ``OUT.unfinished`` is there already.
    MissingExtra
        If pyspark is not installed.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise MissingExtra("the engine spark", "spark") from None
    if given.new is not None:
        raise DataError("suggestions for new friends are made by the local engine; leave --engine spark out")
    started = time.monotonic()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = session or SparkSession.builder.appName("privwiz").getOrCreate()
    session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(_CASES_IN_BATCH))
    files = _Files(session)
    for path in (str(out), f"{out}.unfinished"):
        if files.exists(path):
            raise DataError("is there already; delete it, or name a folder that is not there", source=path)
    folder, tables = f"{out}.unfinished", _Tables.read(session, given)
    users, strangers = tables.choose(session, given, labelling.seed)
    staged = _staged(session, tables, users, given, labelling)
    staged.write.parquet(f"{folder}/_labelled")
    labelled = session.read.parquet(f"{folder}/_labelled")
    _write_policies(labelled, f"{folder}/policies", labelling, layout)
    outcome = labelled.select("user", "status", "friends", "answers", "fingerprint", "error")
    outcome.sort("user").write.parquet(f"{folder}/users")
    errors = outcome.where("error != ''").select("user", "error").union(strangers)
    errors.sort("user").coalesce(1).write.csv(f"{folder}/errors.csv", header=True)
    rejected = tables.rejected.union(_rejected_answers(labelled, str(given.answers)))
    rejected.coalesce(1).write.csv(f"{folder}/rejected.csv", header=True)
    report = _report(labelled, session.read.csv(f"{folder}/rejected.csv", header=True), strangers, labelling)
    for name, text in batch_report(report, time.monotonic() - started, session.sparkContext.defaultParallelism).items():
        files.write(f"{folder}/{name}", text)
    files.delete(f"{folder}/_labelled")
    files.rename(folder, str(out))
    return BatchRun(out, report)


@dataclass(frozen=True, eq=False, slots=True)
class _Tables:
    """What a run reads, sifted: ties both ways, profiles of people, answers of people; and the rows that were rejected."""

    people: "DataFrame"
    ties: "DataFrame"
    profiles: "DataFrame"
    answers: "DataFrame"
    rejected: "DataFrame"

    @classmethod
    def read(cls, session: "SparkSession", given: BatchInput) -> "_Tables":
        from pyspark.sql import functions as f

        edges = _table(session, given.edges, ("source", "target"), ("weight",))
        edges = edges.withColumn("number", f.expr("try_cast(nullif(weight, '') as double)"))
        wrong = f.expr(f"weight != '' and not coalesce(number between {WEAKEST!r} and {STRONGEST!r}, false)")
        edges = edges.withColumn(
            "reason",
            f.when(f.expr("source = '' or target = ''"), "lacks an id")
            .when(f.expr("source = target"), "ties somebody to themselves")
            .when(wrong, f"has a weight that is not a number from {WEAKEST:g} to {STRONGEST:g}"),
        )
        people = edges.select(f.col("source").alias("user")).union(edges.select("target")).where("user != ''").distinct()
        good = edges.where("reason is null")
        both = good.select(f.col("source").alias("who"), f.col("target").alias("whom"), "number").union(
            good.select("target", "source", "number")
        )
        strongest = f.when(f.bool_or(f.isnull("number")), f.greatest(f.max("number"), f.when(f.max("number").isNotNull(), 1.0)))
        ties = both.groupBy("who", "whom").agg(strongest.otherwise(f.max("number")).alias("weight"))
        answers = _table(session, given.answers, ("user", "item", "friend", "decision"))
        nothing = f.when(f.expr("'' in (user, item, friend, decision)"), "lacks a user, an item, a friend or a decision")
        answers = answers.withColumn("reason", nothing)
        profiles = session.createDataFrame([], "user string, field string, value string, reason string")
        if given.profiles is not None:
            profiles = _table(session, given.profiles, ("user", "field", "value"))
            profiles = profiles.withColumn("reason", f.when(f.expr("'' in (user, field)"), "lacks a user or a field"))
        known = people.withColumn("known", f.lit("yes"))
        answers, profiles = (
            table.join(known, "user", "left").withColumn("reason", f.coalesce("reason", f.when(f.isnull("known"), NO_USER)))
            for table in (answers, profiles)
        )
        met = people.select(f.col("user").alias("friend"), f.lit("yes").alias("met"))
        strange = f.coalesce("reason", f.when(f.isnull("met"), NO_FRIEND))
        answers = answers.join(met, "friend", "left").withColumn("reason", strange)
        rejected = [
            _rejected(table, str(path), names)
            for table, path, names in (
                (edges, given.edges, ("source", "target", "weight")),
                (answers, given.answers, ("user", "item", "friend", "decision")),
                (profiles, given.profiles, ("user", "field", "value")),
            )
        ]
        return cls(
            people,
            ties,
            profiles.where("reason is null and value != ''").select("user", "field", "value").distinct(),
            answers.where("reason is null").select("user", "item", "friend", "decision"),
            rejected[0].union(rejected[1]).union(rejected[2]),
        )

    def choose(self, session: "SparkSession", given: BatchInput, seed: int) -> "tuple[DataFrame, DataFrame]":
        """Return the users to label, and those asked for who are not in the graph with the error."""
        from pyspark.sql import functions as f

        answering = self.answers.select("user").distinct()
        nobody = session.createDataFrame([], "user string, error string")
        if given.users is None:
            return answering, nobody
        if isinstance(given.users, int):
            known = np.sort(np.array([row.user for row in answering.collect()]))
            if given.users >= len(known):
                return answering, nobody
            chosen = np.random.default_rng(seed).choice(known, given.users, replace=False)
            return session.createDataFrame([(str(user),) for user in chosen], "user string"), nobody
        asked = session.createDataFrame([(user,) for user in given.users], "user string").distinct()
        strangers = asked.join(self.people, "user", "left_anti").withColumn("error", f.lit("is not in the graph"))
        return asked.join(self.people, "user", "left_semi"), strangers


def _table(session: "SparkSession", path: FilePath, required: Sequence[str], optional: Sequence[str] = ()) -> "DataFrame":
    """Read a table with the named columns as text, ``""`` where nothing is said."""
    from pyspark.errors import AnalysisException
    from pyspark.sql import functions as f
    from pyspark.sql.types import IntegralType, StringType

    source = str(path)
    try:
        if source.lower().endswith(".csv"):
            table = session.read.csv(
                source, header=True, inferSchema=False, quote='"', escape='"', multiLine=True, mode="FAILFAST"
            )
        else:
            table = session.read.parquet(source)
    except AnalysisException as error:
        raise DataError(f"Spark cannot read it ({str(error).splitlines()[0]:.200}); check the path", source=source) from None
    missing = [name for name in required if name not in table.columns]
    if missing:
        found = ", ".join(map(repr, table.columns))
        raise DataError(f"column {missing[0]!r} is missing (found {found:.200}); name it in the header", source=source)
    for name in (*required, *optional):
        kind = table.schema[name].dataType if name in table.columns else StringType()
        if name != "weight" and not isinstance(kind, StringType | IntegralType):
            raise DataError(f"column {name!r} holds {kind.simpleString()}; on Spark give text or whole numbers", source=source)
    columns = [f.coalesce(f.col(name).cast("string"), f.lit("")).alias(name) for name in required]
    columns += [
        (f.coalesce(f.col(name).cast("string"), f.lit("")) if name in table.columns else f.lit("")).alias(name)
        for name in optional
    ]
    return table.select(*columns)


def _rejected(table: "DataFrame", source: str, names: Sequence[str]) -> "DataFrame":
    from pyspark.sql import functions as f

    return table.where("reason is not null").select(f.lit(source).alias("table"), "reason", f.concat_ws(",", *names).alias("row"))


def _staged(session: "SparkSession", tables: _Tables, users: "DataFrame", given: BatchInput, labelling: Labelling) -> "DataFrame":
    """Put each user's case together by joins, and label it."""
    from pyspark.sql import functions as f

    friends = users.join(tables.ties, users.user == tables.ties.who).select("user", f.col("whom").alias("friend"), "weight")
    degree = friends.groupBy("user").agg(f.count("*").alias("degree"))
    friends = friends.join(degree.where(f.col("degree") <= labelling.most_friends), "user", "left_semi")
    one = friends.select("user", f.col("friend").alias("who"))
    other = friends.select("user", f.col("friend").alias("whom"))
    inner = one.join(tables.ties.where("who < whom"), "who").join(other, ["user", "whom"])
    around = friends.select("user", f.col("friend").alias("person")).union(users.select("user", f.col("user").alias("person")))
    values = tables.profiles.withColumnRenamed("user", "person").join(around, "person")
    cases = (
        users.join(degree, "user", "left")
        .join(friends.groupBy("user").agg(f.collect_list(f.struct("friend", "weight")).alias("around")), "user", "left")
        .join(inner.groupBy("user").agg(f.collect_list(f.struct("who", "whom", "weight")).alias("ties")), "user", "left")
        .join(values.groupBy("user").agg(f.collect_list(f.struct("person", "field", "value")).alias("profiles")), "user", "left")
        .join(
            tables.answers.groupBy("user").agg(f.collect_list(f.struct("item", "friend", "decision")).alias("answers")),
            "user",
            "left",
        )
    )
    before = session.createDataFrame([], "user string, before string")
    if given.since is not None:
        before = session.read.parquet(f"{given.since}/users").select("user", f.col("fingerprint").alias("before"))
    count = users.count()
    if not count and given.users is None:
        raise DataError("no answers in it that could be used; add rows, or name users", source=str(given.answers))
    partitions = max(session.sparkContext.defaultParallelism, count // _USERS_IN_PARTITION)
    cases = cases.join(before, "user", "left").repartition(partitions, "user")
    return cases.mapInArrow(partial(_label_batches, labelling), _LABELLED)


def _label_batches(labelling: Labelling, batches: Iterable[Any]) -> Iterator[Any]:
    """Label the users of Arrow batches; runs on the cluster."""
    pa, _ = pyarrow("the engine spark")
    for batch in batches:
        rows = []
        for number in range(len(batch)):
            row = {name: batch.column(name)[number] for name in batch.schema.names}
            user, begun = row["user"].as_py(), time.process_time()
            case = partial(_case, user, row)
            outcome, labelled = judge_case(user, row["degree"].as_py() or 0, case, labelling, row["before"].as_py() or "")
            rows.append(
                {
                    **{name: getattr(outcome, name) for name in ("user", "status", "friends", "answers", "fingerprint", "error")},
                    "seconds": time.process_time() - begun,
                    "names": None if labelled is None else labelled.friends,
                    "decisions": None if labelled is None else labelled.decisions.ravel(),
                    "probabilities": None if labelled is None else labelled.probability.ravel(),
                    "reasons": None if labelled is None else labelled.reasons,
                    "rejected": []
                    if labelled is None
                    else [
                        {"reason": reason, "item": said.item, "friend": said.friend, "decision": said.decision}
                        for said, reason in labelled.rejected
                    ],
                }
            )
        yield pa.RecordBatch.from_pylist(rows, schema=_arrow_schema())


def _arrow_schema() -> Any:
    pa, _ = pyarrow("the engine spark")
    text, said = pa.string(), pa.struct([(name, pa.string()) for name in ("reason", "item", "friend", "decision")])
    kinds = {"friends": pa.int64(), "answers": pa.int64(), "seconds": pa.float64(), "names": pa.list_(text)}
    kinds |= {"decisions": pa.list_(pa.int8()), "probabilities": pa.list_(pa.float64()), "reasons": pa.list_(text)}
    kinds |= {"rejected": pa.list_(said)}
    names = [part.split()[0] for part in _LABELLED.split(", ")]
    return pa.schema([(name, kinds.get(name, text)) for name in names])


def _case(user: str, row: dict[str, Any]) -> tuple[EgoNetwork, tuple[Said, ...]]:
    """Return network and answers of one user from the columns that the joins collected."""
    pa, _ = pyarrow("the engine spark")
    from pyarrow import compute

    def fields(name: str, *parts: str) -> list[Any]:
        listed = row[name].values
        return [pa.array([], pa.string())] * len(parts) if listed is None else [listed.field(part) for part in parts]

    names, strengths = fields("around", "friend", "weight")
    friends = sorted(names.to_pylist())
    order = compute.index_in(pa.array(friends, pa.string()), value_set=names).to_numpy(zero_copy_only=False)
    one, other, weights = fields("ties", "who", "whom", "weight")
    rows, cols = (
        compute.index_in(end, value_set=pa.array(friends, pa.string())).to_numpy(zero_copy_only=False) for end in (one, other)
    )
    indptr, indices, strength = canonical_ties(len(friends), rows, cols, _numbers(weights))
    assert strength is not None
    profiles: dict[str, dict[str, list[str]]] = {person: {} for person in (*friends, user)}
    cells = zip(*(part.to_pylist() for part in fields("profiles", "person", "field", "value")), strict=True)
    for person, field, value in sorted(cells):
        profiles[person].setdefault(field, []).append(value)
    frozen: dict[str, Profile] = {
        person: {field: tuple(values) for field, values in profile.items()} for person, profile in profiles.items()
    }
    own = frozen.pop(user)
    ego_weights = stated_weights(_numbers(strengths)[order])
    network = EgoNetwork(user, tuple(friends), indptr, indices, stated_weights(strength), frozen, own, ego_weights)
    said = zip(*(part.to_pylist() for part in fields("answers", "item", "friend", "decision")), strict=True)
    return network, tuple(Said(item, friend, decision) for item, friend, decision in said)


def _numbers(column: Any) -> Any:
    """Return an Arrow column of numbers as an array, NaN for null."""
    return column.cast("double").to_numpy(zero_copy_only=False)


def _write_policies(labelled: "DataFrame", path: str, labelling: Labelling, layout: Layout) -> None:
    schema = _FLAT if layout == "flat" else _NESTED
    if labelling.reasons is not None:
        schema += ", reason string" if layout == "flat" else ", reasons array<string>"
    kept = labelled.where("status = 'labelled'").select("user", "names", "decisions", "probabilities", "reasons")
    ordered = kept.repartitionByRange("user").sortWithinPartitions("user")
    ordered.mapInArrow(partial(_policy_batches, labelling, layout), schema).write.parquet(path)


def _policy_batches(labelling: Labelling, layout: Layout, batches: Iterable[Any]) -> Iterator[Any]:
    """Turn labelled users into rows of policies; runs on the cluster."""
    pa, _ = pyarrow("the engine spark")
    names = [item.id for item in labelling.items]
    for batch in batches:
        labelled = []
        for number in range(len(batch)):
            row = {name: batch.column(name)[number] for name in batch.schema.names}
            friends = tuple(row["names"].as_py())
            shape = (len(names), len(friends))
            probability = row["probabilities"].values.to_numpy().reshape(shape)
            decisions = row["decisions"].values.to_numpy().reshape(shape)
            reasons = None if labelling.reasons is None else tuple(row["reasons"].as_py())
            labelled.append(Labelled(row["user"].as_py(), friends, probability, decisions, reasons, ()))
        table = policy_table(labelled, names, layout, reasons=labelling.reasons is not None)
        if layout == "nested":  # Spark has no numbers without a sign
            at = table.schema.get_field_index("percents")
            table = table.set_column(at, "percents", table["percents"].cast(pa.list_(pa.int8())))
        yield from table.to_batches()


def _rejected_answers(labelled: "DataFrame", source: str) -> "DataFrame":
    from pyspark.sql import functions as f

    rows = labelled.select("user", f.explode("rejected").alias("said"))
    values = f.concat_ws(",", "user", "said.item", "said.friend", "said.decision")
    return rows.select(f.lit(source).alias("table"), f.col("said.reason").alias("reason"), values.alias("row"))


def _report(labelled: "DataFrame", rejected: "DataFrame", strangers: "DataFrame", labelling: Labelling) -> ChunkReport:
    from pyspark.sql import functions as f

    outcomes = Counter({row.status: row["count"] for row in labelled.groupBy("status").count().collect()})
    missing = [(row.user, row.error) for row in strangers.sort("user").collect()]
    outcomes["failed"] += len(missing)
    cells = labelled.select(f.size("names").alias("n"), f.posexplode("decisions").alias("at", "decision"))
    counted = cells.groupBy(f.expr("int(at / n)").alias("item"), "decision").count().collect()
    numbers = {(row["item"], row["decision"]): row["count"] for row in counted}
    decisions = Counter(
        {
            (item.id, decision.value): numbers.get((j, number), 0)
            for j, item in enumerate(labelling.items)
            for number, decision in enumerate(DECIDED)
        }
    )
    failed = labelled.where("error != ''").sort("user").select("user", "error").limit(SHOWN).collect()
    slow = labelled.where("status = 'labelled'").sort(f.desc("seconds"), f.desc("user")).limit(SHOWN).collect()
    return ChunkReport(
        outcomes,
        decisions,
        Counter({(row["table"], row["reason"]): row["count"] for row in rejected.groupBy("table", "reason").count().collect()}),
        [*missing, *((row.user, row.error) for row in failed)][:SHOWN],
        [(row.seconds, row.user, row.friends) for row in slow],
        sum(row["sum(seconds)"] or 0.0 for row in labelled.groupBy().sum("seconds").collect()),
    )


class _Files:
    """Single files and folders where Spark writes, by Hadoop's file systems."""

    def __init__(self, session: "SparkSession") -> None:
        context: Any = session.sparkContext
        self._path = context._jvm.org.apache.hadoop.fs.Path  # noqa: SLF001 - pyspark has no public way to Hadoop's files
        self._settings = context._jsc.hadoopConfiguration()  # noqa: SLF001 - the same

    def _at(self, path: str) -> tuple[Any, Any]:
        at = self._path(path)
        return at.getFileSystem(self._settings), at

    def exists(self, path: str) -> bool:
        system, at = self._at(path)
        return bool(system.exists(at))

    def write(self, path: str, text: str) -> None:
        system, at = self._at(path)
        stream = system.create(at)
        stream.write(bytearray(text.encode()))
        stream.close()

    def delete(self, path: str) -> None:
        system, at = self._at(path)
        system.delete(at, True)  # noqa: FBT003 - Java has no names for arguments: with all that is in it

    def rename(self, path: str, to: str) -> None:
        system, at = self._at(path)
        if not system.rename(at, self._path(to)):
            raise DataError(f"cannot be renamed to {to}; do it by hand: all is in it", source=path)

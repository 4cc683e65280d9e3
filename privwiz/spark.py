"""Policies of many users on a Spark cluster: ego networks by joins there, and for each user the same function as everywhere."""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from privwiz.batch import BatchInput, BatchRun, stored_case, warm_up
from privwiz.batch_report import SHOWN, ChunkReport, batch_report
from privwiz.blocks import build_block
from privwiz.case import Labelling, judge_case
from privwiz.decisions import DECIDED
from privwiz.errors import DataError, MissingExtra
from privwiz.files import FilePath
from privwiz.network_store import NetworkStore
from privwiz.policy_parts import Layout
from privwiz.rejected import NO_PERSON, NO_USER, STRANGER
from privwiz.tables import check_columns, pyarrow
from privwiz.ties import STRONGEST, WEAKEST

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["label_on_spark"]

_FRIENDS_IN_BLOCK = 100_000
_USERS_IN_BATCH = 50
_CSV = {"quote": '"', "escape": '"', "emptyValue": ""}
"""Quotes in quotes are doubled, as everybody else writes them."""
_LABELLED = (
    "user string, status string, friends long, answers long, fingerprint string, error string, seconds double, "
    "names array<string>, decisions array<tinyint>, probabilities array<double>, counts array<long>, reasons array<string>, "
    "rejected array<struct<reason:string,item:string,friend:string,decision:string>>"
)


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
        from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise MissingExtra("the engine spark", "spark") from None
    if given.new is not None:
        raise DataError("suggestions for new friends are made by the local engine; leave --engine spark out")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = session or SparkSession.builder.appName("privwiz").getOrCreate()
    session.conf.set("spark.sql.sources.partitionColumnTypeInference.enabled", "false")  # else user 007 becomes user 7
    try:
        return _run(session, given, out, labelling, layout)
    except (PySparkException, Py4JJavaError) as error:
        wrong = f"Spark gave up ({_cause(error):.300}); mend it, delete {out}.unfinished and run again"
        raise DataError(wrong, source=str(out)) from None


def _cause(error: Any) -> str:
    """Return the first line of what was the matter first."""
    java = getattr(error, "java_exception", None)
    while java is not None and java.getCause() is not None:
        java = java.getCause()
    return str(error if java is None else java.getMessage()).strip().partition("\n")[0]


def _run(session: "SparkSession", given: BatchInput, out: FilePath, labelling: Labelling, layout: Layout) -> BatchRun:
    started, files, folder = time.monotonic(), _Files(session), f"{out}.unfinished"
    for path in (str(out), folder):
        if files.exists(path):
            raise DataError("is there already; delete it, or name a folder that is not there", source=path)
    earlier = None if given.since is None else _earlier(session, files, str(given.since), layout)
    _ = labelling.fingerprint  # found out here: who only receives the code does not know its version
    tables = _Tables.read(session, given, folder)
    users, strangers = tables.choose(session, given, labelling.seed, earlier)
    before = _frame(session, user=[], before=[]) if earlier is None else earlier
    tables.gather(users, before).write.parquet(f"{folder}/_people")
    people = session.read.parquet(f"{folder}/_people")
    try:
        staged = _label(session, people, given, labelling)
    except DataError:
        files.delete(folder)  # there is nothing in it that could be used
        raise
    staged.write.parquet(f"{folder}/_labelled")
    labelled = session.read.parquet(f"{folder}/_labelled")
    _write_policies(labelled, f"{folder}/policies", labelling, layout)
    outcome = labelled.select("user", "status", "friends", "answers", "fingerprint", "error")
    outcome.sort("user").write.parquet(f"{folder}/users")
    errors = outcome.where("error != ''").select("user", "error").union(strangers)
    errors.sort("user").coalesce(1).write.csv(f"{folder}/errors.csv", header=True, **_CSV)
    rejected = tables.rejected.union(_rejected_answers(labelled, str(given.answers)))
    rejected.coalesce(1).write.csv(f"{folder}/rejected.csv", header=True, **_CSV)
    refused = session.read.csv(f"{folder}/rejected.csv", header=True, multiLine=True, **_CSV)
    report = _report(labelled, refused, strangers, labelling)
    for name, text in batch_report(report, time.monotonic() - started, session.sparkContext.defaultParallelism).items():
        files.write(f"{folder}/{name}", text)
    for name in ("_numbers", "_people", "_labelled"):
        files.delete(f"{folder}/{name}")
    files.rename(folder, str(out))
    return BatchRun(out, report)


@dataclass(frozen=True, eq=False, slots=True)
class _Tables:
    """What a run reads, sifted, and with numbers for people: ``people`` has number and id, the others number people by these."""

    people: "DataFrame"
    ties: "DataFrame"
    profiles: "DataFrame"
    answers: "DataFrame"
    rejected: "DataFrame"

    @classmethod
    def read(cls, session: "SparkSession", given: BatchInput, folder: str) -> "_Tables":
        from pyspark.sql import functions as f

        edges = _table(session, given.edges, ("source", "target"), weighted=True)
        wrong = f.expr(f"weight != '' and not coalesce(stated between {WEAKEST!r} and {STRONGEST!r}, false)")
        edges = edges.withColumn(
            "reason",
            f.when(f.expr("source = '' or target = ''"), "lacks an id")
            .when(f.expr("source = target"), "ties somebody to themselves")
            .when(wrong, f"has a weight that is not a number from {WEAKEST:g} to {STRONGEST:g}"),
        )
        answers = _table(session, given.answers, ("user", "item", "friend", "decision"))
        answers = answers.withColumn("reason", f.when(f.col("user") == "", "lacks a user"))
        profiles = _frame(session, user=[], field=[], value=[], reason=[])
        if given.profiles is not None:
            profiles = _table(session, given.profiles, ("user", "field", "value"))
            profiles = profiles.withColumn("reason", f.when(f.expr("'' in (user, field)"), "lacks a user or a field"))
        people = _numbered(session, edges, folder)
        known = f.coalesce("reason", f.when(f.isnull("number"), NO_USER))
        answers, profiles = (table.join(people, "user", "left").withColumn("reason", known) for table in (answers, profiles))
        met = people.select(f.col("user").alias("friend"), f.lit("yes").alias("met"))
        strange = f.coalesce("reason", f.when(f.isnull("met"), NO_PERSON))
        answers = answers.join(met, "friend", "left").withColumn("reason", strange)
        # What hides something from nobody we know was meant for somebody: it stays with its user, who gets no policy for it.
        kept = answers.where("reason is null or (number is not null and met is null and decision != 'allow')")
        kept = kept.withColumn("friend", f.when(f.isnull("met"), "").otherwise(f.col("friend")))
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
            _ties(edges.where("reason is null"), people),
            profiles.where("reason is null and value != ''").select("number", "field", "value"),
            kept.select("number", "user", "item", "friend", "decision"),
            rejected[0].union(rejected[1]).union(rejected[2]),
        )

    def choose(
        self, session: "SparkSession", given: BatchInput, seed: int, earlier: "DataFrame | None"
    ) -> "tuple[DataFrame, DataFrame]":
        """Return the ids of the users to label, and those wanted who are not in the graph, with the error.

        Whom an earlier run labelled is looked at again, for the answers may have been withdrawn.
        """
        from pyspark.sql import functions as f

        answering = self.answers.select("user").distinct()
        nobody = _frame(session, user=[], error=[])
        if given.users is None:
            again = nobody.select("user") if earlier is None else earlier.select("user")
            gone = again.join(self.people, "user", "left_anti").withColumn("error", f.lit(STRANGER))
            return answering.union(again.join(self.people, "user", "left_semi")).distinct(), gone
        if isinstance(given.users, int):
            known = np.sort(np.array([row.user for row in answering.collect()]))
            if given.users >= len(known):
                return answering, nobody
            chosen = np.random.default_rng(seed).choice(known, given.users, replace=False)
            return _frame(session, user=chosen.tolist()), nobody
        asked = _frame(session, user=given.users).distinct()
        strangers = asked.join(self.people, "user", "left_anti").withColumn("error", f.lit(STRANGER))
        return asked, strangers

    def gather(self, users: "DataFrame", before: "DataFrame") -> "DataFrame":
        """Return a row for each person with all that is known of it, ``asked`` whether it is to be labelled."""
        from pyspark.sql import functions as f

        around = self.ties.groupBy(f.col("who").alias("number")).agg(f.collect_list(f.struct("whom", "weight")).alias("around"))
        entry = f.struct("field", "value")
        profiles = self.profiles.groupBy("number").agg(f.array_sort(f.collect_set(entry)).alias("profile"))
        answers = self.answers.groupBy("number").agg(f.collect_list(f.struct("item", "friend", "decision")).alias("answers"))
        everybody = (
            self.people.join(around, "number", "left")
            .join(profiles, "number", "left")
            .join(answers, "number", "left")
            .join(users.withColumn("asked", f.expr("true")), "user", "left")
            .join(before, "user", "left")
        )
        # Each tie is kept by the end with fewer friends: no list is long, however many friends a person has.
        kept = everybody.withColumn("kept", f.filter("around", lambda tie: tie["whom"] > f.col("number")))
        return kept.select(
            f.col("number").alias("id"),
            "user",
            f.coalesce(f.col("around.whom"), f.expr("cast(array() as array<bigint>)")).alias("friends"),
            f.col("kept.whom").alias("ties"),
            f.transform(f.col("kept.weight"), lambda weight: f.coalesce(weight, f.lit(float("nan")))).alias("weights"),
            "profile",
            "answers",
            f.expr("asked is not null").alias("asked"),
            "before",
        )


def _earlier(session: "SparkSession", files: "_Files", folder: str, layout: Layout) -> "DataFrame":
    """Return users and fingerprints of an earlier run; empty ones where its policies are written otherwise."""
    from pyspark.sql import functions as f

    if not files.exists(f"{folder}/report.json"):
        raise DataError("holds no finished run; give the folder that an earlier run wrote", source=folder)
    nested = "friends" in session.read.parquet(f"{folder}/policies").columns
    before = f.col("fingerprint") if nested == (layout == "nested") else f.lit("")
    return session.read.parquet(f"{folder}/users").select("user", before.alias("before"))


def _frame(session: "SparkSession", **columns: Sequence[str]) -> "DataFrame":
    """Return a table of texts that are at hand."""
    pa, _ = pyarrow("the engine spark")
    return session.createDataFrame(pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}))


def _numbered(session: "SparkSession", edges: "DataFrame", folder: str) -> "DataFrame":
    """Return all people of the ties with a number each, which grows with the number of their ties."""
    from pyspark.sql import functions as f

    ends = edges.select(f.explode(f.array("source", "target")).alias("user")).where("user != ''")
    ordered = ends.groupBy("user").count().sort("count", "user")
    ordered.select(f.monotonically_increasing_id().alias("number"), "user").write.parquet(f"{folder}/_numbers")
    return session.read.parquet(f"{folder}/_numbers")


def _ties(edges: "DataFrame", people: "DataFrame") -> "DataFrame":
    """Return each tie in both directions, once, with its weight."""
    from pyspark.sql import functions as f

    for end in ("source", "target"):
        edges = edges.join(people.select(f.col("user").alias(end), f.col("number").alias(f"{end}_number")), end)
    one, other = f.col("source_number"), f.col("target_number")
    ways = f.array(*(f.struct(who.alias("who"), whom.alias("whom")) for who, whom in ((one, other), (other, one))))
    both = edges.select("stated", f.explode(ways).alias("tie")).select("tie.who", "tie.whom", "stated")
    strongest = f.when(f.bool_or(f.isnull("stated")), f.greatest(f.max("stated"), f.when(f.max("stated").isNotNull(), 1.0)))
    # Spread by one end, the rows need not move again when the ties of each person are collected.
    return both.repartition("who").groupBy("who", "whom").agg(strongest.otherwise(f.max("stated")).alias("weight"))


def _table(session: "SparkSession", path: FilePath, required: Sequence[str], *, weighted: bool = False) -> "DataFrame":
    """Read a table with the named columns as text, ``""`` where nothing is said; the weight as the number ``stated`` besides."""
    from pyspark.errors import AnalysisException
    from pyspark.sql import functions as f
    from pyspark.sql.types import IntegralType, StringType

    source = str(path)
    try:
        if source.lower().endswith(".csv"):
            table = session.read.csv(source, header=True, inferSchema=False, multiLine=True, mode="FAILFAST", **_CSV)
        else:
            table = session.read.parquet(source)
    except AnalysisException as error:
        raise DataError(f"Spark cannot read it ({str(error).splitlines()[0]:.200}); check the path", source=source) from None
    check_columns(table.columns, required, ("weight",) if weighted else (), source)
    for name in required:
        kind = table.schema[name].dataType
        if not isinstance(kind, StringType | IntegralType):
            raise DataError(f"column {name!r} holds {kind.simpleString()}; on Spark give text or whole numbers", source=source)
    columns = [f.coalesce(f.col(name).cast("string"), f.lit("")).alias(name) for name in required]
    if weighted:
        weight = "weight" if "weight" in table.columns else "''"
        columns += [
            f.expr(f"coalesce(cast({weight} as string), '') as weight"),
            f.expr(f"try_cast({weight} as double) as stated"),
        ]
    return table.select(*columns)


def _rejected(table: "DataFrame", source: str, names: Sequence[str]) -> "DataFrame":
    from pyspark.sql import functions as f

    row = f.to_csv(f.struct(*names), _CSV).alias("row")
    return table.where("reason is not null").select(f.lit(source).alias("table"), "reason", row)


def _label(session: "SparkSession", people: "DataFrame", given: BatchInput, labelling: Labelling) -> "DataFrame":
    """Send each block of users what their ego networks are cut out of, and label them there."""
    from pyspark.sql import functions as f

    few = f.size("friends") <= labelling.most_friends
    asked = people.where("asked").withColumn(
        "near", f.when(few, f.col("friends")).otherwise(f.expr("cast(array() as array<bigint>)"))
    )
    total = asked.agg(f.count("*").alias("users"), f.sum(f.size("near")).alias("friends")).collect()[0]
    if not total.users and given.users is None:
        raise DataError("no answers in it that could be used; add rows, or name users", source=str(given.answers))
    blocks = max(session.sparkContext.defaultParallelism, (total.friends or 0) // _FRIENDS_IN_BLOCK + 1)
    block = f.pmod(f.hash("id"), f.lit(blocks))
    wanted = asked.select(block.alias("block"), f.explode(f.concat(f.array("id"), "near")).alias("id"))
    spread = wanted.groupBy("id").agg(f.collect_set("block").alias("blocks"))
    sent = people.join(spread, "id").withColumn("block", f.explode("blocks"))
    own = f.col("asked") & (f.col("block") == block)
    rows = sent.select(
        "block",
        "id",
        "user",
        "ties",
        "weights",
        "profile",
        f.when(own, f.col("answers")).alias("answers"),
        own.alias("asked"),
        f.size("friends").alias("degree"),
        f.coalesce("before", f.lit("")).alias("before"),
    )
    return rows.repartitionById(blocks, "block").mapInArrow(partial(_label_block, labelling), _LABELLED)


def _label_block(labelling: Labelling, batches: Iterable[Any]) -> Iterator[Any]:
    """Label the users of one block; runs on the cluster."""
    pa, _ = pyarrow("the engine spark")
    received = list(batches)
    if not sum(map(len, received)):
        return
    warm_up(labelling)
    (people,) = pa.Table.from_batches(received).combine_chunks().to_batches()
    received.clear()
    assert len(people["block"].unique()) == 1
    users = people.select(["user", "degree", "before"]).filter(people["asked"]).sort_by("user").to_pylist()
    with TemporaryDirectory() as folder:
        store = build_block(Path(folder), people)
        for first in range(0, len(users), _USERS_IN_BATCH):
            rows = [_labelled_row(labelling, store, **user) for user in users[first : first + _USERS_IN_BATCH]]
            yield pa.RecordBatch.from_pylist(rows, schema=_arrow_schema())


def _labelled_row(labelling: Labelling, store: NetworkStore, user: str, degree: int, before: str) -> dict[str, Any]:
    begun = time.process_time()
    outcome, labelled = judge_case(user, degree, partial(stored_case, store, store.people.number(user)), labelling, before)
    row = {name: getattr(outcome, name) for name in ("user", "status", "friends", "answers", "fingerprint", "error")}
    row |= {"seconds": time.process_time() - begun, "rejected": []}
    if labelled is None:
        return row
    return row | {
        "names": labelled.friends,
        "decisions": labelled.decisions.ravel(),
        "probabilities": labelled.probability.ravel(),
        "counts": np.concatenate([np.bincount(cells, minlength=len(DECIDED)) for cells in labelled.decisions]),
        "reasons": labelled.reasons,
        "rejected": [
            {"reason": reason, "item": said.item, "friend": said.friend, "decision": said.decision}
            for said, reason in labelled.rejected
        ],
    }


def _arrow_schema() -> Any:
    pa, _ = pyarrow("the engine spark")
    text, said = pa.string(), pa.struct([(name, pa.string()) for name in ("reason", "item", "friend", "decision")])
    kinds = {"friends": pa.int64(), "answers": pa.int64(), "seconds": pa.float64(), "names": pa.list_(text)}
    kinds |= {"decisions": pa.list_(pa.int8()), "probabilities": pa.list_(pa.float64()), "counts": pa.list_(pa.int64())}
    kinds |= {"reasons": pa.list_(text), "rejected": pa.list_(said)}
    names = [part.split()[0] for part in _LABELLED.split(", ")]
    return pa.schema([(name, kinds.get(name, text)) for name in names])


def _write_policies(labelled: "DataFrame", path: str, labelling: Labelling, layout: Layout) -> None:
    """Write what `privwiz.policy_parts.policy_table` makes of the same policies."""
    from pyspark.sql import functions as f

    items = f.array(*(f.lit(item.id) for item in labelling.items))
    words = f.array(*(f.lit(decision.value) for decision in DECIDED))
    kept = labelled.where("status = 'labelled'").sortWithinPartitions("user")
    n = f.size("names")
    if layout == "flat":
        cells = kept.select("*", f.posexplode("probabilities").alias("at", "probability"))
        at = f.col("at")
        columns = {
            "item": items[(at / n).cast("int")],
            "friend": f.col("names")[at % n],
            "decision": words[f.col("decisions")[at]],
            "probability": f.col("probability"),
            "reason": f.col("reasons")[at],
        }
    else:
        cells = kept.select("*", f.posexplode(items).alias("at", "item"))

        def part(name: str) -> Any:
            return f.slice(name, f.col("at") * n + 1, n)

        columns = {
            "item": f.col("item"),
            "friends": f.col("names"),
            "decisions": f.transform(part("decisions"), lambda decision: words[decision]),
            "percents": f.transform(part("probabilities"), lambda probability: f.rint(probability * 100).cast("tinyint")),
            "reasons": part("reasons"),
        }
    if labelling.reasons is None:
        del columns["reason" if layout == "flat" else "reasons"]
    cells.select("user", *(column.alias(name) for name, column in columns.items())).write.parquet(path)


def _rejected_answers(labelled: "DataFrame", source: str) -> "DataFrame":
    from pyspark.sql import functions as f

    rows = labelled.select("user", f.explode("rejected").alias("said"))
    values = f.to_csv(f.struct("user", "said.item", "said.friend", "said.decision"), _CSV)
    return rows.select(f.lit(source).alias("table"), f.col("said.reason").alias("reason"), values.alias("row"))


def _report(labelled: "DataFrame", rejected: "DataFrame", strangers: "DataFrame", labelling: Labelling) -> ChunkReport:
    from pyspark.sql import functions as f

    outcomes = Counter({row.status: row["count"] for row in labelled.groupBy("status").count().collect()})
    missing = [(row.user, row.error) for row in strangers.sort("user").collect()]
    outcomes["failed"] += len(missing)
    counted = labelled.select(f.posexplode("counts").alias("at", "cells")).groupBy("at").agg(f.sum("cells").alias("cells"))
    cells = {row["at"]: row["cells"] for row in counted.collect()}
    pairs = product((item.id for item in labelling.items), (decision.value for decision in DECIDED))
    decisions = Counter({pair: cells.get(at, 0) for at, pair in enumerate(pairs)})
    failed = labelled.where("error != ''").sort("user").select("user", "error").limit(SHOWN).collect()
    timed = labelled.where("status = 'labelled'").select("seconds", "user", "friends")
    slow = timed.sort(f.desc("seconds"), f.desc("user")).limit(SHOWN).collect()
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

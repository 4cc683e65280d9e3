"""What Spark costs beside the local engine, on the same users, on this machine (Linux, with Java 17).

Both engines run as commands over towns of three sizes. What a town of 60 people costs is start-up; the rest is told per user. So
is the difference between the two larger towns, in which Java's compiler, busy for the first minutes, has less part. Processor
time is that of all processes of a run, and the policies of both engines are compared cell by cell.

Run: ``python benchmarks/spark.py [--people N]``
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from pyarrow import compute
from pyarrow import parquet as pq

from privwiz import __main__ as privwiz
from privwiz.community import simulate_community
from privwiz.community_files import write_community

FEW, ANSWERS = 60, 5
LIMIT = 1.0
FILES = {"graph": "edges.parquet", "profiles": "profiles.parquet", "answers": "answers.parquet"}
WORKERS = 2
SPARK = (
    *("spark-submit", "--master", f"local[{WORKERS}]", "--driver-java-options", "-XX:+UseParallelGC"),
    *(
        "--conf",
        "spark.ui.enabled=false",
        "--conf",
        "spark.driver.bindAddress=127.0.0.1",
        "--conf",
        "spark.driver.host=127.0.0.1",
    ),
)
PROCESSES = ("java", "python")
PAUSE = 0.2
"""Seconds between two looks at the processes: so much of each may be missed."""


class Cost(NamedTuple):
    """What a run took: seconds of processor and wall time, and the memory of the largest process of each name, in MB."""

    processor: float
    wall: float
    memory: dict[str, float]


def look(root: int, spent: dict[int, float], memory: dict[str, float]) -> None:
    """Note processor time and memory of a process and all below it."""
    children: dict[int, list[int]] = {}
    seen: dict[int, tuple[str, float, float]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        fields = rest.split()
        ticks, pages = int(fields[11]) + int(fields[12]), int(fields[21])
        seen[int(entry.name)] = (name, ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGESIZE") / 1e6)
        children.setdefault(int(fields[1]), []).append(int(entry.name))
    waiting = [root]
    while waiting:
        process = waiting.pop()
        waiting += children.get(process, ())
        if process in seen:
            name, spent[process], size = seen[process]
            memory[name] = max(memory.get(name, 0), size)


def run(engine: str, town: Path, out: Path) -> Cost:
    """Label all users of a town by a command."""
    start = (*SPARK, privwiz.__file__) if engine == "spark" else (sys.executable, "-m", "privwiz")
    tables = [part for name, file in FILES.items() for part in (f"--{name}", str(town / file))]
    command = [*start, "label", *tables, "--out", str(out), "--engine", engine]
    command += ["--workers", str(WORKERS)] if engine == "local" else []
    settings = {"OMP_NUM_THREADS": "1", "PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    begun, spent, memory = time.monotonic(), dict[int, float](), dict[str, float]()
    with (out.parent / f"{out.name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=os.environ | settings | {"PATH": path}, cwd=out.parent, stdout=log, stderr=subprocess.STDOUT
        )
        while process.poll() is None:
            look(process.pid, spent, memory)
            time.sleep(PAUSE)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}; see {log.name}")
    return Cost(sum(spent.values()), time.monotonic() - begun, memory)


def policies(folder: Path) -> pa.Table:
    """Return the policies of a run in one order, probabilities as bits."""
    table = pq.read_table(folder / "policies").combine_chunks()
    at = table.column_names.index("probability")
    table = table.set_column(at, "probability", table["probability"].chunk(0).view(pa.int64()))
    return table.sort_by([(name, "ascending") for name in ("user", "item", "friend")])


def compare(towns: list[Path], folder: Path) -> float:
    """Run both engines over three towns, print what they cost, and return what Spark adds at most, in ms per user."""
    users = [compute.count_distinct(pq.read_table(town / FILES["answers"], columns=["user"])["user"]).as_py() for town in towns]
    costs: dict[str, list[Cost]] = {"local": [], "spark": []}
    print(f"{'':<8}{'users':>8}{'CPU s':>9}{'wall s':>9}{'ms/user after start-up':>25}{'load':>7}  MB of the largest process")
    for town, count in zip(towns, users, strict=True):
        for engine, known in costs.items():
            known.append(run(engine, town, folder / f"{engine}-{count}"))
            cost = known[-1]
            each = f"{per_user(known[0], cost, count - users[0]):.2f}" if cost is not known[0] else ""
            memory = ", ".join(f"{name} {size:.0f}" for name, size in sorted(cost.memory.items()) if name in PROCESSES)
            load = os.getloadavg()[0]
            print(f"{engine:<8}{count:>8,}{cost.processor:>9.1f}{cost.wall:>9.1f}{each:>25}{load:>7.1f}  {memory}", flush=True)
    added = []
    for words, less in (("after start-up", 0), ("between the two larger towns", 1)):
        each = {engine: per_user(known[less], known[2], users[2] - users[less]) for engine, known in costs.items()}
        print(f"{words}, ms per user: local {each['local']:.2f}, Spark {each['spark']:.2f}")
        added.append(each["spark"] - each["local"])
    one, other = (policies(folder / f"{engine}-{users[2]}") for engine in costs)
    equal = one.equals(other.cast(one.schema))
    print(f"{one.num_rows:,} cells, the same to the last bit: {'yes' if equal else 'NO'}")
    return max(added) if equal else float("inf")  # the difference of two small towns is little more than chance


def per_user(less: Cost, more: Cost, users: int) -> float:
    """Return what users added to the processor time, in milliseconds each."""
    return 1000 * (more.processor - less.processor) / users


def main() -> int:
    """Measure, print the table, and return 1 if Spark adds more than the limit or finds anything else."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=2000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        towns = [folder / f"town-{people}" for people in (FEW, given.people // 4, given.people)]
        for town in towns:
            people = int(town.name.rpartition("-")[2])
            write_community(simulate_community(people), town, answers_per_item=ANSWERS, ending=".parquet")
        added = compare(towns, folder)
    broken = added > LIMIT
    print(f"Spark adds {added:.2f} ms per user; limit {LIMIT:.0f} ms: {'BROKEN' if broken else 'kept'}")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())

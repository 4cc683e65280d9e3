"""What Spark costs beside the local engine, on the same users, on this machine (Linux, with Java 17).

Both engines run as commands over towns of three sizes. What a town of 60 people costs is start-up. The rest is told per user, and
so is the difference between the two larger towns, in which what happens once (starting, planning, compiling) is not contained.
Processor time is that of all processes of a run, and the policies of both engines are compared cell by cell.

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
    for entry in Path("/proc").iterdir():
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
    tables = [part for name in ("graph", "profiles", "answers") for part in (f"--{name}", f"{town / _FILES[name]}")]
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


_FILES = {"graph": "edges.parquet", "profiles": "profiles.parquet", "answers": "answers.parquet"}


def policies(folder: Path) -> pa.Table:
    """Return the policies of a run in one order, probabilities as bits."""
    table = pq.read_table(folder / "policies")
    bits = compute.cast(table["probability"], pa.float64()).combine_chunks().view(pa.int64())
    table = table.set_column(table.column_names.index("probability"), "probability", bits)
    return table.sort_by([(name, "ascending") for name in ("user", "item", "friend")]).combine_chunks()


def compare(towns: list[Path], folder: Path) -> float:
    """Run both engines over each town, print what they cost, and return what Spark adds, in ms per user."""
    users = [compute.count_distinct(pq.read_table(town / _FILES["answers"], columns=["user"])["user"]).as_py() for town in towns]
    print(f"{'':<8}{'users':>8}{'CPU s':>9}{'wall s':>9}{'ms/user after start-up':>25}{'between the two larger':>25}  MB")
    between = {}
    for engine in ("local", "spark"):
        costs = [run(engine, town, folder / f"{engine}-{count}") for town, count in zip(towns, users, strict=True)]
        once = costs[0].processor - users[0] * (costs[2].processor - costs[0].processor) / (users[2] - users[0])
        between[engine] = 1000 * (costs[2].processor - costs[1].processor) / (users[2] - users[1])
        for count, cost in zip(users, costs, strict=True):
            after = f"{1000 * (cost.processor - once) / count:.2f}" if cost is not costs[0] else ""
            slope = f"{between[engine]:.2f}" if cost is costs[2] else ""
            memory = ", ".join(f"{name} {size:.0f}" for name, size in sorted(cost.memory.items()) if size > 50)
            print(f"{engine:<8}{count:>8,}{cost.processor:>9.1f}{cost.wall:>9.1f}{after:>25}{slope:>25}  {memory}", flush=True)
    one, other = (policies(folder / f"{engine}-{users[2]}") for engine in ("local", "spark"))
    equal = one.equals(other.cast(one.schema))
    print(f"{one.num_rows:,} cells, the same to the last bit: {'yes' if equal else 'NO'}")
    return between["spark"] - between["local"] if equal else float("inf")


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

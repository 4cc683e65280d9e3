"""What it costs to import all public names of privwiz, beside its dependencies: CPU seconds in fresh interpreters, medians.

The rivals are measured in turns with privwiz, so that all meet the same machine: the bare import of the core dependencies, and
the import of exactly those modules from outside that privwiz loads (some dependencies are loaded only when they are used).

Run: ``python benchmarks/import_time.py [runs]``
"""

import os
import platform
import resource
import statistics
import subprocess
import sys

LIMIT_SECONDS = 1.0
BARE = "import click, igraph, networkx, numpy, scipy, sklearn"
LIBRARY = "from privwiz import *"
FOREIGN_MODULES = """
import sys
from privwiz import *
print(*[name for name in sys.modules if name.partition(".")[0] not in ("privwiz", "__main__")], sep="\\n")
"""


def loaded_modules() -> str:
    """Return code that imports every module from outside privwiz which that import loads, in the order of loading."""
    names = subprocess.run([sys.executable, "-c", FOREIGN_MODULES], capture_output=True, text=True, check=True).stdout.split()
    return f"import importlib\nfor name in {names}:\n    importlib.import_module(name)"


def cpu_seconds(code: str) -> float:
    """Return the user and system CPU time of running ``code`` in a fresh interpreter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def main(runs: int) -> int:
    """Measure, print the table, and return 1 if privwiz adds more than its limit."""
    imports = {"nothing": "pass", "bare dependencies": BARE, "loaded modules": loaded_modules(), "privwiz": LIBRARY}
    for code in imports.values():  # writes the bytecode, brings the files into memory
        cpu_seconds(code)
    seconds: dict[str, list[float]] = {name: [] for name in imports}
    for _ in range(runs):
        for name, code in imports.items():
            seconds[name].append(cpu_seconds(code))
    print(f"CPU seconds of a fresh interpreter, {runs} runs each; Python {platform.python_version()}, {os.cpu_count()} cores")
    print(f"{'import of':<20}{'median':>8}{'min':>8}{'max':>8}{'privwiz adds':>14}")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, values in seconds.items():
        added = f"{medians['privwiz'] - medians[name]:>14.3f}" if name != "privwiz" else ""
        print(f"{name:<20}{medians[name]:>8.3f}{min(values):>8.3f}{max(values):>8.3f}{added}")
    within = medians["privwiz"] - min(medians["bare dependencies"], medians["loaded modules"]) <= LIMIT_SECONDS
    print(f"limit: {LIMIT_SECONDS} s over either of the two: {'kept' if within else 'BROKEN'}")
    return int(not within)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 9))

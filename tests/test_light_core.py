"""The library stays light: it loads the core dependencies and nothing that an extra or another distribution brings."""

import json
import subprocess
import sys

import pytest

# igraph is a core dependency, but importing it loads matplotlib wherever that is installed.
HEAVY = [
    "cryptography",
    "dp_accounting",
    "flask",
    "flwr",
    "igraph",
    "matplotlib",
    "pandas",
    "pyarrow",
    "pyspark",
    "tensorflow",
    "tf_encrypted",
]

IMPORT = "from privwiz import *"
FEDERATED = "import privwiz.federated.owners, privwiz.federated.secure, privwiz.federated.training"
HELP = """
import contextlib, io, sys
from privwiz.cli import main
sys.argv = ["privwiz", "--help"]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
"""


def heavy_modules_after(code):
    """Run ``code`` in a fresh interpreter; return which of the heavy libraries it loaded."""
    report = f"\nimport json, sys\nprint(json.dumps(sorted(set({HEAVY}) & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("code", [IMPORT, FEDERATED, HELP], ids=["privwiz", "federated", "privwiz --help"])
def test_no_heavy_library_is_loaded(code):
    """Neither the library nor its command line loads an optional library before a function needs it."""
    assert heavy_modules_after(code) == []


def test_the_check_sees_a_heavy_library():
    """Negative control: where one is loaded, the check says which."""
    assert heavy_modules_after("import pyarrow") == ["pyarrow"]


def test_commands_start_at_once():
    """Until a command is called no library of numbers is loaded: it takes long, and Ctrl-C meanwhile would be a traceback."""
    code = "import sys, privwiz.cli; print(sorted({'numpy', 'scipy', 'networkx'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_modules_of_public_names_are_found():
    """``import privwiz`` alone is enough to reach a public name through its module."""
    code = "import privwiz; print(privwiz.circles.find_circles is privwiz.find_circles)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"

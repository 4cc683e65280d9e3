"""The script that continuous integration runs against the installed wheel also runs here."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "smoke" / "smoke.py"


def test_what_users_call(tmp_path):
    """The calls that the design promises work from graph to policy, in a folder that holds nothing else."""
    done = subprocess.run([sys.executable, SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "smoke test passed\n"
    assert list(tmp_path.iterdir()) == []

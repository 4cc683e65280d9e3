"""docs/service.md: its curl lines run as printed, and its table of settings is complete."""

import os
import re
import subprocess
import uuid
from dataclasses import fields
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from pathlib import Path

from privwiz_api.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "service.md").read_text(encoding="utf-8")
STEP = re.compile(r"(?P<command>(?:(?!# ).*\n)+)(?P<output>(?:# .*\n)*)")


def test_the_curl_lines_run_as_printed(server, sign, tmp_path):
    """Each line succeeds, in one shell, and answers what the page shows."""
    session = re.search(r"<!-- flow -->\n```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1]
    environment = os.environ | {"URL": server.url, "TOKEN": sign(f"tenant-{uuid.uuid4().hex[:8]}")}
    steps = list(STEP.finditer(session))
    assert len(steps) == 11
    script = "set -eo pipefail\n" + "".join(f"{step['command']}echo; echo ----\n" for step in steps)
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for step, printed in zip(steps, done.stdout.split("----\n"), strict=False):
        shown = step["output"].removeprefix("# ")
        same = OutputChecker().check_output(shown.strip(), printed.strip(), ELLIPSIS | NORMALIZE_WHITESPACE)
        assert same, f"{step['command']} shows\n{shown}\nbut prints\n{printed}"


def test_every_setting_is_in_the_table():
    """The page names each setting with its default."""
    for setting in fields(Settings):
        name = "DATABASE_URL" if setting.name == "database_url" else f"PRIVWIZ_{setting.name.upper()}"
        row = next((line for line in PAGE.splitlines() if line.startswith("|") and f"`{name}`" in line), None)
        assert row is not None, f"{name} is not in docs/service.md"
        if (
            isinstance(setting.default, int | float | str)
            and setting.default
            and setting.name not in ("public_url", "development")
        ):
            assert str(setting.default) in row, row

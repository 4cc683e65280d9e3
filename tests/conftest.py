"""What every test file may use: the real networks, and how hypothesis behaves."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

IN_CI = os.environ.get("CI") == "true"

settings.register_profile("privwiz", deadline=None, derandomize=IN_CI)
settings.load_profile("privwiz")


@pytest.fixture(scope="session")
def ego_facebook() -> Path:
    """The folder of the ten ego networks "Social circles: Facebook" (SNAP), which the project does not ship.

    The tests that want it are skipped where nobody names it; in continuous integration it must be there.
    """
    named = os.environ.get("PRIVWIZ_EGO_FACEBOOK")
    if named is None and not IN_CI:
        pytest.skip("PRIVWIZ_EGO_FACEBOOK does not name the folder of SNAP's ego-Facebook networks")
    folder = Path(named or "")
    if not (folder / "3980.edges").is_file():
        pytest.fail(
            f"PRIVWIZ_EGO_FACEBOOK={named!r} must name the folder of SNAP's ego-Facebook networks: it holds no 3980.edges"
        )
    return folder

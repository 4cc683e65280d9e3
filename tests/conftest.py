"""What every test file may use: the real networks, engines of secure sums, and how hypothesis behaves."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from privwiz.errors import MissingExtra
from privwiz.federated.secure import ENGINES
from privwiz.federated.tfe import load

IN_CI = os.environ.get("CI") == "true"

settings.register_profile("privwiz", deadline=None, derandomize=IN_CI)
settings.load_profile("privwiz")

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore Ctrl-C, and all that they start


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


@pytest.fixture(scope="session")
def tf_encrypted():
    """Return tf-encrypted, which takes seconds to import, once.

    The tests that want it are skipped where the extra is not installed; in continuous integration it must be.
    """
    try:
        return load()
    except MissingExtra as error:
        if IN_CI:
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def start_engine(request):
    """Return a function that makes an engine of secure sums by its name."""

    def start(name):
        if name.startswith("tfe"):
            request.getfixturevalue("tf_encrypted")
        return ENGINES[name]()

    return start

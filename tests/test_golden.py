"""The golden policy: one saved wizard of the sample network, and the policy that must follow from it."""

import csv
import runpy
from pathlib import Path

import numpy as np
import pytest

from privwiz import Policy, Wizard
from privwiz.decisions import threshold

REWRITE = Path(__file__).parent / "golden" / "rewrite.py"
MENDED = "if this change was meant, run `python tests/golden/rewrite.py` and look at the difference"


@pytest.fixture(scope="module")
def golden():
    """Return the names of the script that writes the golden files."""
    return runpy.run_path(str(REWRITE))


@pytest.fixture(scope="module")
def policy(golden) -> Policy:
    """Return the policy that follows today from the saved wizard."""
    return Wizard.from_json(golden["SESSION"].read_text(encoding="utf-8"), golden["ada"]()).policy()


@pytest.fixture(scope="module")
def expected(golden):
    """Return the stored table, without its heading."""
    with golden["POLICY"].open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_the_decisions(golden, policy, expected):
    """The same saved answers give the same decision for every item and friend, in every version."""
    today = golden["rows"](policy)
    assert [row[0] for row in today] == [row[0] for row in expected]
    assert today[0] == expected[0]
    different = [
        (today[0][j], now[0], was[j], now[j])
        for was, now in zip(expected[1:], today[1:], strict=True)
        for j in range(1, len(now))
        if was[j][0] != now[j][0]
    ]
    assert not different, MENDED


def test_the_probabilities(policy, expected):
    """The same saved answers give the same probabilities, up to the arithmetic of another machine (2e-3)."""
    stored = np.array([[float(cell[1:]) for cell in row[1:]] for row in expected[1:]]).T
    assert np.abs(policy.probability - stored).max() < 2e-3, MENDED


def test_the_policy_is_worth_keeping(policy, expected):
    """The golden policy has every decision and many reasons, and no cell so near a threshold that arithmetic decides it.

    The probability of a friend in a closed group is not arithmetic: it is kept to the float below one half.
    """
    assert {cell[0] for row in expected[1:] for cell in row[1:]} == {"a", "d", "?"}
    assert {cell.reason.kind for cell in policy} >= {"own", "circle", "friends", "audience"}
    limits = np.array([[0.5, threshold(item.cost_ratio)] for item in policy.items])
    distance = np.abs(policy.probability[:, :, None] - limits[:, None, :]).min(axis=-1)
    inferred = (policy.stated == 0) & (policy.probability != np.nextafter(0.5, 0))
    assert inferred.mean() > 0.9
    assert distance[inferred].min() > 1e-6


def test_the_command_writes_what_is_stored(golden):
    """The documented command still takes the answers that are stored: same items, same answers in the same order."""
    stored = Wizard.from_json(golden["SESSION"].read_text(encoding="utf-8"), golden["ada"]())
    again = golden["answered"]()
    assert again.items == stored.items
    assert [len(entry.answers) for entry in again.log] == [len(entry.answers) for entry in stored.log]
    assert again.log[:41] == stored.log[:41]

"""The benchmark of federated priors compares like with like, and its page says what the results say."""

import importlib
import json
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from privwiz.community import ego_circles, simulate_community
from privwiz.federated.examples import Examples
from privwiz.prior import Prior

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def bench():
    """The scripts as modules."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in ("benchmarks", "docs"):
            patch.syspath_prepend(str(ROOT / folder))
        names = {"federated": "efficiency.federated", "jobs": "efficiency.jobs", "people": "efficiency.people"}
        parts = {name: importlib.import_module(module) for name, module in names.items()}
        scripts = {name: importlib.import_module(module) for name, module in (("script", "federated_prior"), ("page", "federated_page"))}
        yield Namespace(**parts, **scripts)


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """A folder of three small networks of an invented town, in SNAP's format, without profiles."""
    folder = tmp_path_factory.mktemp("town")
    community = simulate_community(people=120, seed=3)
    for user in [user for user in community.users if 12 <= len(community.friends(user)) <= 18][:3]:
        network = community.ego_network(user)
        files = {
            "featnames": [],
            "feat": list(network.friends),
            "egofeat": [""],
            "edges": [f"{network.friends[i]} {friend}" for k, friend in enumerate(network.friends) for i in network.neighbors(k)],
            "circles": [f"circle{k} {' '.join(members)}" for k, members in enumerate(ego_circles(community, user))],
        }
        for ending, lines in files.items():
            (folder / f"{user}.{ending}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def ran(bench, town, tmp_path_factory):
    """The whole benchmark on one of the networks, in this process, and the folder of its results."""
    out = tmp_path_factory.mktemp("results")

    def at_once(jobs, workers, done):
        assert workers == 1
        for job in jobs:
            job.path.parent.mkdir(parents=True, exist_ok=True)
            job.compute()
            done(job)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.script, "run_jobs", at_once)
        patch.setattr(bench.script, "SCREENS", 5)
        patch.setattr(bench.federated, "FRESH", range(60, 62))
        ego = sorted(path.stem for path in town.glob("*.edges"))[0]
        given = ["--data", str(town), "--out", str(out), "--regimes", "mixed", "--egos", ego, "--draws", "10", "--users", "1"]
        assert bench.script.main([*given, "--cohorts", "20"]) == 0
    return Namespace(out=out, results=json.loads((out / "results.json").read_text(encoding="utf-8")))


def test_the_benchmark_runs(bench, ran):
    """Every prior is trained and played, nobody exceeds its epsilon, and the page with its plot says how it went."""
    (part,) = ran.results["parts"]
    assert part["people"] == {"training": 10, "held out": 10, "left out": 1}
    assert {row["method"] for row in part["rows"]} == set(part["priors"]) == set(bench.page._SAYS)
    for epsilon in (8, 2):
        assert epsilon * 0.99 < part["priors"][f"epsilon {epsilon}"]["privacy"]["epsilon"] <= epsilon
    assert part["priors"]["federated"]["privacy"] is None
    assert [one["epsilon"] for one in ran.results["cohorts"]["trained"]] == [None, 8, 2]

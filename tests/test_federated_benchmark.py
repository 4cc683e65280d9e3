"""The benchmark of federated priors compares like with like, and its page says what the results say."""

import copy
import importlib
import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from privwiz.community import ego_circles, simulate_community
from privwiz.prior import Prior

ROOT = Path(__file__).parents[1]
NAMES = ("central", "federated", "epsilon 8", "epsilon 2", "shipped", "none")


@pytest.fixture(scope="module")
def bench():
    """The scripts as modules."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in ("benchmarks", "docs"):
            patch.syspath_prepend(str(ROOT / folder))
        names = {"federated": "efficiency.federated", "jobs": "efficiency.jobs", "people": "efficiency.people"}
        parts = {name: importlib.import_module(module) for name, module in names.items()}
        scripts = {
            name: importlib.import_module(module) for name, module in (("script", "federated_prior"), ("page", "federated_page"))
        }
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
        ego = min(path.stem for path in town.glob("*.edges"))
        given = ["--data", str(town), "--out", str(out), "--regimes", "mixed", "--egos", ego, "--draws", "10", "--users", "1"]
        assert bench.script.main([*given, "--cohorts", "20"]) == 0
    return Namespace(out=out, results=json.loads((out / "results.json").read_text(encoding="utf-8")))


def test_the_benchmark_runs(ran):
    """Every prior is trained and played, nobody exceeds its epsilon, and larger cohorts learn with as much noise."""
    (part,) = ran.results["parts"]
    assert part["people"] == {"training": 10, "held out": 10, "left out": 1}
    assert {row["method"] for row in part["rows"]} == set(part["priors"])
    for epsilon in (8, 2):
        spent = part["priors"][f"epsilon {epsilon}"]["privacy"]
        assert 0.99 * epsilon < spent["epsilon"] <= epsilon
        assert spent["rounds"] == part["priors"][f"epsilon {epsilon}"]["rounds"]["learn"]
    assert part["priors"]["federated"]["privacy"] is None
    trained = {one["epsilon"]: one["plan"]["noise_multiplier"] for one in ran.results["cohorts"]["trained"]}
    assert trained[None] == 0 < trained[8] < trained[2]


def test_secure_sums_lose_nothing(ran):
    """Through secure sums without noise, the loss is that of the training in one place, within 1 %."""
    losses = {name: ran.results["parts"][0]["priors"][name]["losses"] for name in ("central", "federated", "none")}
    for who in ("training", "held out"):
        assert losses["federated"][who] == pytest.approx(losses["central"][who], rel=0.01)
        assert losses["none"][who] == pytest.approx(np.log(2))


def test_nobody_learns_about_the_left_out(bench, town):
    """The test user and its friends are in no network of a device, and other policies change no device."""
    ego, *others = sorted(path.stem for path in town.glob("*.edges"))
    friends, _ = bench.people.look_through(town)
    common = next(friend for friend in friends[others[0]] if friend != ego)
    devices = bench.federated.make_devices(town, others, "mixed", range(100, 102), unseen=(ego, common))
    assert len(devices) == 4
    assert not any({ego, common} & set(device.practise(Prior.default()).network.friends) for device in devices)
    again = bench.federated.make_devices(town, others, "mixed", range(101, 102), unseen=(ego, common))
    assert [device.user for device in again] == [devices[1].user, devices[3].user]
    assert np.array_equal(again[1].examples.stated, devices[3].examples.stated)


def test_the_noise_changes_nobody(bench, town):
    """The same devices train, and the same are held out, whatever the noise."""
    devices = bench.federated.make_devices(town, sorted(path.stem for path in town.glob("*.edges"))[:2], "mixed", range(10))
    trainings = [bench.federated.make_training(devices, epsilon) for epsilon in (None, 8.0, 2.0)]
    assert len({tuple(training.training) for training in trainings}) == 1
    assert len({tuple(training.validation) for training in trainings}) == 1
    assert [training.plan.noise_multiplier > 0 for training in trainings] == [False, True, True]


def test_the_page_says_what_is_so(bench, ran):
    """Losses, accuracy and the verdict on the page can be worked out from the results by hand."""
    results = copy.deepcopy(ran.results)
    page = " ".join(bench.page.page(results).split())
    (part,) = results["parts"]
    assert "**reached everywhere** (2 comparisons" in page
    assert (
        "| mixed | devices held out | " + " | ".join(f"{part['priors'][name]['losses']['held out']:.4f}" for name in NAMES)
        in page
    )
    told = [row for row in part["rows"] if (row["method"], row["at"], row["nontrivial"]) == ("shipped", 5, True)]
    right = np.mean([(row["true_allow"] + row["true_deny"]) / row["cells"] for row in told])
    assert f"| shipped prior | {100 * right:.1f} (" in page

    part["priors"]["federated"]["losses"]["held out"] = 1.03 * part["priors"]["central"]["losses"]["held out"]
    assert "**missed in 1** (2 comparisons; the furthest is 3.00 % off)" in " ".join(bench.page.page(results).split())


def test_the_page_is_written(bench, ran, tmp_path):
    """The script writes page and plot; equal results give equal files, and what is no result is refused."""
    for name in ("one", "two"):
        assert bench.page.main([str(ran.out), str(tmp_path / name / "page.md")]) == 0
    for name in ("page.md", "results/federated.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert bench.page.main([str(tmp_path), str(tmp_path / "page.md")]) == 2
    assert not (tmp_path / "page.md").exists()


@pytest.mark.parametrize(
    ("given", "message"), [(["--regimes", "wild"], "'wild' is not known"), (["--egos", "nobody"], "'nobody' is not known")]
)
def test_what_is_not_known_is_refused(bench, town, given, message, capsys):
    """Unknown regimes and networks are named, with what there is."""
    assert bench.script.main(["--data", str(town), *given]) == 2
    assert message in capsys.readouterr().err

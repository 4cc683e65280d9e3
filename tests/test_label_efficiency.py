"""The benchmark is fair, complete and repeatable: no player sees circles or its own user, and every run gives the same rows."""

import importlib
import json
import shutil
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from privwiz.community import ego_circles, simulate_community
from privwiz.errors import DataError
from privwiz.groups import shared_groups, tie_groups
from privwiz.items import CATALOGUE
from privwiz.metrics import ItemScore, summarise
from privwiz.prior import KernelScales, Prior

ROOT = Path(__file__).parents[1]
FEW = ["privwiz", "GP per item, audience + friend", "2010 wizard, friend screens", "majority"]
PLAYER = {"budget": "matrix", "regime": "mixed", "ego": "ego", "draw": 1}


@pytest.fixture(scope="module")
def bench():
    """The modules of the benchmark; what they import is found by child processes too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        names = ("people", "oracle", "methods", "table", "jobs", "report")
        parts = {name: importlib.import_module(f"efficiency.{name}") for name in names}
        yield Namespace(**parts, script=importlib.import_module("label_efficiency"))


def write_ego(folder, ego, network, circles):
    """Write a network in SNAP's format; only schools and employers go along."""
    features = sorted({(field, value) for field in ("school", "employer") for own in network.values(field) for value in own})
    wide = {"school": "education;school;id", "employer": "work;employer;id"}

    def flags(profile):
        return " ".join(str(int(value in profile.get(field, ()))) for field, value in features)

    files = {
        "featnames": [f"{k} {wide[field]};anonymized feature {value}" for k, (field, value) in enumerate(features)],
        "feat": [f"{friend} {flags(network.profiles[friend])}" for friend in network.friends],
        "egofeat": [flags(network.ego_profile)],
        "edges": [f"{network.friends[i]} {friend}" for k, friend in enumerate(network.friends) for i in network.neighbors(k)],
        "circles": [f"circle{k} {' '.join(members)}" for k, members in enumerate(circles)],
    }
    for ending, lines in files.items():
        (folder / f"{ego}.{ending}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """A folder of three networks of an invented town, in SNAP's format, whose users know some of the same people."""
    folder = tmp_path_factory.mktemp("town")
    community = simulate_community(people=200, seed=3)
    users = [user for user in community.users if 20 <= len(community.friends(user)) <= 45][:3]
    for user in users:
        network = community.ego_network(user)
        plain = {friend: friend.replace(" ", "_") for friend in network.friends}
        assert plain == {friend: friend for friend in network.friends}
        write_ego(folder, user, network, ego_circles(community, user))
    return folder


def egos(folder):
    """Return the egos of a folder."""
    return sorted(path.stem for path in folder.glob("*.edges"))


def play(bench, person, prior, methods=FEW, budget="matrix", screens=5):
    """Return the rows of some methods."""
    return bench.jobs.play_methods(person, prior, {**PLAYER, "budget": budget}, methods, screens)[0]


def permuted(circles, friends, seed=0):
    """Return circles of the same sizes with other members."""
    order = np.random.default_rng(seed).permutation(friends)
    other = dict(zip(friends, order.tolist(), strict=True))
    return tuple(tuple(other[friend] for friend in circle) for circle in circles)


def equal(rows, others):
    """Whether two lists of rows say the same; NaN is NaN."""
    return json.dumps(rows) == json.dumps(others)


# ---- fairness -------------------------------------------------------------------------------------------------------------


def check_no_leak(bench, source, folder, ego, methods):
    """Draw policies, then permute and delete all circles: no prediction, no prior changes."""
    shutil.copytree(source, folder)
    friends, _ = bench.people.look_through(folder)
    person = bench.people.draw_person(folder, ego, "cohesive", 1)
    training = bench.people.training_people(folder, [other for other in friends if other != ego][:2], "cohesive")
    prior = bench.people.leave_one_out_prior(training, (ego, *friends[ego]))
    rows = play(bench, person, prior, methods)

    for path in folder.glob("*.circles"):
        path.unlink()
    bench.people.read_network.cache_clear()

    def read_again(one, real):
        network, circles = bench.people.read_network(folder, one.network.ego)
        return replace(one, network=network, circles=circles, real_circles=real)

    changed = read_again(person, permuted(person.real_circles, person.network.friends))
    again = bench.people.leave_one_out_prior([read_again(one, ()) for one in training], (ego, *friends[ego]))
    assert again.to_json() == prior.to_json()
    assert equal(play(bench, changed, again, methods), rows)
    return person, changed, prior


def test_no_player_sees_the_circles(bench, town, tmp_path):
    """Once policies are drawn, permuting and deleting the circles changes no row of any method but the oracle, in no budget."""
    ego = egos(town)[0]
    matrix = [name for name, method in bench.methods.MATRIX_METHODS.items() if not method.oracle]
    person, changed, prior = check_no_leak(bench, town, tmp_path / "copy", ego, matrix)
    item = list(bench.methods.ITEM_METHODS)
    assert equal(play(bench, person, prior, item, "item"), play(bench, changed, prior, item, "item"))


def test_the_oracle_sees_the_circles(bench, town):
    """Negative control: with other circles the oracle asks and predicts something else."""
    person = bench.people.draw_person(town, egos(town)[0], "cohesive", 1)
    changed = replace(person, real_circles=permuted(person.real_circles, person.network.friends))
    oracle = ["oracle: real circles"]
    assert not equal(play(bench, person, Prior.default(), oracle), play(bench, changed, Prior.default(), oracle))


@pytest.mark.slow
def test_no_player_sees_the_circles_of_real_networks(bench, ego_facebook, tmp_path):
    """The same with copies of real networks."""
    small = tmp_path / "small"
    small.mkdir()
    for ego in ("3980", "698", "414"):
        for path in ego_facebook.glob(f"{ego}.*"):
            shutil.copyfile(path, small / path.name)
    check_no_leak(bench, small, tmp_path / "copy", "3980", FEW)


def test_the_prior_does_not_depend_on_the_test_user(bench, town, tmp_path):
    """A user's prior stays, byte for byte, when ties, profiles and circles of this user change; others' changes are noticed."""
    folder = tmp_path / "copy"
    shutil.copytree(town, folder)
    ego, other, _ = egos(town)
    friends, _ = bench.people.look_through(folder)

    def train(out):
        job = bench.jobs.PriorJob(bench.jobs.Run(folder, tmp_path / out, friends), ego, "mixed")
        job.path.parent.mkdir(parents=True)
        job.compute()
        return job.path.name, job.path.read_bytes()

    before = train("before")
    for ending, old, new in (("feat", "1", "0"), ("egofeat", "0", "1")):
        path = folder / f"{ego}.{ending}"
        path.write_text("".join(f"{a}{b.replace(old, new)}\n" for a, b in map(split_id(ending), path.read_text().splitlines())))
    (folder / f"{ego}.edges").write_text(f"{friends[ego][0]} {friends[ego][1]}\n")
    (folder / f"{ego}.circles").write_text(f"circle0 {friends[ego][0]}\n")
    bench.people.read_network.cache_clear()
    assert train("after") == before
    (folder / f"{other}.circles").write_text(f"circle0 {' '.join(friends[other][:9])}\n")
    assert train("changed")[0] != before[0]


def split_id(ending):
    """Return a function that parts a line into what names its friend and the flags."""
    return lambda line: ("", line) if ending == "egofeat" else (line.split(" ")[0], line[len(line.split(" ")[0]) :])


def test_nothing_is_learnt_about_people_the_test_user_knows(bench, town):
    """What training users decide about the test user's friends does not enter the prior; what they decide of others does."""
    training = bench.people.training_people(town, egos(town)[1:], "mixed")
    known = training[0].network.friends[::2]

    def turned(person, names):
        allow = person.policy.allow.copy()
        allow[:, [k for k, friend in enumerate(person.network.friends) if (friend in known) == names]] ^= True
        return replace(person, policy=replace(person.policy, allow=allow))

    prior = bench.people.leave_one_out_prior(training, known).to_json()
    assert bench.people.leave_one_out_prior([turned(person, names=True) for person in training], known).to_json() == prior
    assert bench.people.leave_one_out_prior([turned(person, names=False) for person in training], known).to_json() != prior


def test_priors_are_trained_on_other_policies(bench):
    """No policy that priors learn from can be a test policy."""
    assert bench.script.parser().parse_args(["--draws", "99"]).draws < min(bench.people.TRAINING_DRAWS)
    with pytest.raises(SystemExit, match="2"):
        bench.script.parser().parse_args(["--draws", "100"])


def test_a_prior_without_others_knows_nothing(bench):
    """Where there is no other ego, the prior is flat."""
    assert bench.people.leave_one_out_prior([], ["ann"]).to_json() == Prior.flat().to_json()


# ---- repeatability --------------------------------------------------------------------------------------------------------


def run(bench, folder, out, *more):
    """Run the command on small networks; return its exit code."""
    few = ["--regimes", "mixed", "--draws", "1", "--methods", "privwiz", "2010 wizard, friend screens", "majority", "--quick"]
    return bench.script.main(["--data", str(folder), "--out", str(out), *few, *more])


@pytest.mark.slow
def test_equal_bytes_at_any_number_of_workers_and_after_an_interruption(bench, town, tmp_path, monkeypatch, capsys):
    """Rows are equal, byte for byte, with one worker, with two, and when a run goes on after an interruption."""
    assert run(bench, town, tmp_path / "one", "--workers", "1") == 0
    assert run(bench, town, tmp_path / "two", "--workers", "2") == 0

    finished = []

    def interrupt(jobs, workers, done):
        def noted(job):
            done(job)
            finished.append(job.path)
            if len(finished) == 5:
                raise KeyboardInterrupt

        plain(jobs, workers, noted)

    plain = bench.script.run_jobs
    with monkeypatch.context() as patch:
        patch.setattr(bench.script, "run_jobs", interrupt)
        assert run(bench, town, tmp_path / "cut", "--workers", "1") == 130
    assert "goes on from there" in capsys.readouterr().err
    assert not (tmp_path / "cut" / "rows.parquet").exists()
    times = {path: path.stat().st_mtime_ns for path in finished}
    assert run(bench, town, tmp_path / "cut", "--workers", "2") == 0
    assert {path: path.stat().st_mtime_ns for path in finished} == times

    for name in ("rows.parquet", "rows.json"):
        first, *others = [(tmp_path / out / name).read_bytes() for out in ("one", "two", "cut")]
        assert all(other == first for other in others)
    facts = {out: json.loads((tmp_path / out / "facts.json").read_text()) for out in ("one", "cut")}
    assert "seconds" in facts["one"]
    assert "seconds" not in facts["cut"]


@pytest.mark.slow
def test_the_page_of_results_can_be_written(bench, town, tmp_path, monkeypatch):
    """What the command leaves is what docs/results_page.py reads; both budgets and every role are on the page."""
    roles = [*bench.methods.ROLES["matrix"].values(), *bench.methods.ROLES["item"].values()]
    given = ["--data", str(town), "--out", str(tmp_path), "--regimes", "circle", "--draws", "1", "--egos", egos(town)[0]]
    assert bench.script.main([*given, "--methods", *dict.fromkeys(roles)]) == 0
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    assert importlib.import_module("results_page").main([str(tmp_path), str(tmp_path / "results.md")]) == 0
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert all(name in page for name in roles)
    assert "## One item by itself" in page


@pytest.mark.slow
def test_no_process_outlives_a_run_that_is_killed():
    """Where a run is killed, its worker processes end by themselves."""
    code = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
sys.path.insert(0, sys.argv[1])
from efficiency.jobs import end_with_parent
pool = ProcessPoolExecutor(1, get_context("spawn"), end_with_parent)
print(pool.submit(os.getpid).result(), flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code, ROOT / "benchmarks"], stdout=subprocess.PIPE, encoding="utf-8") as run:
        assert int(run.stdout.readline()) != run.pid
        run.kill()
        assert run.communicate(timeout=60)[0] == ""  # the end of the file: nobody is left who could write


def test_another_regime_ego_draw_seed_or_method_is_another_job(bench, town, tmp_path):
    """Every argument is in the name of the file that a job keeps, and so are the files that it read."""
    friends, _ = bench.people.look_through(town)
    run = bench.jobs.Run(town, tmp_path, friends)
    first = egos(town)[0]

    def path(run=run, ego=first, regime="mixed", budget="matrix", draw=1, methods=("privwiz",)):
        return bench.jobs.PlayJob(bench.jobs.PriorJob(run, ego, regime), budget, draw, methods).path

    others = [
        path(run=replace(run, seed=1)),
        path(run=replace(run, most_screens=10)),
        path(ego=egos(town)[1]),
        path(regime="circle"),
        path(budget="item"),
        path(draw=2),
        path(methods=("majority",)),
    ]
    assert len({path(), *others}) == 1 + len(others)
    assert path() == path()


# ---- the ranking ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_ranking_holds(bench, ego_facebook, tmp_path):
    """On real networks, after ten screens: privwiz, then the Gaussian process per item, then the wizard of 2010.

    Privwiz is never behind its own first screen about all friends.
    """
    assert bench.script.main(["--quick", "--data", str(ego_facebook), "--out", str(tmp_path), "--workers", "2"]) == 0
    rows = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    ours, process, tree, audience = bench.script.QUICK["methods"]

    def accuracy(method):
        names = ItemScore.__dataclass_fields__
        told = [row for row in rows if row["method"] == method and row["at"] == 10 and row["nontrivial"]]
        return summarise(ItemScore(**{name: row[name] for name in names}) for row in told)["accuracy"]

    assert accuracy(ours) > accuracy(process) > accuracy(tree)
    assert accuracy(ours) >= accuracy(audience)


# ---- parts ----------------------------------------------------------------------------------------------------------------


def test_networks_that_cannot_be_used_are_counted(bench, town, tmp_path):
    """Networks without circles, with few friends, or unreadable are left out, each under its reason."""
    folder = tmp_path / "copy"
    shutil.copytree(town, folder)
    whole = egos(town)[0]
    for ego in ("bare", "empty", "small", "broken", "stranger"):
        for path in town.glob(f"{whole}.*"):
            shutil.copyfile(path, folder / f"{ego}{path.suffix}")
    (folder / "bare.circles").unlink()
    (folder / "empty.circles").write_text("")
    (folder / "broken.feat").write_text("one two three\n")
    (folder / "stranger.circles").write_text("circle0 nobody\n")
    for ending, text in {"feat": "", "edges": "ann bo\nbo cy\n", "egofeat": "", "featnames": "", "circles": "c ann bo\n"}.items():
        (folder / f"small.{ending}").write_text(text)
    usable, skipped = bench.people.look_through(folder)
    assert sorted(usable) == egos(town)
    assert skipped == {
        "without hand-made circles": ["bare", "empty"],
        "unreadable": ["broken", "stranger"],
        "fewer than 10 friends": ["small"],
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--data", "nowhere"], "nowhere: no such folder"),
        (["--data", "."], "holds no .edges"),
        (["--regimes", "mixed,wild"], "regimes: 'wild' is not known; choose from circle; mixed"),
        (["--methods", "privwiz", "oracle"], "methods: 'oracle' is not known; choose from privwiz"),
        (["--budgets", "row"], "budgets: 'row' is not known; choose from matrix; item"),
        (["--egos", "nobody"], "egos: 'nobody' is not known"),
        (["--budgets", "item", "--methods", "forest"], "none of these methods plays in item"),
        (["--seed", "-1"], "seed is -1"),
    ],
)
def test_what_cannot_be_used_is_told(bench, town, tmp_path, monkeypatch, capsys, given, said):
    """A missing or empty folder and unknown names end with exit code 2, one line that says what to do, and no results."""
    monkeypatch.chdir(tmp_path)
    data = [] if "--data" in given else ["--data", str(town)]
    assert bench.script.main([*data, *given, "--out", "out"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not Path("out").exists()


def test_the_folder_must_be_named(bench, monkeypatch, capsys):
    """Without --data and environment variable the command says how to name the folder."""
    monkeypatch.delenv("PRIVWIZ_EGO_FACEBOOK", raising=False)
    assert bench.script.main([]) == 2
    assert "--data DIR" in capsys.readouterr().err


def test_help_has_examples():
    """Run as documented, the script explains itself."""
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "label_efficiency.py", "--help"], capture_output=True, encoding="utf-8", check=True
    )
    assert "python benchmarks/label_efficiency.py --quick" in done.stdout


def test_every_method_says_what_it_is(bench):
    """Every method has a text, and every role of the page is a method that plays every policy."""
    for budget, methods in bench.methods.METHODS.items():
        assert all(method.text or bench.methods.MATRIX_METHODS[name].text for name, method in methods.items())
        assert all(methods[name].draws > 1 for name in bench.methods.ROLES[budget].values())


def test_independent_items_are_as_variable_as_before(bench):
    """The GP per item has nothing shared, and of each part as much as shared and specific together."""
    assert bench.methods.independent_items(KernelScales()) == KernelScales(
        level=8.8,
        alike=1.0,
        linear=4.5,
        independent=0.13,
        shared_level=0,
        shared_alike=0,
        shared_linear=0,
        shared_independent=0,
        trust=0,
    )


def test_the_oracle_lays_out_the_real_circles(bench, town):
    """It may ask about the hand-made circles, those in none, and what every wizard may ask about besides circles.

    A group's latent is the mean of its members'.
    """
    person = bench.people.draw_person(town, egos(town)[0], "mixed", 1)
    layout = bench.oracle.told_layout(person.network, person.circles, Prior.default(), CATALOGUE, person.real_circles)
    n, friends = person.network.n, person.network.friends
    rest = set(friends).difference(*person.real_circles)
    real = {frozenset(circle) for circle in (*person.real_circles, rest) if 2 <= len(circle) <= 0.8 * n}
    besides = {frozenset(circle.members) for circle in (*shared_groups(person.network), *tie_groups(person.network))}
    assert {frozenset(circle.members) for circle in layout.circles} == real | besides
    for kernel in (layout.model.shared, layout.model.specific):
        for g, group in enumerate(layout.groups):
            np.testing.assert_allclose(kernel[n + g, :n], kernel[list(group), :n].mean(axis=0), rtol=1e-4)
    oracle = bench.methods.make_wizard(
        bench.methods.MATRIX_METHODS["oracle: real circles"], person, CATALOGUE, Prior.default(), 1
    )
    assert oracle.belief().layout.circles == layout.circles


def test_the_oracle_with_one_circle_for_all_is_alike_for_all(bench, town):
    """Limit: where one circle holds everybody, the circle part of the likeness is the same for every pair."""
    person = bench.people.draw_person(town, egos(town)[0], "mixed", 1)
    scales = KernelScales(neighbourhood=0, attributes=0, independent=0, shared_independent=0)
    layout = bench.oracle.told_layout(person.network, person.circles, Prior.flat(scales), CATALOGUE, [person.network.friends])
    np.testing.assert_allclose(layout.model.specific, scales.level + scales.alike * scales.circles, rtol=1e-6)


def test_the_forest_is_fitted_where_somebody_looks(bench, town):
    """Between its checkpoints the forest predicts the majority, which ranks nobody; at them it tells friends apart."""
    person = bench.people.draw_person(town, egos(town)[1], "circle", 1)
    rows = play(bench, person, Prior.default(), ["forest"], screens=10)
    assert sorted({row["at"] for row in rows}) == [5, 10]
    assert any(row["auc"] != 0.5 for row in rows if row["nontrivial"])


def test_a_summary_by_hand(bench):
    """The metrics of all items and of the nontrivial ones, by method, regime and checkpoint, with null for what is not there."""
    score = {
        "cells": 4,
        "auc": float("nan"),
        "brier": 1.0,
        **dict.fromkeys(("true_deny", "false_deny", "set_allow_wrong", "set_deny_right", "set_deny_wrong", "ask"), 0),
        "bin_count": [0] * 9 + [4],
        "bin_probability": [0.0] * 9 + [4.0],
        "bin_allowed": [0] * 9 + [3],
        "screens": 1,
        "taps": 0,
    }
    rows = [
        {**PLAYER, "method": "m", "unit": "screens", "at": at, "item": item, "nontrivial": hard, **score}
        | {"true_allow": right, "false_allow": 4 - right, "set_allow_right": right}
        for at, item, hard, right in ((1, "phone", True, 3), (1, "photos", False, 4), (2, "phone", False, 2))
    ]
    table = bench.jobs.pa.Table.from_pylist(rows, schema=bench.table.SCHEMA)
    first, second = bench.table.summary(table)
    assert (first["method"], first["at"], first["users"], second["at"]) == ("m", 1, 1, 2)
    assert (first["all"]["accuracy"], first["nontrivial"]["accuracy"]) == (0.875, 0.75)
    assert second["nontrivial"]["accuracy"] is None


def test_a_folder_of_nothing_usable_tells_why(bench, tmp_path):
    """The error counts what was left out."""
    (tmp_path / "1.edges").write_text("a b\n")
    with pytest.raises(DataError, match="unreadable: 1"):
        bench.people.look_through(tmp_path)

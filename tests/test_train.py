"""``privwiz train``: from a table of answers to a prior that every wizard loads."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from privwiz.cli import main
from privwiz.prior import Prior
from privwiz.readers import read_snap_ego_network
from privwiz.wizard import Wizard

TOWN = Path(__file__).parents[1] / "sample_graphs" / "town"
DATA = ["--graph", str(TOWN / "edges.csv"), "--profiles", str(TOWN / "profiles.csv")]
ANSWERS = ["--answers", str(TOWN / "many_answers.csv")]
FEW = ["--rounds", "2", "--validation-split", "0", "--items", "phone,city"]


def train(*options, code=0):
    """Run the command, see to its exit code, and return what it printed."""
    done = CliRunner().invoke(main, ["train", *DATA, *options], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def few(tmp_path):
    """Return a table of the answers of twelve of the sixty users."""
    lines = (TOWN / "many_answers.csv").read_text().splitlines()
    users = sorted({line.partition(",")[0] for line in lines[1:]})[:12]
    table = tmp_path / "few.csv"
    table.write_text("\n".join([lines[0], *(line for line in lines[1:] if line.partition(",")[0] in users)]) + "\n")
    return ["--answers", str(table)]


@pytest.mark.slow
def test_a_prior_is_trained_and_used(tmp_path):
    """On the sample town, training lowers the loss on devices held out, and a wizard starts from the prior that comes of it."""
    out, report = tmp_path / "prior.json", tmp_path / "training.html"
    said = train(*ANSWERS, "--rounds", "6", "--out", str(out), "--report", str(report))
    losses = [float(loss) for loss in re.findall(r"evaluate .*loss ([\d.]+)", said)]
    assert len(losses) == 3
    assert losses[-1] < losses[0] == pytest.approx(np.log(2), abs=1e-3)
    prior = Prior.load(out)
    assert prior.provenance["devices"] == {"training": 48, "validation": 12}
    assert prior.provenance["secure_sum"] == "shares"
    assert not (tmp_path / "prior.json.checkpoint").exists()
    page = report.read_text()
    assert all(part in page for part in ("<svg", "scales", "fedsgd", f"{losses[-1]:.4f}"))
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"|<!DOCTYPE[^>]*>|<metadata>.*?</metadata>', "", page, flags=re.DOTALL)
    asked = CliRunner().invoke(main, ["label", *DATA, "--answers", str(TOWN / "answers.csv"), "--prior", str(out), "--out", "-"])
    assert asked.exit_code == 0, asked.output


@pytest.mark.parametrize("algorithm", ["fedavg", "reptile", "empirical-bayes"])
def test_every_algorithm_writes_a_prior(algorithm, few, tmp_path):
    """Each algorithm trains through shares to a prior that says its name."""
    out = tmp_path / "prior.json"
    said = train(*few, *FEW, "--algorithm", algorithm, "--out", str(out))
    assert "Nobody is held out" in said
    assert "No noise" in said
    assert Prior.load(out).provenance["algorithm"] == algorithm


def test_equal_seeds_give_equal_files(few, tmp_path):
    """The same command writes the same bytes, whoever adds up but for the engine's name."""
    written = []
    for k, engine in enumerate(("shares", "shares", "plain")):
        train(*few, *FEW, "--secure-sum", engine, "--out", str(tmp_path / f"{k}.json"))
        written.append((tmp_path / f"{k}.json").read_text())
    assert written[0] == written[1] == written[2].replace('"secure_sum": "plain"', '"secure_sum": "shares"')


def test_epsilon_is_kept_and_printed(few, tmp_path):
    """With --epsilon, what is spent is printed every round, ends at what was asked for, and stands in the prior."""
    out = tmp_path / "prior.json"
    said = train(*few, *FEW, "--epsilon", "8", "--out", str(out))
    spent = [float(epsilon) for epsilon in re.findall(r"^round.*epsilon ([\d.]+) at delta 1e-05", said, re.MULTILINE)]
    assert len(spent) == 7
    assert spent[-1] == pytest.approx(8, abs=0.05)
    provenance = Prior.load(out).provenance
    assert 7.9 < provenance["privacy"]["epsilon"] <= 8
    assert provenance["start"]["data"] == Prior.default().provenance["data"]


def test_sampling_is_warned_about(few, tmp_path):
    """Where devices are drawn, the command says that this lowers no epsilon."""
    said = train(*few, *FEW, "--noise-multiplier", "5", "--participation", "0.99", "--out", str(tmp_path / "p.json"))
    assert "does not lower epsilon" in said


@pytest.mark.parametrize(("delta", "warned"), [("0.1", True), ("0.01", False)])
def test_a_delta_that_promises_nothing_is_warned_about(delta, warned, few, tmp_path):
    """A delta of one in the number of devices allows to tell all about one of twelve: the command says so."""
    said = train(*few, *FEW, "--epsilon", "1", "--delta", delta, "--out", str(tmp_path / "p.json"))
    assert ("Warning: delta 0.1 is not below one in 12 devices" in said) == warned


@pytest.mark.slow
def test_a_killed_training_resumes_to_the_same_prior(few, tmp_path):
    """Killed with SIGKILL after some rounds and resumed, a training ends with the very bytes of one that was not killed."""
    command = [str(Path(sys.executable).parent / "privwiz")]
    options = ["train", *DATA, *few, "--rounds", "40", "--validation-split", "0"]
    killed, whole = tmp_path / "killed.json", tmp_path / "whole.json"
    with subprocess.Popen([*command, *options, "--out", str(killed)], stderr=subprocess.PIPE, encoding="utf-8") as process:
        for line in process.stderr:
            if line.startswith("round 12/"):
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not killed.exists()
    assert json.loads((tmp_path / "killed.json.checkpoint").read_text())["history"]
    assert "a checkpoint is there" in train(*few, "--rounds", "40", "--out", str(killed), code=1)
    resumed = subprocess.run(
        [*command, *options, "--resume", "--out", str(killed)], capture_output=True, encoding="utf-8", check=True
    )
    assert "Going on after round" in resumed.stderr
    subprocess.run([*command, *options, "--out", str(whole)], capture_output=True, check=True)
    assert killed.read_bytes() == whole.read_bytes()


def test_a_checkpoint_of_other_options_is_refused(few, tmp_path):
    """A checkpoint is not taken over by a training with another seed."""
    out = tmp_path / "prior.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("privwiz.prior.Prior.save", interrupted)
        train(*few, *FEW, "--out", str(out), code=130)
    assert "other options" in train(*few, *FEW, "--seed", "1", "--resume", "--out", str(out), code=1)
    assert "Going on after round 8" in train(*few, *FEW, "--resume", "--out", str(out))


def test_an_interrupted_training_says_how_it_goes_on(few, tmp_path):
    """Ctrl-C between two rounds ends the command with code 130, and with the way to go on."""
    out = tmp_path / "prior.json"
    command = [str(Path(sys.executable).parent / "privwiz"), "train", *DATA, *few, *FEW, "--rounds", "1000", "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8") as process:
        for line in process.stderr:
            if line.startswith("round "):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 130
    assert f"Interrupted. The rounds so far are in {out}.checkpoint; the same command with --resume goes on." in rest


def interrupted(*_):
    """Interrupt, as somebody at the keyboard would."""
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--answers", str(TOWN / "answers.csv")], 1, "6 of 6 devices would train; a sum of fewer than 10"),
        (
            [*ANSWERS, "--min-cohort", "5"],
            1,
            "a minimum cohort of 5 is below 10; only a simulation may: --allow-small-cohorts",
        ),
        ([*ANSWERS, "--epsilon", "1", "--noise-multiplier", "1"], 2, "give one of them"),
        ([*ANSWERS, "--epsilon", "0"], 2, "--epsilon"),
        ([*ANSWERS, "--algorithm", "magic"], 2, "magic"),
        ([*ANSWERS, "--remote-config", "nowhere.json"], 1, "nowhere.json"),
        ([*ANSWERS, "--start", "nowhere.json"], 1, "nowhere.json"),
        (["--answers", "nowhere.csv"], 1, "nowhere.csv"),
        ([*ANSWERS, "--checkpoint", "none/kept"], 1, "does not exist"),
        ([*ANSWERS, "--checkpoint", "-"], 1, "-: standard output cannot hold it; give a file"),
        ([*ANSWERS, "--noise-multiplier", "1", "--algorithm", "fedavg"], 1, "use reptile or fedsgd"),
    ],
)
def test_what_cannot_be_is_said(options, code, says, tmp_path):
    """Wrong usage and unusable data are told in a line, with exit codes 2 and 1, and nothing is written."""
    said = train(*options, "--out", str(tmp_path / "prior.json"), code=code)
    assert says in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("out", "says"),
    [("-", "standard output cannot hold it; give a file"), ("prior.csv", ".json"), ("none/prior.json", "does not exist")],
)
def test_a_bad_output_is_found_before_the_work(out, says, tmp_path, monkeypatch):
    """An output that cannot be written is refused at once."""
    monkeypatch.chdir(tmp_path)
    assert says in train(*ANSWERS, "--out", out, code=1)


def test_the_checkpoint_is_a_file_of_its_own(tmp_path):
    """A checkpoint of the name of an output would be removed with it: it is refused."""
    out = str(tmp_path / "prior.json")
    assert "--out and --checkpoint must be two files" in train(*ANSWERS, "--out", out, "--checkpoint", out, code=2)


def test_with_noise_nothing_else_tells_of_one_device(few, tmp_path):
    """With noise, neither a hash of the answers nor the name of an item that one user answered about is in the prior."""
    table = tmp_path / "few.csv"
    friend = table.read_text().splitlines()[1].split(",")
    table.write_text(table.read_text() + f"{friend[0]},my-diary,{friend[2]},deny\n")
    noisy, exact = tmp_path / "noisy.json", tmp_path / "exact.json"
    train(*few, "--rounds", "1", "--epsilon", "8", "--out", str(noisy))
    train(*few, "--rounds", "1", "--validation-split", "0", "--out", str(exact))
    assert Prior.load(noisy).items == Prior.default().items
    assert "data_sha256" not in Prior.load(noisy).provenance
    assert "my-diary" in Prior.load(exact).items
    assert len(Prior.load(exact).provenance["data_sha256"]) == 64


def test_little_noise_is_told_as_no_bound(few, tmp_path):
    """A multiplier so small that epsilon has no bound trains, and the prior says so; the page says what is not set."""
    out = tmp_path / "prior.json"
    said = train(*few, *FEW, "--noise-multiplier", "1e-6", "--out", str(out), "--report", str(tmp_path / "r.html"))
    assert "no bound" in said
    plan = (tmp_path / "r.html").read_text().partition("<h2>Plan</h2>")[2]
    assert "<td>batch size</td><td>not set</td>" in plan
    assert "None" not in plan
    assert Prior.load(out).provenance["privacy"]["epsilon"] is None


@pytest.mark.parametrize("rate", ["100", "1e9"])
def test_a_training_gone_astray_writes_nothing(rate, few, tmp_path):
    """With a learning rate far too large, the command says so in a line, and leaves no prior that would show things to people.

    It names the checkpoint, from which nothing else can come; once that is removed, smaller steps train a prior.
    """
    out, checkpoint = tmp_path / "prior.json", tmp_path / "prior.json.checkpoint"
    for resume in ([], ["--resume"]):
        said = train(*few, *FEW, "--learning-rate", rate, "--out", str(out), *resume, code=1)
        assert re.search(rf"take smaller learning rates.*; remove {checkpoint}, which leads here again, and begin anew\n$", said)
        assert not out.exists()
    checkpoint.unlink()
    train(*few, *FEW, "--out", str(out))


def test_small_cohorts_need_the_flag(tmp_path):
    """With --allow-small-cohorts, six devices may train in a simulation."""
    options = ["--answers", str(TOWN / "answers.csv"), "--min-cohort", "6", "--allow-small-cohorts", *FEW]
    train(*options, "--out", str(tmp_path / "prior.json"))


def test_a_user_whose_answers_cannot_be_used_is_left_out(few, tmp_path):
    """A user who answered about a stranger is named, the others train, and the exit code is 1."""
    table = tmp_path / "few.csv"
    table.write_text(table.read_text() + "ada,phone,nobody-i-know,allow\n")
    out = tmp_path / "prior.json"
    said = train(*few, *FEW, "--out", str(out), code=1)
    assert "nobody-i-know" in said
    assert "1 of 13 users could not train: ada" in said
    assert Prior.load(out).provenance["devices"]["training"] == 12


@pytest.mark.slow
def test_the_real_networks_train_a_prior(ego_facebook, tmp_path):
    """Ten devices of the real networks, labels simulated, train a prior on tf-encrypted that a wizard on one of them loads."""
    graph = ["--graph", str(ego_facebook)]
    told = CliRunner().invoke(main, ["simulate", *graph, "--out", str(tmp_path / "simulated")], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    out = tmp_path / "prior.json"
    options = ["--answers", str(tmp_path / "simulated" / "answers.csv"), "--secure-sum", "tfe-aby3", "--rounds", "3"]
    done = CliRunner().invoke(main, ["train", *graph, *options, "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    prior = Prior.load(out)
    assert prior.provenance["cohorts"] == {"smallest": 10, "largest": 10}
    wizard = Wizard(read_snap_ego_network(ego_facebook, "3980"), prior=prior)
    assert wizard.next_screen() is not None

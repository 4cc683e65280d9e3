"""The example script: an image classifier trained federatedly is nearly as good as one trained in one place."""

import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from privwiz.federated.dataset_split import federate_dataset

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docs" / "federated_digits.py"


def run(*options):
    """Run the script; return what it prints."""
    done = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def accuracy(printed, kind):
    """Read an accuracy."""
    return float(re.search(rf"^{kind} accuracy +([0-9.]+)$", printed, re.MULTILINE)[1])


@pytest.mark.slow
def test_federated_digits_are_read_nearly_as_well(tmp_path):
    """Federated accuracy is above 0.93 and at most 0.03 below that of the same training in one place; the model is saved."""
    printed = run("--save-path", tmp_path / "digits.keras")
    federated, centralised = (accuracy(printed, kind) for kind in ("federated", "centralised"))
    assert federated > 0.93
    assert federated >= centralised - 0.03
    assert "nothing here is protected" in printed
    digits = load_digits()
    scores = keras.models.load_model(tmp_path / "digits.keras").predict(digits.images[..., None] / 16, verbose=0)
    assert np.mean(scores.argmax(axis=1) == digits.target) > 0.93


@pytest.mark.slow
def test_the_options_of_the_example_work(tmp_path):
    """Owners with files of their own, a validation file by its path, Reptile, rates, a small simulation and a checkpoint work."""
    digits = load_digits()
    data = (digits.images[:300, ..., None].astype(np.uint8), digits.target[:300])
    files = federate_dataset(data, ["ada", "bob", "eve"], tmp_path, validation_split=0.2)
    validation = str(files.pop("model-owner")[0])
    options = ["--validation-tfrecords", validation, "--reptile", "--learning-rate", "0.9", "--local-learning-rate", "0.2"]
    options += ["--local-steps", "2", "--batch-size", "16", "--min-cohort", "3", "--simulation", "--secure-sum", "plain"]
    options += ["--evaluate-every", "0", "--checkpoint", tmp_path / "run", "--rounds", "12", "--clip", "5", "--seed", "1"]
    printed = run("--local-tfrecords", *(path for paths in files.values() for path in paths), *options)
    assert "12 rounds of at least 3 data owners" in printed
    assert accuracy(printed, "federated") > 0.2
    assert (tmp_path / "run" / "training.npz").is_file()

"""One data set split among simulated owners: nothing is lost, nothing is given twice."""

from itertools import chain

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from privwiz.errors import DataError
from privwiz.federated.dataset_split import federate_dataset, random_splitter
from privwiz.federated.records import load_examples, open_records, parse_records

X = np.arange(20, dtype=np.float32)[:, None]
Y = np.arange(20)
NAMES = ["ada", "bob", "eve"]


def read(files):
    """Return the labels of each owner."""
    return {name: load_examples(parse_records(open_records(paths)), None, name).y.tolist() for name, paths in files.items()}


@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 9))
def test_every_example_goes_to_one_owner(n, owners, seed):
    """Whatever the numbers, each example is dealt out once, and owners differ by one example at most."""
    parts = random_splitter(np.zeros(n), owners, np.random.default_rng(seed))
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))
    assert len({len(part) for part in parts}) <= 2
    assert max(len(part) for part in parts) - min(len(part) for part in parts) <= 1


@pytest.mark.parametrize("share", [0.0, 0.2, 0.33])
def test_nothing_is_lost_and_all_owners_are_served(tmp_path, share):
    """With and without a validation split, all owners get their part and together all examples, each once."""
    found = read(federate_dataset((X, Y), NAMES, tmp_path, validation_split=share))
    assert sorted(chain(*found.values())) == Y.tolist()
    assert set(found) == {*NAMES, *(["model-owner"] if share else [])}
    assert len(found.get("model-owner", [])) == round(20 * share)


def test_the_split_is_random_and_repeats(tmp_path):
    """Parts are not stretches of the data set; equal seeds give equal parts, others other parts."""
    first, same, other = (
        read(federate_dataset((X, Y), NAMES, tmp_path / name, seed=seed)) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == same != other
    assert all(max(part) - min(part) >= len(part) for part in first.values())


def test_a_dataset_of_tensorflow_can_be_split(tmp_path):
    """A ``tf.data.Dataset``, such as a catalogue gives, is split like arrays."""
    arrays = read(federate_dataset((X, Y), NAMES, tmp_path / "a"))
    assert read(federate_dataset(tf.data.Dataset.from_tensor_slices((X, Y)), NAMES, tmp_path / "b")) == arrays


def test_another_splitter_decides(tmp_path):
    """Unequal splits, or splits by label, are a function of the caller's."""
    found = read(federate_dataset((X, Y), NAMES, tmp_path, splitter_fn=by_size))
    assert found == {"ada": [0], "bob": [1, 2], "eve": list(range(3, 20))}


def by_size(labels, owners, rng):
    """Give one example to the first, two to the second, the rest to the third."""
    del owners, rng
    return np.split(np.argsort(labels), [1, 3])


def test_files_are_named_after_their_owners(tmp_path):
    """Each owner has a file of its own, with a name that every file system takes."""
    files = federate_dataset((X, Y), ["ada-1", "bob_2"], tmp_path / "new" / "folder")
    assert files == {name: [tmp_path / "new" / "folder" / f"{name}.tfrecord"] for name in ("ada-1", "bob_2")}


@pytest.mark.parametrize(
    ("names", "settings", "reason"),
    [
        (["ada", "ada"], {}, "must differ"),
        (["a:b"], {}, "letters"),
        (["../ada"], {}, "letters"),
        ([], {}, "named"),
        (["model-owner"], {}, "must differ"),
        (NAMES, {"validation_split": 1.0}, "below 1"),
        (NAMES, {"validation_split": 0.95}, "no example"),
        (NAMES, {"splitter_fn": lambda *_: [[0], [0], [1]]}, "two owners"),
        (NAMES, {"splitter_fn": lambda *_: [[0]]}, "1 part for 3 owners"),
    ],
)
def test_a_split_that_cannot_be_is_refused(tmp_path, names, settings, reason):
    """Names that are double or no names of files, owners without examples and overlapping parts are refused."""
    with pytest.raises(DataError, match=reason):
        federate_dataset((X, Y), names, tmp_path, **settings)
    assert list(tmp_path.iterdir()) == []

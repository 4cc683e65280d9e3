"""Records: examples in TFRecord files, and the pipelines that read them."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from privwiz.errors import DataError
from privwiz.federated.records import (
    LocalExamples,
    batches,
    from_simulated_dataset,
    image_data_pipeline,
    load_examples,
    open_records,
    parse_records,
    record_files,
    serialize_example,
    write_records,
)

ROOT = Path(__file__).parents[1]
X = np.arange(24, dtype=np.uint8).reshape(6, 2, 2)
Y = np.arange(6)


def write_raw(path, records):
    """Write serialised records as they are."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return [str(path)]


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64", "bool"])
def test_examples_come_back_as_they_were(tmp_path, dtype):
    """Values, types and shapes survive a file, without being told to the reader."""
    write_records(tmp_path / "a.tfrecord", X.astype(dtype), Y)
    found = load_examples(parse_records(open_records([tmp_path / "a.tfrecord"])), None, "ada")
    np.testing.assert_array_equal(found.x, X.astype(dtype))
    np.testing.assert_array_equal(found.y, Y)
    assert (found.x.dtype, found.y.dtype) == (np.dtype(dtype), Y.dtype)


def test_several_files_are_one_data_set(tmp_path):
    """The files of an owner are read one after the other."""
    for name, part in (("a", slice(4)), ("b", slice(4, 6))):
        write_records(tmp_path / name, X[part], Y[part])
    assert load_examples(parse_records(open_records([tmp_path / "a", tmp_path / "b"])), None, "ada").y.tolist() == Y.tolist()


@pytest.mark.parametrize(
    "records",
    [
        [b"not a record"],
        [tf.train.Example().SerializeToString()],
        [serialize_example(X[0], 0), serialize_example(X, 0)],
        [serialize_example(X[0], 0), serialize_example(X[0], 0.5)],
        [],
    ],
    ids=["no example", "no features", "another shape", "another type", "nothing"],
)
def test_what_is_no_record_of_ours_is_refused(tmp_path, records):
    """Foreign, empty and mixed records are refused with their number, not guessed at."""
    with pytest.raises(DataError, match="record"):
        parse_records(open_records(write_raw(tmp_path / "a", records)))


def test_a_damaged_file_is_refused(tmp_path):
    """A changed byte in the middle of a file is noticed."""
    write_records(tmp_path / "a", X, Y)
    whole = bytearray((tmp_path / "a").read_bytes())
    whole[len(whole) // 2] ^= 1
    (tmp_path / "a").write_bytes(whole)
    with pytest.raises(DataError, match=r"a: record \d is damaged"):
        open_records([tmp_path / "a"])


def test_x_without_y_is_refused(tmp_path):
    """As many labels as examples are needed, and nothing is written otherwise."""
    with pytest.raises(DataError, match="same number"):
        write_records(tmp_path / "a", X, Y[:5])
    assert not (tmp_path / "a").exists()


def test_a_missing_file_is_told_by_name(tmp_path):
    """Files are looked for when the owner is made, not when training begins."""
    with pytest.raises(DataError, match=r"gone\.tfrecord: no such file"):
        record_files([tmp_path / "gone.tfrecord"])
    with pytest.raises(DataError, match="no TFRecord file"):
        record_files([])


def test_one_path_is_a_list_of_one(tmp_path):
    """A path may be given alone, as text or as a path."""
    write_records(tmp_path / "a", X, Y)
    assert record_files(str(tmp_path / "a")) == record_files(tmp_path / "a") == record_files([tmp_path / "a"])


def test_the_decorator_parses_before_the_pipeline(tmp_path):
    """A decorated pipeline gets examples; an image pipeline scales them to 0..1."""
    write_records(tmp_path / "a", X, Y)
    pipeline = from_simulated_dataset(lambda _, dataset: image_data_pipeline(dataset, largest=23))
    found = load_examples(pipeline(None, open_records([tmp_path / "a"])), None, "ada")
    np.testing.assert_allclose(found.x, X / np.float32(23))
    assert found.x.dtype == np.float32


def test_batches_of_a_pipeline_are_taken_apart():
    """Whether a pipeline gives single examples or batches, even uneven ones, the owner has the same examples."""
    dataset = tf.data.Dataset.from_tensor_slices((X, Y))
    for pipeline in (dataset, dataset.batch(4), dataset.batch(2, drop_remainder=True)):
        assert load_examples(pipeline, rank=3, owner="ada").y.tolist() == Y.tolist()


@pytest.mark.parametrize(
    ("pipeline", "reason"),
    [
        (lambda dataset: dataset.repeat(), "never ends"),
        (lambda dataset: dataset.take(0), "no example"),
        (lambda dataset: dataset.map(lambda x, _: x), "pairs"),
        (lambda dataset: dataset.map(lambda x, y: (tf.debugging.check_numerics(tf.cast(x, tf.float32) / 0.0, "bad"), y)), "bad"),
    ],
)
def test_a_useless_pipeline_is_refused(pipeline, reason):
    """A pipeline that never ends, gives nothing, gives no pairs or fails is told with the owner's name."""
    with pytest.raises(DataError, match=rf"(?s)'ada'.*{reason}"):
        load_examples(pipeline(tf.data.Dataset.from_tensor_slices((X, Y))), None, "ada")


def test_batches_go_through_all_examples():
    """Batches have one size, and every example comes once before any comes twice."""
    taken = np.array([y for _, y in itertools.islice(batches(LocalExamples(X, Y), 4, np.random.default_rng(0)), 3)])
    assert taken.shape == (3, 4)
    assert sorted(taken.ravel()[:6]) == sorted(taken.ravel()[6:]) == Y.tolist()


def test_a_large_batch_is_all_examples():
    """Who has fewer examples than a batch takes all of them, each once."""
    _, y = next(batches(LocalExamples(X, Y), 100, np.random.default_rng(0)))
    assert sorted(y.tolist()) == Y.tolist()


@pytest.mark.slow
def test_owners_write_their_files_themselves(tmp_path):
    """A data owner writes its file in a process of its own, from its own examples; nobody else has to have them."""
    code = "import sys; from privwiz.federated.owners import write_records; write_records(sys.argv[1], [[0.5, 1.0]], [3])"
    subprocess.run([sys.executable, "-c", code, tmp_path / "ada.tfrecord"], cwd=ROOT, check=True)
    found = load_examples(parse_records(open_records([tmp_path / "ada.tfrecord"])), None, "ada")
    assert (found.x.tolist(), found.y.tolist()) == ([[0.5, 1.0]], [3])

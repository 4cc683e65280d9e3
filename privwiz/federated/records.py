"""Examples in TFRecord files, as each data owner keeps its own.

A record is a ``tf.train.Example`` with two features, ``x`` and ``y``, each a serialised tensor. The tensors say their own types
and shapes, so a file can be read without being told what is in it.
"""

import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError
from privwiz.federated.lazy_tensorflow import load_tensorflow, quiet_logger
from privwiz.files import FilePath, reading, writing

__all__ = [
    "LocalExamples",
    "Pipeline",
    "batches",
    "from_simulated_dataset",
    "image_data_pipeline",
    "input_rank",
    "load_examples",
    "open_records",
    "parse_records",
    "record_files",
    "serialize_example",
    "write_records",
]

Array = npt.NDArray[Any]

Pipeline = Callable[[Any, Any], Any]
"""A ``build_data_pipeline``: an owner and a ``tf.data.Dataset`` in, a finite ``tf.data.Dataset`` of (x, y) out."""

_AT_ONCE = 1024


@dataclass(frozen=True, slots=True, eq=False)
class LocalExamples:
    """The examples of one owner, in its memory.

    Parameters
    ----------
    x, y : arrays with a leading axis of examples
    """

    x: Array
    y: Array

    def __len__(self) -> int:
        return len(self.x)


def serialize_example(x: npt.ArrayLike, y: npt.ArrayLike) -> bytes:
    """Write one example as a record."""
    tf = load_tensorflow()

    def feature(value: npt.ArrayLike) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[tf.io.serialize_tensor(value).numpy()]))

    features = tf.train.Features(feature={"x": feature(x), "y": feature(y)})
    return bytes(tf.train.Example(features=features).SerializeToString())


def write_records(path: FilePath, x: npt.ArrayLike, y: npt.ArrayLike) -> None:
    """Write examples to a TFRecord file, which appears or is replaced in one step. Data owners call it on their own machines.

    Parameters
    ----------
    path : path
    x, y : arrays with a leading axis of examples

    Raises
    ------
    DataError
        If there are not as many ``y`` as ``x``, or the file cannot be written.

    Examples
    --------
    >>> write_records("ada.tfrecord", x=np.zeros((3, 8, 8), np.uint8), y=[0, 1, 0])
    >>> [x.shape for x, y in parse_records(open_records(["ada.tfrecord"]))]
    [TensorShape([8, 8]), TensorShape([8, 8]), TensorShape([8, 8])]
    """
    tf = load_tensorflow()
    xs, ys = np.asarray(x), np.asarray(y)
    if xs.ndim == 0 or ys.ndim == 0 or len(xs) != len(ys):
        raise DataError(f"x has shape {xs.shape} and y {ys.shape}; both need the same number of examples")
    with tempfile.TemporaryDirectory() as folder, writing(path) as file:
        whole = Path(folder, "records")
        with tf.io.TFRecordWriter(str(whole)) as writer:
            for example in zip(xs, ys, strict=True):
                writer.write(serialize_example(*example))
        file.write(whole.read_bytes())


def record_files(files: FilePath | Sequence[FilePath]) -> list[str]:
    """List TFRecord files; raises `DataError` unless there is at least one and each can be read."""
    paths = [files] if not isinstance(files, Sequence) or isinstance(files, str) else list(files)
    if not paths:
        raise DataError("no TFRecord file is given; an owner needs at least one, or none at all: None")
    for path in paths:
        with reading(path):
            pass
    return [str(Path(path)) for path in paths]


def open_records(files: Sequence[FilePath]) -> Any:
    """Read TFRecord files as one ``tf.data.Dataset`` of serialised records, which are held in memory.

    Raises
    ------
    DataError
        If a file holds no record, or a damaged one.
    """
    tf = load_tensorflow()
    records: list[bytes] = []
    for path in files:
        before = len(records)
        try:
            with quiet_logger():
                # A tf.data.TFRecordDataset takes hundreds of times as long to set up, for each of many simulated owners.
                records.extend(tf.compat.v1.io.tf_record_iterator(str(path)))
        except tf.errors.OpError as error:
            raise DataError(f"record {len(records) - before + 1} is damaged: {error.message}", source=str(path)) from None
        if len(records) == before:
            raise DataError("the file holds no record", source=str(path))
    return tf.data.Dataset.from_tensor_slices(np.array(records, object))


def parse_records(records: Any) -> Any:
    """Read the records of `write_records`: a ``tf.data.Dataset`` of (x, y).

    Raises
    ------
    DataError
        If there is no record, or one is damaged, of another kind, or of another type or shape than the first.
    """
    tf = load_tensorflow()
    examples = [_parsed(tf, record, number) for number, record in enumerate(records.as_numpy_iterator(), start=1)]
    if not examples:
        raise DataError("there is no record to read")
    for number, example in enumerate(examples, start=1):
        found, first = ([(part.dtype, part.shape) for part in pair] for pair in (example, examples[0]))
        if found != first:
            raise DataError(f"record {number} has types and shapes {found}, but the first has {first}")
    return tf.data.Dataset.from_tensor_slices(tuple(np.stack(part) for part in zip(*examples, strict=True)))


def from_simulated_dataset(pipeline: Pipeline) -> Pipeline:
    """Decorate a ``build_data_pipeline`` so that it gets (x, y) instead of the serialised records of `write_records`."""

    @functools.wraps(pipeline)
    def parsing(self: Any, dataset: Any) -> Any:
        return pipeline(self, parse_records(dataset))

    return parsing


def image_data_pipeline(dataset: Any, largest: float = 255.0) -> Any:
    """Scale the images of a ``tf.data.Dataset`` of (image, label) to 0..1.

    Parameters
    ----------
    dataset : tf.data.Dataset
    largest : float
        The brightest value that a pixel can have.
    """
    tf = load_tensorflow()
    return dataset.map(lambda image, label: (tf.cast(image, tf.float32) / largest, label))


def load_examples(dataset: Any, rank: int | None, owner: str) -> LocalExamples:
    """Take all examples of a data pipeline into memory.

    Parameters
    ----------
    dataset : tf.data.Dataset
        Of (x, y), single or in batches.
    rank : int or None
        Dimensions of a batch of x as the model takes it: tells batches from single examples. None if the model does not say.
    owner : str
        For messages.

    Raises
    ------
    DataError
        If it never ends, is not made of pairs, holds no example or one of another shape, or a record is damaged.
    """
    tf = load_tensorflow()
    spec = dataset.element_spec
    if not (isinstance(spec, tuple) and len(spec) == 2 and all(isinstance(part, tf.TensorSpec) for part in spec)):
        raise DataError(f"the data pipeline of {owner!r} gives {spec}; it must give pairs (x, y) of tensors")
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise DataError(f"the data pipeline of {owner!r} never ends; leave out repeat(), the owner repeats its examples itself")
    if spec[0].shape.rank == rank:
        dataset = dataset.unbatch()
    try:
        pieces = list(dataset.batch(_AT_ONCE).as_numpy_iterator())
    except tf.errors.OpError as error:
        raise DataError(f"the records of {owner!r} cannot be read: {error.message}"[:500]) from None
    if not pieces:
        raise DataError(f"the data pipeline of {owner!r} gives no example")
    return LocalExamples(np.concatenate([x for x, _ in pieces]), np.concatenate([y for _, y in pieces]))


def input_rank(model: Any) -> int | None:
    """Return the dimensions of a batch as a Keras model takes it; None if the model has no single input of a known shape."""
    shape = getattr(model, "input_shape", None)
    return len(shape) if isinstance(shape, tuple) and not any(isinstance(part, tuple) for part in shape) else None


def batches(examples: LocalExamples, size: int, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """Yield batches without end: every example once in random order, then again in another.

    All have ``size`` examples, or all that there are if they are fewer.
    """
    size = min(size, len(examples))
    waiting = np.zeros(0, np.int64)
    while True:
        if len(waiting) < size:
            waiting = np.concatenate([waiting, rng.permutation(len(examples))])
        taken, waiting = waiting[:size], waiting[size:]
        yield examples.x[taken], examples.y[taken]


def _parsed(tf: Any, record: bytes, number: int) -> tuple[Array, Array]:
    """Read x and y of one record."""
    from google.protobuf.message import DecodeError

    foreign = "it was not written by write_records; override build_data_pipeline to read it"
    try:
        features = tf.train.Example.FromString(record).features.feature
        tensors = [features[name].bytes_list.value[0] for name in ("x", "y")]
        x, y = (tf.make_ndarray(tf.make_tensor_proto(0).FromString(tensor)) for tensor in tensors)
    except IndexError:
        raise DataError(f"record {number} has no feature 'x' or no feature 'y'; {foreign}") from None
    except (DecodeError, TypeError, ValueError) as error:
        raise DataError(f"record {number} is not a tf.train.Example of tensors ({error}); {foreign}") from None
    return x, y

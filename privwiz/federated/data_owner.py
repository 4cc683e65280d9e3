"""A data owner: it holds examples that never leave it, and computes updates from the weights that it is given."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError, UndefinedModelFnError
from privwiz.federated.records import batches, from_simulated_dataset, input_rank, load_examples, open_records, record_files
from privwiz.federated.replica import Replica
from privwiz.files import FilePath

__all__ = ["BaseDataOwner", "Broadcast", "LocalUpdate", "overrides"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Broadcast:
    """What the model owner sends to all data owners at the beginning of a round.

    Parameters
    ----------
    number : int
        Of the round, from 0.
    weights : tuple of arrays
        All weights of the model, statistics included.
    seed : int
        Of the training.
    """

    number: int
    weights: tuple[Array, ...]
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class LocalUpdate:
    """What a data owner computes in a round.

    Parameters
    ----------
    trainable : sequence of arrays
        What the model function returned: one array per trainable variable.
    state : sequence of arrays
        By how much the statistics of the model moved.
    """

    trainable: Sequence[npt.ArrayLike]
    state: Sequence[npt.ArrayLike]


class BaseDataOwner:
    """A data owner, with two hooks: ``model_fn`` and ``build_data_pipeline``.

    Parameters
    ----------
    name : str
        Different for every owner of a training.
    local_tfrecords : path or sequence of paths
        TFRecord files on this owner's machine.
    model : keras.Model
        Of the same layers as the model owner's; not touched. Owners of one process that are given one model, loss and optimizer
        share a working copy, which is whose turn it is.
    loss : str, keras.Loss or callable
    optimizer : str, keras.Optimizer or None
        Of local steps. It has no memory from one round to the next.
    batch_size : int

    Raises
    ------
    DataError
        If a file is missing or damaged, or the pipeline gives no examples.
    """

    def __init__(
        self,
        name: str,
        local_tfrecords: FilePath | Sequence[FilePath],
        model: Any,
        loss: Any,
        optimizer: Any = None,
        batch_size: int = 32,
    ) -> None:
        if not batch_size >= 1:
            raise DataError(f"the batch size of {name!r} is {batch_size!r}; it must be a positive whole number")
        self.name = name
        self.local_tfrecords = record_files(local_tfrecords)
        self.examples = load_examples(self.build_data_pipeline(open_records(self.local_tfrecords)), input_rank(model), name)
        self.batch_size = min(batch_size, len(self.examples))
        self.dataset: Iterator[tuple[Array, Array]] = iter(())
        self.seeds: tuple[int, ...] = ()
        self.parts = (model, loss, optimizer)
        self._broadcast: Broadcast | None = None
        self._replica: Replica | None = None

    def model_fn(self, data_owner: "BaseDataOwner", **params: Any) -> Sequence[npt.ArrayLike]:
        """Hook: compute an update of ``data_owner``, an array per trainable variable. It has precedence over the model owner's.

        Raises
        ------
        UndefinedModelFnError
            Unless overridden.
        """
        del data_owner, params
        raise UndefinedModelFnError(f"the data owner {self.name!r}", "model_fn")

    @from_simulated_dataset
    def build_data_pipeline(self, dataset: Any) -> Any:
        """Hook: make (x, y) of the ``tf.data.Dataset`` of serialised records; finite, the owner shuffles, repeats and batches.

        Unless overridden, it reads the records of `privwiz.federated.records.write_records` as they are.
        """
        return dataset

    @property
    def replica(self) -> Replica:
        """The working copy of the model."""
        if self._replica is None:
            self._replica = Replica(*self.parts)
        return self._replica

    def share(self, replica: Replica | None) -> Replica:
        """Take a working copy that has been made already, unless this owner has one; return the one it has now."""
        if self._replica is None:
            self._replica = replica
        return self.replica

    @property
    def model(self) -> Any:
        """The working copy as a Keras model; during this owner's turn it has this owner's weights."""
        return self.replica.model

    @property
    def optimizer(self) -> Any:
        """The optimizer of local steps."""
        return self.replica.optimizer

    def receive(self, broadcast: Broadcast) -> None:
        """Begin a round: keep the weights, and fix the order of the examples by the seed, the round and the owner's name.

        An owner that cannot take part raises `ConnectionError`, here or in its ``model_fn``, and is left out of the round.
        """
        own = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:8], "little")
        rng = np.random.default_rng([broadcast.seed, broadcast.number, own])
        self.seeds = tuple(rng.integers(2**31, size=self.replica.seeds).tolist())
        self.dataset = batches(self.examples, self.batch_size, rng)
        self._broadcast = broadcast

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """What batches of owners must have in common to be stacked: their size, and the shapes of x and y."""
        return (self.batch_size, *self.examples.x.shape[1:], -1, *self.examples.y.shape[1:])

    @property
    def broadcast(self) -> Broadcast:
        """What this round began with; raises `DataError` before any round."""
        if self._broadcast is None:
            raise DataError(f"the data owner {self.name!r} has received no weights yet")
        return self._broadcast

    def gradients(self, x: Array, y: Array) -> list[Any]:
        """Gradients of the mean loss over a batch at this owner's weights, by `tf.function`."""
        return self.replica.gradients(x, y)

    def apply_gradients(self, gradients: Sequence[Any]) -> None:
        """Take a local step of this owner's optimizer."""
        self.replica.apply(gradients)

    def change(self) -> list[Array]:
        """By how much this owner's trainable variables differ from those that the round began with."""
        return self._difference(self.replica.layout.trainable)

    def compute(self, model_fn: Callable[..., Sequence[npt.ArrayLike]], params: Mapping[str, Any]) -> LocalUpdate:
        """Take a turn: load the weights of the round, let a model function work, see how the statistics moved."""
        self.replica.start(self.broadcast.weights, self.seeds)
        trainable = model_fn(self, **params)
        return LocalUpdate(trainable, self._difference(self.replica.layout.state))

    def _difference(self, positions: Sequence[int]) -> list[Array]:
        before = self.broadcast.weights
        after = self.replica.weights(positions)
        return [now.astype(np.float64) - before[position] for now, position in zip(after, positions, strict=True)]


def overrides(owner: object, base: type, hook: str) -> bool:
    """Whether an owner defines a hook itself, in its class or as an attribute, instead of inheriting that of ``base``."""
    method = getattr(owner, hook)
    return getattr(method, "__func__", method) is not getattr(base, hook)

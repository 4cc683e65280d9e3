"""A working copy of a Keras model, in which owners train from weights that they are given.

`Replica` trains one owner after the other: the plain version, and the oracle. `Lanes` trains many simulated owners at once, each
in a lane of stacked variables, and gives the same up to the rounding of floats.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError
from privwiz.federated.lazy_tensorflow import load_keras, load_tensorflow, quiet_logger
from privwiz.federated.weight_layout import WeightLayout

__all__ = ["Lanes", "Replica", "copy_of_model", "copy_of_optimizer", "layout_of"]

Array = npt.NDArray[Any]

# Optimizers of Keras that treat every number of a variable by itself, so that variables can be stacked.
_ELEMENTWISE = frozenset({"SGD", "RMSprop", "Adam", "AdamW", "Adadelta", "Adagrad", "Adamax", "Nadam", "Ftrl", "Lion"})


class Replica:
    """A copy of a model with a loss and a local optimizer, for one owner at a time.

    Parameters
    ----------
    model : keras.Model
        Not touched.
    loss : str, keras.Loss or callable
        What `keras.losses.get` understands.
    optimizer : str, keras.Optimizer or None
        Of local steps; copied. None is gradient descent with rate 0.01.

    Raises
    ------
    DataError
        If the model cannot be copied.
    """

    def __init__(self, model: Any, loss: Any, optimizer: Any) -> None:
        self._tf = tf = load_tensorflow()
        self.model = copy_of_model(model)
        self.loss = load_keras().losses.get(loss)
        self.optimizer = copy_of_optimizer(optimizer)
        self.optimizer.build(self.model.trainable_variables)
        self.layout = layout_of(self.model)
        weights = {id(variable) for variable in self.model.weights}
        self._seeds = [variable for variable in self.model.non_trainable_variables if id(variable) not in weights]
        self._fresh = [tf.constant(variable.numpy()) for variable in self.optimizer.variables]
        self._start = tf.function(self._start_now, autograph=False)
        self._gradients = tf.function(self._gradients_now, autograph=False, reduce_retracing=True)
        self._apply = tf.function(self._apply_now, autograph=False)
        self._lanes: Lanes | None = None

    @property
    def seeds(self) -> int:
        """Sources of randomness in the model, such as its dropout layers."""
        return len(self._seeds)

    def start(self, weights: Sequence[Array], seeds: Sequence[int]) -> None:
        """Begin an owner's turn: these weights, a local optimizer without memory, these seeds for the model's randomness."""
        self._start(
            list(weights), [np.array([seed, 0], variable.dtype) for seed, variable in zip(seeds, self._seeds, strict=True)]
        )

    def gradients(self, x: Array, y: Array) -> list[Any]:
        """Gradients of the mean loss over a batch, with respect to the trainable variables; the model's statistics move along."""
        found = self._gradients(x, y)
        return list(found)

    def apply(self, gradients: Sequence[Any]) -> None:
        """Take a step of the local optimizer."""
        self._apply(list(gradients))

    def weights(self, positions: Sequence[int]) -> list[Array]:
        """Values of some weights, by their positions among all."""
        every = self.model.weights
        return [every[position].numpy() for position in positions]

    def lanes(self, owners: int) -> "Lanes":
        """Room for so many owners at once."""
        if self._lanes is None or self._lanes.count < owners:
            self._lanes = Lanes(self, owners)
        return self._lanes

    def mean_loss(self, y: Any, predicted: Any, extra: Sequence[Any]) -> Any:
        """Mean loss of a batch, with what the layers add to it, such as weight decay."""
        tf = self._tf
        return tf.add_n([tf.reduce_mean(self.loss(y, predicted)), *extra])

    def _start_now(self, weights: list[Any], seeds: list[Any]) -> None:
        for variables, values in (
            (self.model.weights, weights),
            (self._seeds, seeds),
            (self.optimizer.variables, self._fresh),
        ):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    def _gradients_now(self, x: Any, y: Any) -> list[Any]:
        with self._tf.GradientTape() as tape:
            predicted = self.model(x, training=True)
            loss = self.mean_loss(y, predicted, self.model.losses)
        return list(tape.gradient(loss, self.model.trainable_variables, unconnected_gradients="zero"))

    def _apply_now(self, gradients: list[Any]) -> None:
        self.optimizer.apply(gradients, self.model.trainable_variables)


class Lanes:
    """Many owners in one call of TensorFlow: every variable of the model, and of its optimizer, with a leading axis of owners.

    Parameters
    ----------
    replica : Replica
    count : int
        Of owners at once. With fewer, the remaining lanes repeat the last one, and what they compute is dropped.
    """

    def __init__(self, replica: Replica, count: int) -> None:
        self._tf = tf = load_tensorflow()
        self.count = count
        self._replica, self._model = replica, replica.model
        self._own = [
            load_keras().Variable(tf.zeros((count, *variable.shape), variable.dtype))
            for variable in self._model.trainable_variables
        ]
        self._optimizer = copy_of_optimizer(replica.optimizer)
        self._optimizer.build(self._own)
        self._fresh = [tf.constant(variable.numpy()) for variable in self._optimizer.variables]
        positions = {id(variable): position for position, variable in enumerate(self._model.weights)}
        # Position among all weights of each variable that training does not change by gradients; None for a source of randomness.
        self._positions = [positions.get(id(variable)) for variable in self._model.non_trainable_variables]
        self._moving = [at is None or at in replica.layout.state for at in self._positions]
        self._start = tf.function(self._start_now, autograph=False)
        self._first = tf.function(self._first_now, autograph=False, reduce_retracing=True)
        self._later = tf.function(self._later_now, autograph=False, reduce_retracing=True)
        self._apply = tf.function(self._apply_now, autograph=False)
        self._change = tf.function(self._change_now, autograph=False)

    @staticmethod
    def fit(optimizer: Any) -> bool:
        """Whether an optimizer treats every number by itself, so that lanes do not mix."""
        clips = (getattr(optimizer, name, None) for name in ("clipnorm", "global_clipnorm"))
        return type(optimizer).__name__ in _ELEMENTWISE and not any(clips) and not getattr(optimizer, "use_ema", False)

    def gradients(
        self, weights: Sequence[Array], seeds: Sequence[Sequence[int]], x: Array, y: Array
    ) -> tuple[list[Array], list[Array]]:
        """Gradients of every owner at the common weights, and changes of its statistics; each with a leading axis of owners."""
        owners = len(x)
        moving = self._begin(weights, seeds)
        with quiet_logger():
            found, moving = self._first(moving, self._filled(x), self._filled(y))
        return [array.numpy()[:owners] for array in found], self._state_change(moving, weights, owners)

    def train(
        self, weights: Sequence[Array], seeds: Sequence[Sequence[int]], steps: Sequence[tuple[Array, Array]]
    ) -> tuple[list[Array], list[Array]]:
        """Changes of every owner's weights after these local steps, and of its statistics."""
        owners = len(steps[0][0])
        moving = self._begin(weights, seeds)
        with quiet_logger():
            for number, (x, y) in enumerate(steps):
                gradients = self._later if number else self._first
                found, moving = gradients(moving, self._filled(x), self._filled(y))
                self._apply(found)
        return [array.numpy()[:owners] for array in self._change()], self._state_change(moving, weights, owners)

    def _filled(self, array: Array) -> Array:
        missing = self.count - len(array)
        return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing else array

    def _begin(self, weights: Sequence[Array], seeds: Sequence[Sequence[int]]) -> list[Any]:
        """Load the common weights into the model and into every lane; return statistics and seeds by lane."""
        self._replica.start(weights, [0] * self._replica.seeds)
        self._start()
        lanes = self._filled(np.asarray(seeds, np.int64).reshape(len(seeds), -1))
        moving, sources = [], iter(lanes.T)
        for variable, at, moves in zip(self._model.non_trainable_variables, self._positions, self._moving, strict=True):
            if at is None:
                moving.append(np.stack([next(sources), np.zeros(self.count, np.int64)], axis=1).astype(variable.dtype))
            elif moves:
                moving.append(np.broadcast_to(weights[at], (self.count, *variable.shape)))
        return moving

    def _state_change(self, moving: Sequence[Any], weights: Sequence[Array], owners: int) -> list[Array]:
        places = [at for at, moves in zip(self._positions, self._moving, strict=True) if moves]
        after = {at: array.numpy()[:owners] for at, array in zip(places, moving, strict=True) if at is not None}
        return [after[at].astype(np.float64) - weights[at] for at in self._replica.layout.state]

    def _start_now(self) -> None:
        for own, common in zip(self._own, self._model.trainable_variables, strict=True):
            own.assign(self._tf.broadcast_to(common.value, own.shape))
        for variable, value in zip(self._optimizer.variables, self._fresh, strict=True):
            variable.assign(value)

    def _first_now(self, moving: list[Any], x: Any, y: Any) -> tuple[list[Any], list[Any]]:
        common = [variable.value for variable in self._model.trainable_variables]
        return self._mapped(lambda lane: self._lane_gradients(common, *lane), (moving, x, y))

    def _later_now(self, moving: list[Any], x: Any, y: Any) -> tuple[list[Any], list[Any]]:
        own = [variable.value for variable in self._own]
        return self._mapped(lambda lane: self._lane_gradients(*lane), (own, moving, x, y))

    def _mapped(self, function: Any, lanes: tuple[Any, ...]) -> tuple[list[Any], list[Any]]:
        found: tuple[list[Any], list[Any]] = self._tf.vectorized_map(function, lanes)
        return found

    def _lane_gradients(self, trainable: list[Any], moving: list[Any], x: Any, y: Any) -> tuple[list[Any], list[Any]]:
        """Gradients of one owner, without side effects."""
        rest, own = [], iter(moving)
        for variable, moves in zip(self._model.non_trainable_variables, self._moving, strict=True):
            rest.append(next(own) if moves else variable.value)
        with self._tf.GradientTape() as tape:
            tape.watch(trainable)
            predicted, after, extra = self._model.stateless_call(trainable, rest, x, training=True, return_losses=True)
            loss = self._replica.mean_loss(y, predicted, extra)
        gradients = tape.gradient(loss, trainable, unconnected_gradients="zero")
        return list(gradients), [value for value, moves in zip(after, self._moving, strict=True) if moves]

    def _apply_now(self, gradients: list[Any]) -> None:
        self._optimizer.apply(gradients, self._own)

    def _change_now(self) -> list[Any]:
        return [own.value - common.value for own, common in zip(self._own, self._model.trainable_variables, strict=True)]


def copy_of_model(model: Any) -> Any:
    """Return a model of the same layers and weights that shares nothing with the first.

    Raises
    ------
    DataError
        If it has no weights yet, or Keras cannot copy it.
    """
    if not model.built:
        raise DataError(f"the model {model.name!r} has no weights yet; give it an Input or build it first")
    try:
        copy = load_keras().models.clone_model(model)
        copy.set_weights(model.get_weights())
    except (NotImplementedError, TypeError, ValueError) as error:
        raise DataError(
            f"Keras cannot copy the model {model.name!r} ({error}); a model of a class of its own needs get_config and "
            "get_build_config"
        ) from None
    return copy


def copy_of_optimizer(optimizer: Any) -> Any:
    """Return an optimizer with the same settings and no memory; gradient descent with rate 0.01 for None."""
    keras = load_keras()
    given = keras.optimizers.SGD(0.01) if optimizer is None else keras.optimizers.get(optimizer)
    return type(given).from_config(given.get_config())


def layout_of(model: Any) -> WeightLayout:
    """Find out which weights of a model travel."""
    every = {id(variable): position for position, variable in enumerate(model.weights)}
    state = [every[id(variable)] for variable in model.non_trainable_weights if "float" in str(variable.dtype)]
    frozen = _frozen(model) if state else frozenset()
    return WeightLayout(
        shapes=tuple(tuple(variable.shape) for variable in model.weights),
        trainable=tuple(every[id(variable)] for variable in model.trainable_variables),
        state=tuple(position for position in state if position not in frozen),
    )


def _frozen(model: Any) -> frozenset[int]:
    """Positions of weights that would train if every layer did; those of frozen layers are among them, statistics are not."""
    thawed = copy_of_model(model)
    _thaw(thawed)
    could_train = {id(variable) for variable in thawed.trainable_weights}
    return frozenset(position for position, variable in enumerate(thawed.weights) if id(variable) in could_train)


def _thaw(layer: Any) -> None:
    layer.trainable = True
    for part in getattr(layer, "layers", ()):
        _thaw(part)

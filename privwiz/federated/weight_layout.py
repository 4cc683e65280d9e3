"""Which of a model's weights travel, and in what order: one vector of numbers per update."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError

__all__ = ["Arrays", "WeightLayout"]

Arrays = tuple[npt.NDArray[np.float64], ...]
"""One array per variable of a model."""


@dataclass(frozen=True, slots=True)
class WeightLayout:
    """The weights of a model: those that training changes by gradients, and those that it changes by running.

    The latter, the *state*, are statistics such as the moving means of a batch normalisation. Frozen weights and weights that are
    not real numbers are in neither: the model owner's hold for everybody.

    Parameters
    ----------
    shapes : tuple of tuple of int
        Of all weights, in the order of Keras.
    trainable, state : tuple of int
        Positions among them.

    Examples
    --------
    >>> layout = WeightLayout(((2, 1), (1,), (3,)), trainable=(0, 1), state=(2,))
    >>> vector = layout.pack([np.ones((2, 1)), np.zeros(1)], [np.array([7.0, 8.0, 9.0])])
    >>> vector
    array([1., 1., 0., 7., 8., 9.])
    >>> layout.unpack(vector)[1]
    (array([7., 8., 9.]),)
    """

    shapes: tuple[tuple[int, ...], ...]
    trainable: tuple[int, ...]
    state: tuple[int, ...]

    @property
    def length(self) -> int:
        """Numbers in an update."""
        return sum(int(np.prod(self.shapes[position])) for position in self.trainable + self.state)

    def pack(self, trainable: Sequence[npt.ArrayLike], state: Sequence[npt.ArrayLike]) -> npt.NDArray[np.float64]:
        """Write an update as one vector.

        Raises
        ------
        DataError
            If the arrays are not those of the model.
        """
        arrays = [np.asarray(array, np.float64) for array in (*trainable, *state)]
        found, expected = [array.shape for array in arrays], self._travelling()
        if found != expected:
            raise DataError(f"an update has arrays of shapes {found}; the variables of the model have {expected}")
        return np.concatenate([array.ravel() for array in arrays])

    def unpack(self, vector: npt.NDArray[np.float64]) -> tuple[Arrays, Arrays]:
        """Inverse of `pack`."""
        shapes = self._travelling()
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
        arrays = tuple(part.reshape(shape) for part, shape in zip(np.split(vector, ends), shapes, strict=True))
        return arrays[: len(self.trainable)], arrays[len(self.trainable) :]

    def _travelling(self) -> list[tuple[int, ...]]:
        return [self.shapes[position] for position in self.trainable + self.state]

"""Which weights travel: one vector per update, in a fixed order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privwiz.errors import DataError
from privwiz.federated.weight_layout import WeightLayout

SHAPES = st.lists(st.lists(st.integers(1, 3), max_size=3).map(tuple), min_size=1, max_size=5).map(tuple)


@given(SHAPES, st.data())
def test_unpacking_is_the_inverse_of_packing(shapes, data):
    """Whatever the shapes and however weights are divided, what was packed comes out again."""
    trainable = tuple(data.draw(st.sets(st.integers(0, len(shapes) - 1), min_size=1)))
    state = tuple(set(range(len(shapes))) - set(trainable))[:2]
    layout = WeightLayout(shapes, trainable, state)
    vector = np.arange(layout.length, dtype=float)
    np.testing.assert_array_equal(layout.pack(*layout.unpack(vector)), vector)


@pytest.mark.parametrize("update", [[np.zeros(3)], [np.zeros((2, 1))], [np.zeros(2), np.zeros(2)], []])
def test_an_update_of_other_shapes_is_refused(update):
    """An update has an array for each variable, of its shape; nothing is stretched to fit."""
    with pytest.raises(DataError, match="variables of the model have"):
        WeightLayout(((2,),), trainable=(0,), state=()).pack(update, [])

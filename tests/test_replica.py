"""Training in a working copy: many owners at once give what one after the other gives."""

import keras
import numpy as np
import pytest

from privwiz.errors import DataError
from privwiz.federated.data_owner import BaseDataOwner, Broadcast
from privwiz.federated.model_fns import default_cohort_fn, default_model_fn, reptile_cohort_fn, reptile_model_fn
from privwiz.federated.records import write_records
from privwiz.federated.replica import Lanes, Replica, copy_of_model, layout_of

L = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def sequential(*layers):
    """Build a classifier of 6 x 6 images into three classes, the same each time."""
    keras.utils.set_random_seed(1)
    return keras.Sequential([L.Input((6, 6, 1)), *layers, L.Dense(3)])


def frozen():
    """Build a model whose first layer does not train."""
    first = L.Dense(4, trainable=False)
    return sequential(L.Flatten(), first)


MODELS = {
    "dense": lambda: sequential(L.Flatten()),
    "convolution": lambda: sequential(L.Conv2D(2, 3, activation="relu"), L.MaxPooling2D(), L.Flatten()),
    "normalisation and dropout": lambda: sequential(
        L.Flatten(), L.Dense(5, use_bias=False), L.BatchNormalization(), L.Dropout(0.5)
    ),
    "weight decay": lambda: sequential(L.Flatten(), L.Dense(4, kernel_regularizer="l2", activation="tanh")),
    "frozen": frozen,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the examples of five owners."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("records")
    for owner in range(5):
        write_records(path / f"{owner}", rng.normal(size=(9, 6, 6, 1)).astype("float32"), rng.integers(3, size=9))
    return path


def owners_of(folder, model, optimizer=None):
    """Make five owners that share a working copy and begin the same round."""
    owners = [BaseDataOwner(str(number), folder / str(number), model, LOSS, optimizer, batch_size=4) for number in range(5)]
    return begin(owners, model)


def begin(owners, model, number=0):
    """Begin a round."""
    for owner in owners:
        owner.share(owners[0].replica)
        owner.receive(Broadcast(number, tuple(model.get_weights()), seed=7))
    return owners


def compare(together, alone):
    """Compare updates up to the rounding of floats, and check that there is something to compare."""
    for left, right in zip(together, alone, strict=True):
        pairs = [*zip(left.trainable, right.trainable, strict=True), *zip(left.state, right.state, strict=True)]
        for one, other in pairs:
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-6)
            assert np.abs(one).max() > 1e-6


@pytest.mark.parametrize("kind", MODELS)
def test_gradients_of_many_owners_are_those_of_each(folder, kind):
    """Whatever the layers, gradients and statistics of owners at once equal those of one after the other."""
    model = MODELS[kind]()
    owners = owners_of(folder, model)
    together = list(default_cohort_fn(owners))
    compare(together, [owner.compute(default_model_fn, {}) for owner in begin(owners, model)])
    assert not np.allclose(together[0].trainable[-2], together[1].trainable[-2])


@pytest.mark.parametrize(
    ("kind", "optimizer"),
    [
        ("convolution", keras.optimizers.SGD(0.2, momentum=0.9, nesterov=True)),
        # A large epsilon: where a gradient is nearly zero, Adam's steps would show the rounding of floats many times enlarged.
        ("normalisation and dropout", keras.optimizers.Adam(0.05, epsilon=0.1)),
        ("frozen", keras.optimizers.RMSprop(0.05)),
    ],
    ids=["SGD", "Adam", "RMSprop"],
)
def test_local_steps_of_many_owners_are_those_of_each(folder, kind, optimizer):
    """Local steps of owners at once, with an optimizer that remembers, lead where those of one after the other lead."""
    model = MODELS[kind]()
    owners = owners_of(folder, model, optimizer)
    for number in range(2):
        together = list(reptile_cohort_fn(begin(owners, model, number), iterations=3))
        compare(together, [owner.compute(reptile_model_fn, {"iterations": 3}) for owner in begin(owners, model, number)])


def test_lanes_that_are_left_over_change_nothing(folder):
    """Fewer owners than lanes give the same updates as all of them."""
    model = MODELS["dense"]()
    owners = owners_of(folder, model)
    every = list(default_cohort_fn(owners))
    compare(list(default_cohort_fn(begin(owners, model)[:2])), every[:2])


def test_a_round_begins_without_memory(folder):
    """Neither weights, nor the local optimizer, nor dropout remember the owner or the round before."""
    model = MODELS["normalisation and dropout"]()
    owners = owners_of(folder, model, keras.optimizers.Adam(0.05))
    first = owners[3].compute(reptile_model_fn, {})
    begin(owners, model)[1].compute(reptile_model_fn, {})
    again = begin(owners, model)[3].compute(reptile_model_fn, {})
    for one, other in zip([*first.trainable, *first.state], [*again.trainable, *again.state], strict=True):
        np.testing.assert_array_equal(one, other)


def test_rounds_and_owners_differ(folder):
    """Another round has other batches and another dropout, and so has another owner with the same examples."""
    model = MODELS["dense"]()
    owners = owners_of(folder, model)
    twin = BaseDataOwner("twin", folder / "0", model, LOSS, batch_size=4)
    drawn = [
        next(owner.dataset)[1].tolist()
        for owner in (begin(owners, model)[0], begin(owners, model, 1)[0], begin([twin], model)[0])
    ]
    assert drawn[0] != drawn[1]
    assert drawn[0] != drawn[2]


def test_another_gradient_can_be_stepped_along(folder):
    """The gradient function of Reptile is the caller's: without gradients nothing moves."""
    model = MODELS["dense"]()
    owner = owners_of(folder, model)[0]
    still = owner.compute(reptile_model_fn, {"grad_fn": lambda owner: [0 * gradient for gradient in default_model_fn(owner)]})
    assert not any(array.any() for array in still.trainable)


@pytest.mark.parametrize(
    "optimizer", [keras.optimizers.SGD(clipnorm=1.0), keras.optimizers.SGD(use_ema=True), keras.optimizers.Lamb()]
)
def test_optimizers_that_would_mix_owners_are_refused(folder, optimizer):
    """An optimizer that looks at whole variables trains one owner after the other, never owners at once."""
    assert not Lanes.fit(optimizer)
    with pytest.raises(DataError, match="leave out cohort_model_fn"):
        reptile_cohort_fn(owners_of(folder, MODELS["dense"](), optimizer))


def test_no_local_step_is_refused(folder):
    """Reptile without a local step would train nothing."""
    with pytest.raises(DataError, match="at least 1"):
        owners_of(folder, MODELS["dense"]())[0].compute(reptile_model_fn, {"iterations": 0})


def test_frozen_weights_and_counters_do_not_travel():
    """Only what training changes is sent: not frozen weights, not whole numbers; statistics of a normalisation are."""
    model = keras.Sequential([L.Input((4,)), L.Normalization(), L.Dense(3, trainable=False), L.BatchNormalization(), L.Dense(2)])
    layout = layout_of(model)
    names = [weight.path.split("/", 1)[1] for weight in model.weights]
    assert [names[at].split("/")[-1] for at in layout.state] == ["mean", "variance", "moving_mean", "moving_variance"]
    assert [names[at].split("/")[-1] for at in layout.trainable] == ["gamma", "beta", "kernel", "bias"]
    assert layout.length == 4 + 4 + 3 + 3 + 3 + 3 + 3 * 2 + 2


def test_a_model_is_copied_with_its_weights():
    """A copy begins with the same weights and shares none of them."""
    model = MODELS["dense"]()
    before = [array.copy() for array in model.get_weights()]
    replica = Replica(model, LOSS, None)
    for copied, array in zip(replica.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(copied, array)
    replica.model.set_weights([array + 1 for array in before])
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


class OwnClass(keras.Model):
    """A model of a class of its own, which says how it is made."""

    def __init__(self, width=3, **settings):
        super().__init__(**settings)
        self.width, self.head = width, L.Dense(width)

    def build(self, shape):
        """Make the weights."""
        self.head.build(shape)
        super().build(shape)

    def call(self, x):
        """Classify."""
        return self.head(x)

    def get_config(self):
        """Say how it is made."""
        return {**super().get_config(), "width": self.width}


class Secretive(OwnClass):
    """A model that does not say how it is made."""

    def __init__(self, width):
        super().__init__(width)

    def get_config(self):
        """Refuse."""
        raise NotImplementedError


def test_a_model_of_another_class_is_copied():
    """A subclass of `keras.Model` is copied by its settings."""
    model = OwnClass(5)
    model.build((None, 4))
    np.testing.assert_array_equal(copy_of_model(model).get_weights()[0], model.get_weights()[0])


def test_a_model_that_cannot_be_copied_is_told():
    """A model without weights or without settings is refused with what to do."""
    with pytest.raises(DataError, match="no weights yet"):
        copy_of_model(keras.Sequential([L.Dense(3)]))
    secretive = Secretive(3)
    secretive.build((None, 4))
    with pytest.raises(DataError, match="get_config"):
        copy_of_model(secretive)

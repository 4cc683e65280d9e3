"""Owners: federated training of any Keras model, against formulas written out in numpy."""

import functools
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from privwiz.errors import DataError, SumRefused, UndefinedModelFnError
from privwiz.federated.aggregator import Aggregator
from privwiz.federated.owners import (
    BaseDataOwner,
    BaseModelOwner,
    SumTerms,
    default_cohort_fn,
    default_model_fn,
    evaluate_classifier,
    federate_dataset,
    reptile_cohort_fn,
    reptile_model_fn,
    secure_mean,
    secure_reptile,
    write_records,
)
from privwiz.federated.secure import ENGINES, ShareSum
from privwiz.federated.training_history import load_checkpoint

ROOT = Path(__file__).parents[1]
L = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
TERMS = SumTerms(clip=100.0, engine="plain")
OWNERS, EXAMPLES, FEATURES, CLASSES = 12, 8, 4, 3


MADE = {}


class Mean(BaseModelOwner):
    """Averages gradients."""

    def model_fn(self, data_owner):
        """Compute a gradient."""
        return default_model_fn(data_owner)

    def aggregator_fn(self, updates, model):
        """Open the mean."""
        del model
        return secure_mean(updates)

    def evaluator_fn(self, model_owner):
        """Measure loss and accuracy."""
        return evaluate_classifier(model_owner)


class Reptile(Mean):
    """Averages what local steps change."""

    def model_fn(self, data_owner, iterations=3):
        """Take local steps."""
        return reptile_model_fn(data_owner, iterations)

    def aggregator_fn(self, updates, model):
        """Open the mean."""
        del model
        return secure_reptile(updates)


class Together(Mean):
    """Averages gradients that are computed at once."""

    def cohort_model_fn(self, data_owners):
        """Compute the gradients of many owners."""
        return default_cohort_fn(data_owners)


class ReptileTogether(Reptile):
    """Averages what local steps at once change."""

    def cohort_model_fn(self, data_owners, iterations=3):
        """Take the local steps of many owners."""
        return reptile_cohort_fn(data_owners, iterations)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return the files of twelve data owners and of the model owner: three classes that a linear model can tell apart."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(OWNERS * EXAMPLES + 30, FEATURES)).astype("float32")
    y = (x @ rng.normal(size=(FEATURES, CLASSES))).argmax(axis=1)
    folder = tmp_path_factory.mktemp("owners")
    names = [f"owner-{number}" for number in range(OWNERS)]
    return federate_dataset((x, y), names, folder, validation_split=30 / len(x), seed=1)


@functools.cache
def linear(*layers):
    """Build a linear classifier, behind these layers, with the same weights each time; without layers it is one object."""
    keras.utils.set_random_seed(1)
    return keras.Sequential([L.Input((FEATURES,)), *layers, L.Dense(CLASSES)])


def data_owners(files, model, optimizer=None, kind=BaseDataOwner, batch_size=EXAMPLES):
    """Make the data owners, each with its own file; the same ones for the same question, as they remember nothing."""
    key = (*map(str, files.values()), model, optimizer, kind, batch_size)
    if key not in MADE:
        MADE[key] = [kind(name, files[name], model, LOSS, optimizer, batch_size) for name in files if name != "model-owner"]
    return list(MADE[key])


def train(kind, files, model, rounds=2, *, rate=1.0, terms=TERMS, owners=None, **settings):
    """Train for some rounds, with whole batches unless owners are given; return the model owner and the history."""
    owner = kind("model-owner", files.get("model-owner"), model, LOSS, keras.optimizers.SGD(rate), terms=terms)
    owners = data_owners(files, model) if owners is None else owners
    return owner, owner.fit(owners, rounds, **{"evaluate_every": 0, "progress": False, **settings})


def gradient(weights, bias, x, y):
    """Gradient of the mean log-loss of a linear classifier: the mean of (softmax - one-hot) times the features."""
    scores = np.exp(x @ weights + bias)
    error = (scores / scores.sum(axis=1, keepdims=True) - np.eye(CLASSES)[y]) / len(x)
    return x.T @ error, error.sum(axis=0)


def same_weights(one, other, **tolerance):
    """Compare the weights of two models; bit for bit unless a tolerance is given."""
    for left, right in zip(one.get_weights(), other.get_weights(), strict=True):
        if tolerance:
            np.testing.assert_allclose(left, right, **tolerance)
        else:
            np.testing.assert_array_equal(left, right)


def test_a_round_is_a_step_along_the_mean_gradient(files):
    """With full batches, two rounds are two steps of gradient descent along the mean of the owners' gradients."""
    model = linear()
    owner, history = train(Mean, files, model, 2, rate=0.5)
    weights, bias = (array.astype(float) for array in model.get_weights())
    for _ in range(2):
        steps = [gradient(weights, bias, each.examples.x, each.examples.y) for each in data_owners(files, model)]
        weights, bias = (
            part - 0.5 * np.mean(step, axis=0) for part, step in zip((weights, bias), zip(*steps, strict=True), strict=True)
        )
    np.testing.assert_allclose(owner.model.get_weights()[0], weights, atol=1e-5)
    np.testing.assert_allclose(owner.model.get_weights()[1], bias, atol=1e-5)
    assert [(record.number, record.invited, record.contributors) for record in history.rounds] == [(1, 12, 12), (2, 12, 12)]


def test_reptile_goes_to_the_mean_of_the_owners_weights(files):
    """With rate 1, Reptile ends a round where the owners' local steps lead on average."""
    model = linear()
    owner, _ = train(Reptile, files, model, 1, owners=data_owners(files, model, keras.optimizers.SGD(0.3)), iterations=4)
    ends = []
    for each in data_owners(files, model):
        weights, bias = (array.astype(float) for array in model.get_weights())
        for _ in range(4):
            step = gradient(weights, bias, each.examples.x, each.examples.y)
            weights, bias = weights - 0.3 * step[0], bias - 0.3 * step[1]
        ends.append(weights)
    np.testing.assert_allclose(owner.model.get_weights()[0], np.mean(ends, axis=0), atol=1e-5)


def test_owners_with_more_examples_can_count_more(tmp_path):
    """With a cap, a round of gradients over unequal owners is a step along the gradient over all examples in one place."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(100, FEATURES)).astype("float32"), rng.integers(CLASSES, size=100)
    names = [f"owner-{number}" for number in range(10)]
    files = federate_dataset(
        (x, y), names, tmp_path, splitter_fn=lambda *_: np.split(np.arange(100), [1, 3, 6, 10, 15, 21, 30, 45, 70])
    )
    model = linear()
    owners = data_owners(files, model, batch_size=50)
    owner, _ = train(Mean, files, model, 1, terms=SumTerms(clip=100.0, weight_cap=50), owners=owners)
    weights, bias = model.get_weights()
    np.testing.assert_allclose(owner.model.get_weights()[0], weights - gradient(weights, bias, x, y)[0], atol=1e-5)


@pytest.mark.parametrize("kinds", [(Mean, Together), (Reptile, ReptileTogether)], ids=["mean", "reptile"])
def test_owners_at_once_train_the_same_model(files, kinds):
    """A training with owners at once ends where one with owners one by one ends, dropout and normalisation included."""
    results, (model, _) = [], forgetful()
    for kind in kinds:
        owners = data_owners(files, model, keras.optimizers.SGD(0.1, momentum=0.9), batch_size=5)
        results.append(train(kind, files, model, 3, owners=owners)[0])
    same_weights(results[0].model, results[1].model, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "plain"])
def test_every_engine_trains_the_same_model(files, engine):
    """All secure sums open the same ring sum, so they give the weights of the plain sum bit for bit."""
    plain, hidden = (train(Mean, files, linear(), 2, terms=SumTerms(clip=100.0, engine=name))[0] for name in ("plain", engine))
    same_weights(hidden.model, plain.model)


def test_equal_seeds_give_equal_weights(files):
    """Batches and dropout depend on the seed, not on the order of owners nor on the secret randomness of shares."""
    terms, runs, (model, _) = SumTerms(clip=100.0, engine="shares"), [], forgetful()
    for seed, turn in ((1, 1), (1, -1), (2, 1)):
        owners = data_owners(files, model, batch_size=3)[::turn]
        runs.append(train(Mean, files, model, 3, owners=owners, terms=terms, seed=seed)[0].model)
    same_weights(runs[0], runs[1])
    assert not np.allclose(runs[0].get_weights()[0], runs[2].get_weights()[0])


class Witness(BaseDataOwner):
    """Notes the weights that it has when its turn begins."""

    seen: list

    def model_fn(self, data_owner):
        """Note, then compute a gradient."""
        assert data_owner is self
        self.seen.append(self.model.get_weights())
        return default_model_fn(self)


def test_all_weights_are_broadcast_before_every_round(files):
    """Every data owner begins every round, the first too, with all weights of the model owner: statistics included."""
    model = linear(L.BatchNormalization())
    owners = data_owners(files, model, kind=Witness)
    expected, Witness.seen = [], []
    owner = Mean("model-owner", None, model, LOSS, keras.optimizers.SGD(0.5), terms=TERMS)
    for seed in range(3):
        expected += [owner.model.get_weights()] * OWNERS
        owner.fit(owners, 1, evaluate_every=0, seed=seed, progress=False)
    assert len(Witness.seen) == len(expected) == 36
    for seen, sent in zip(Witness.seen, expected, strict=True):
        for one, other in zip(seen, sent, strict=True):
            np.testing.assert_array_equal(one, other)
    assert not np.allclose(expected[0][2], expected[-1][2])


def test_statistics_of_the_model_are_averaged(files):
    """A moving mean moves by the mean of what the owners' batches move it, through the same sum; momentum is 0.9."""
    model = linear(L.BatchNormalization(momentum=0.9))
    owner, _ = train(Mean, files, model, 1)
    x = [each.examples.x for each in data_owners(files, model)]
    moving_mean, moving_variance = owner.model.layers[0].moving_mean, owner.model.layers[0].moving_variance
    np.testing.assert_allclose(moving_mean, 0.1 * np.mean([part.mean(axis=0) for part in x], axis=0), atol=1e-6)
    np.testing.assert_allclose(moving_variance, 0.9 + 0.1 * np.mean([part.var(axis=0) for part in x], axis=0), atol=1e-6)


class Stubborn(BaseDataOwner):
    """Wants every weight to be one lower, whatever the model owner asks for."""

    def model_fn(self, data_owner, **params):
        """Return a gradient of ones."""
        del params
        return [np.ones(variable.shape) for variable in data_owner.model.trainable_variables]


@pytest.mark.parametrize("kind", [Mean, Together])
def test_a_data_owners_own_model_fn_has_precedence(files, kind):
    """A data owner that defines ``model_fn`` uses it, among others that use the model owner's, at once or one by one."""
    model = linear()
    owners = data_owners(files, model)
    name = owners[5].name
    without = owners[:5] + owners[6:]
    rest = train(kind, files, model, 1, owners=without)[0].model.get_weights()
    owners[5] = Stubborn(name, files[name], model, LOSS)
    mixed = train(kind, files, model, 1, owners=owners)[0].model.get_weights()
    start = model.get_weights()
    expected = start[0] + ((rest[0] - start[0]) * 11 - 1) / 12
    np.testing.assert_allclose(mixed[0], expected, atol=1e-6)


def test_without_model_fn_nobody_trains(files):
    """If neither owner defines ``model_fn``, that is told at once; if every data owner does, the model owner need not."""

    class Aggregating(BaseModelOwner):
        aggregator_fn = Mean.aggregator_fn

    with pytest.raises(UndefinedModelFnError, match="'model-owner' defines no model_fn"):
        train(Aggregating, files, linear())
    model = linear()
    train(Aggregating, files, model, owners=data_owners(files, model, kind=Stubborn))
    with pytest.raises(UndefinedModelFnError, match="'owner-0' defines no model_fn"):
        data_owners(files, model)[0].model_fn(None)


@pytest.mark.parametrize("hook", ["model_fn", "cohort_model_fn", "aggregator_fn", "evaluator_fn"])
def test_every_missing_hook_says_so(files, hook):
    """A hook that is called and not defined raises an error of ours that names it."""
    owner = BaseModelOwner("model-owner", None, linear(), LOSS, terms=TERMS)
    arguments = [None, None] if hook == "aggregator_fn" else [None]
    with pytest.raises(UndefinedModelFnError, match=hook):
        getattr(owner, hook)(*arguments)
    if hook != "cohort_model_fn":
        with pytest.raises(UndefinedModelFnError):
            owner.fit(data_owners(files, linear()), 1)


def test_parameters_reach_every_model_fn(files):
    """Further arguments of ``fit`` are given to the model function, the model owner's, the cohort's or a data owner's own."""
    heard = []

    class Hearing(BaseDataOwner):
        def model_fn(self, data_owner, iterations):
            heard.append(iterations)
            return reptile_model_fn(data_owner, iterations)

    model = linear()
    one, other = (train(kind, files, model, 1, iterations=5)[0].model for kind in (Reptile, ReptileTogether))
    hearing = train(Mean, files, model, 1, owners=data_owners(files, model, kind=Hearing), iterations=5)[0].model
    same_weights(one, other, atol=1e-5)
    assert heard == [5] * OWNERS
    assert hearing is not one
    assert not np.allclose(one.get_weights()[0], train(Reptile, files, model, 1, iterations=1)[0].model.get_weights()[0])


@pytest.mark.parametrize(("every", "expected"), [(3, [3, 6]), (1, [1, 2, 3, 4, 5, 6, 7]), (0, []), (9, [])])
def test_the_evaluation_interval_is_kept(files, every, expected):
    """The evaluator is called before the first round and after every so many rounds, and with 0 never."""
    calls = []

    class Counting(Mean):
        def evaluator_fn(self, model_owner):
            calls.append(evaluate_classifier(model_owner))
            return calls[-1]

    _, history = train(Counting, files, linear(), 7, evaluate_every=every)
    assert sorted(history.evaluations) == expected
    assert calls == [*([history.before] if every else []), *history.evaluations.values()]


def test_evaluation_measures_all_validation_data(files):
    """Loss and accuracy are those of every validation example, which are read from the path that was given."""
    validation = str(files["model-owner"][0])
    owner = Mean("model-owner", validation, linear(), LOSS, terms=TERMS)
    x, y = owner.validation.x, owner.validation.y
    scores = x @ owner.model.get_weights()[0] + owner.model.get_weights()[1]
    chosen = np.exp(scores)[np.arange(30), y] / np.exp(scores).sum(axis=1)
    found = evaluate_classifier(owner)
    assert found["loss"] == pytest.approx(-np.log(chosen).mean(), rel=1e-5)
    assert found["accuracy"] == pytest.approx((scores.argmax(axis=1) == y).mean())


def test_training_helps(files):
    """After thirty rounds the linear classes are told apart."""
    _, history = train(Together, files, linear(), 30, evaluate_every=30)
    assert history.evaluations[30]["accuracy"] >= 0.9
    assert history.evaluations[30]["loss"] < history.before["loss"] / 2


def test_without_validation_data_training_works(files):
    """Owners of files of their own, given by name, train without validation; asking for it is told before any round."""
    own = {name: path for name, path in files.items() if name != "model-owner"}
    owner, history = train(Mean, own, linear(), 2)
    assert (owner.validation, history.before, len(history.rounds)) == (None, None, 2)
    before = owner.model.get_weights()
    with pytest.raises(DataError, match="no validation data"):
        owner.fit(data_owners(own, linear()), 1, progress=False)
    np.testing.assert_array_equal(owner.model.get_weights()[0], before[0])


def test_rows_with_one_one_are_labels_too(tmp_path):
    """Labels may be one-hot; a model with a single number per example is not a classifier of several classes."""
    write_records(tmp_path / "v", np.eye(FEATURES, dtype="float32")[:3], np.eye(3, dtype="float32"))
    model = keras.Sequential([L.Input((FEATURES,)), L.Dense(CLASSES)])
    model.set_weights([np.eye(FEATURES, CLASSES), np.zeros(CLASSES)])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    assert evaluate_classifier(Mean("m", tmp_path / "v", model, loss, terms=TERMS))["accuracy"] == 1
    single = keras.Sequential([L.Input((FEATURES,)), L.Dense(1)])
    with pytest.raises(DataError, match="number per class"):
        evaluate_classifier(Mean("m", tmp_path / "v", single, loss, terms=TERMS))


@pytest.mark.parametrize("kind", [Mean, Together])
def test_owners_that_drop_out_are_left_out(files, kind):
    """A round in which owners cannot be reached is a round of the others."""

    class Flaky(BaseDataOwner):
        def receive(self, broadcast):
            if broadcast.number == 1:
                raise ConnectionError
            super().receive(broadcast)

    model = linear()
    owners = data_owners(files, model)
    flaky = [Flaky(owner.name, owner.local_tfrecords, model, LOSS) for owner in owners[:2]]
    owner, history = train(kind, files, model, 2, owners=flaky + owners[2:])
    assert [record.contributors for record in history.rounds] == [12, 10]
    first, _ = train(kind, files, model, 1)
    second, _ = train(kind, files, first.model, 1, owners=data_owners(files, first.model)[2:])
    same_weights(owner.model, second.model, atol=1e-6)


def test_too_many_that_drop_out_stop_the_training(files):
    """If fewer than the minimum are left, nothing is opened and the model stays as it was."""

    class Gone(BaseDataOwner):
        def model_fn(self, data_owner):
            raise ConnectionError(data_owner.name)

    model = linear()
    owner = Mean("model-owner", None, model, LOSS, terms=TERMS)
    owners = data_owners(files, model)[3:] + data_owners(files, model, kind=Gone)[:3]
    with pytest.raises(SumRefused, match="9 devices are too few"):
        owner.fit(owners, 1, evaluate_every=0, progress=False)
    same_weights(owner.model, model)


def test_one_owner_cannot_move_the_model_far(files):
    """Whatever one owner wants, its update is clipped: here to a norm of 1, of which a twelfth reaches the mean."""

    class Greedy(Stubborn):
        def model_fn(self, data_owner):
            return [1e6 * update for update in super().model_fn(data_owner)]

    class Silent(Stubborn):
        def model_fn(self, data_owner):
            return [0 * update for update in super().model_fn(data_owner)]

    model = linear()
    owners = [Greedy("greedy", files["owner-0"], model, LOSS), *data_owners(files, model, kind=Silent)[1:]]
    owner, _ = train(Mean, files, model, 1, owners=owners, terms=SumTerms(clip=1.0))
    moved = np.concatenate([(a - b).ravel() for a, b in zip(owner.model.get_weights(), model.get_weights(), strict=True)])
    assert np.linalg.norm(moved) == pytest.approx(1 / 12, rel=1e-4)


def test_noise_can_be_added_to_every_sum(files):
    """With a noise multiplier of 2 and nothing to learn, the weights move by the noise of three aggregators over N."""
    model = keras.Sequential([L.Input((FEATURES,)), L.Dense(300, kernel_initializer="zeros")])

    class Silent(BaseDataOwner):
        def model_fn(self, data_owner):
            return [np.zeros(variable.shape) for variable in data_owner.model.trainable_variables]

    terms = SumTerms(clip=0.5, noise_multiplier=2.0)
    owner, _ = train(Mean, files, model, 1, owners=data_owners(files, model, kind=Silent), terms=terms)
    noise = owner.model.get_weights()[0]
    assert noise.std() == pytest.approx(np.sqrt(3) * 2 * 0.5 / OWNERS, rel=6 / np.sqrt(2 * noise.size))


def test_only_the_model_owner_learns_the_mean(files):
    """In a training with shares, what each aggregator tells is noise in every round; only their three sums make the mean."""
    told = []

    class Overheard(Aggregator):
        def add(self, contributors):
            told.append(super().add(contributors))
            return told[-1]

    engine = ShareSum()
    engine.aggregators = tuple(Overheard(index, simulation=True) for index in range(3))
    train(Mean, files, linear(), 3, terms=SumTerms(clip=100.0, engine=engine))
    rings = np.array([part.ring for part in told]).reshape(3, 3, -1)
    assert np.abs(rings.view(np.int64)).astype(float).max(axis=2).min() > 2.0**58
    assert np.abs((rings.sum(axis=1) - rings[:, 0]).view(np.int64)).astype(float).max(axis=1).min() > 2.0**58
    assert np.abs(rings.sum(axis=1).view(np.int64)).max() < 2.0**30


def test_few_owners_are_refused_before_any_training(files):
    """Fewer than ten owners do not train, unless the terms say that it is a simulation."""
    model = linear()
    few = data_owners(files, model)[:3]
    with pytest.raises(SumRefused, match="3 devices are too few"):
        train(Mean, files, model, owners=few)
    assert (
        train(Mean, files, model, owners=few, terms=SumTerms(clip=1.0, minimum=3, simulation=True))[1].rounds[0].contributors == 3
    )


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"rounds": -1}, "rounds is -1"), ({"rounds": 2.5}, "rounds is 2.5"), ({"evaluate_every": -2}, "evaluate_every is -2")],
)
def test_senseless_settings_are_refused(files, settings, reason):
    """Numbers of rounds are whole and not negative."""
    with pytest.raises(DataError, match=reason):
        train(Mean, files, linear(), **settings)


def test_owners_that_do_not_fit_together_are_refused(files):
    """Double names and models of other weights are refused before any training."""
    model = linear()
    owners = data_owners(files, model)
    with pytest.raises(DataError, match="two data owners are called 'owner-0'"):
        train(Mean, files, model, owners=[*owners, owners[0]])
    owners[3] = BaseDataOwner("owner-3", files["owner-3"], linear(L.Dense(2)), LOSS)
    with pytest.raises(DataError, match="'owner-3' has a model of other weights"):
        train(Mean, files, model, owners=owners)
    with pytest.raises(DataError, match="batch size"):
        BaseDataOwner("owner-3", files["owner-3"], model, LOSS, batch_size=0)


@pytest.mark.parametrize(
    ("update", "reason"), [([np.ones(2)], "variables of the model"), ([np.full((4, 3), np.nan), np.ones(3)], "nan")]
)
def test_an_update_that_is_none_is_refused(files, update, reason):
    """An update of other shapes, or with something that is no number, does not reach the sum."""

    class Wrong(BaseDataOwner):
        def model_fn(self, data_owner):
            del data_owner
            return update

    model = linear()
    with pytest.raises(DataError, match=reason):
        train(Mean, files, model, 1, owners=data_owners(files, model, kind=Wrong))


def test_an_aggregator_must_return_gradients(files):
    """What an aggregator returns has the shapes of the trainable variables."""

    class Wrong(Mean):
        def aggregator_fn(self, updates, model):
            return super().aggregator_fn(updates, model)[:1]

    with pytest.raises(DataError, match="one per trainable variable"):
        train(Wrong, files, linear(), 1)


def test_the_given_model_is_not_touched(files):
    """Training changes the model owner's copy only."""
    model = linear(L.BatchNormalization())
    before = model.get_weights()
    owner, _ = train(Mean, files, model, 1)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.allclose(owner.model.get_weights()[-2], before[-2])


def test_progress_is_shown(files, capsys):
    """The bar counts all rounds and shows the last evaluation; without progress nothing is printed."""
    train(Mean, files, linear(), 3, evaluate_every=2, progress=True)
    shown = capsys.readouterr().out
    assert "3/3" in shown
    assert "accuracy" in shown
    train(Mean, files, linear(), 1)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["model.keras", "saved"])
def test_a_saved_model_predicts_the_same(files, tmp_path, name):
    """A model is saved as a file of Keras or as a SavedModel, and predicts as before; a folder is not overwritten."""
    owner, _ = train(Mean, files, linear(), 1)
    owner.save_model(tmp_path / name)
    x = owner.validation.x
    if name == "saved":
        found = L.TFSMLayer(tmp_path / name, call_endpoint="serve")(x)
        with pytest.raises(DataError, match="new folder"):
            owner.save_model(tmp_path / name)
    else:
        found = keras.models.load_model(tmp_path / name)(x)
        owner.save_model(tmp_path / name)
    np.testing.assert_allclose(found, owner.predict(x), rtol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_model_is_not_saved_nowhere(tmp_path):
    """A folder that does not exist is told."""
    owner = Mean("model-owner", None, linear(), LOSS, terms=TERMS)
    with pytest.raises(DataError, match="existing folder"):
        owner.save_model(tmp_path / "gone" / "model.keras")


@functools.cache
def forgetful():
    """Build a model with randomness and statistics, and an optimizer for local steps."""
    return linear(L.BatchNormalization(), L.Dropout(0.3)), keras.optimizers.Adam(0.01)


def resumable(files, rounds, folder, optimizer=None, **settings):
    """Train a model with every kind of memory: Adam on both sides, dropout, normalisation."""
    model, local = forgetful()
    owner = Reptile("model-owner", files.get("model-owner"), model, LOSS, optimizer or keras.optimizers.Adam(0.05), terms=TERMS)
    owners = data_owners(files, model, local, batch_size=3)
    history = owner.fit(owners, rounds, 2, checkpoint=folder, progress=False, **settings)
    return owner, history


def test_a_training_goes_on_where_it_was(files, tmp_path):
    """Stopped after three rounds and begun anew, a training ends with the weights and history of an uninterrupted one."""
    whole, expected = resumable(files, 6, None)
    resumable(files, 3, tmp_path)
    part, history = resumable(files, 6, tmp_path)
    same_weights(part.model, whole.model)
    assert history == expected
    again, same = resumable(files, 6, tmp_path)
    same_weights(again.model, whole.model)
    assert same == expected


def test_another_training_does_not_go_on(files, tmp_path):
    """A checkpoint is not continued with another seed, other terms or other owners, and the message says what differs."""
    resumable(files, 1, tmp_path)
    with pytest.raises(DataError, match="other seed"):
        resumable(files, 2, tmp_path, seed=5)
    with pytest.raises(DataError, match="other data owners"):
        resumable({name: path for name, path in files.items() if name != "owner-3"}, 2, tmp_path)
    with pytest.raises(DataError, match="optimizer"):
        resumable(files, 2, tmp_path, keras.optimizers.SGD(0.05))


@pytest.mark.slow
def test_a_killed_training_goes_on(files, tmp_path):
    """A training process that is killed with signal 9 goes on in another process, to the weights of an uninterrupted one."""
    code = "import runpy, sys; runpy.run_path(sys.argv[1])['resumable'](dict(zip(*[iter(sys.argv[3:])] * 2)), 10**6, sys.argv[2])"
    named = [part for name, paths in files.items() for part in (name, paths[0])]
    child = subprocess.Popen([sys.executable, "-c", code, __file__, tmp_path, *named], cwd=ROOT)
    deadline = time.monotonic() + 300
    try:
        while (found := load_checkpoint(tmp_path)) is None or len(found.history.rounds) < 3:
            assert child.poll() is None, "the training ended by itself"
            assert time.monotonic() < deadline, "no checkpoint appeared"
            time.sleep(0.05)
    finally:
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    rounds = len(load_checkpoint(tmp_path).history.rounds) + 2
    whole, expected = resumable(files, rounds, None)
    part, history = resumable(files, rounds, tmp_path)
    same_weights(part.model, whole.model)
    assert history == expected

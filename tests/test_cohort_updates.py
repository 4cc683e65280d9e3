"""Updates of a round: what each data owner sends, and what comes out of the sum."""

import math

import numpy as np
import pytest

from privwiz.errors import DataError, SumRefused
from privwiz.federated.cohort_updates import CohortUpdates, SumTerms, secure_mean, secure_reptile
from privwiz.federated.fixed_point import FRACTION_BITS
from privwiz.federated.secure import PlainSum, ShareSum
from privwiz.federated.weight_layout import WeightLayout

LAYOUT = WeightLayout(((3,), (2,)), trainable=(0,), state=(1,))


def collect(terms, changes, examples=None, layout=LAYOUT):
    """Let owners submit these vectors of trainable and state."""
    updates = CohortUpdates(terms.make_engine(), terms.plan(1, len(changes), layout), layout, terms)
    for owner, change in enumerate(changes):
        updates.submit(owner, *layout.unpack(np.asarray(change, float)), 1 if examples is None else examples[owner])
    return updates


def test_the_mean_has_no_bias_from_dividing():
    """The mean of a hundred updates is off by less than the rounding of one: 1/N is not itself rounded to fixed point."""
    changes = np.random.default_rng(0).normal(size=(100, 5))
    mean = collect(SumTerms(clip=100.0), changes).open()
    error = np.concatenate([*mean.trainable, *mean.state]) - changes.mean(axis=0)
    assert np.abs(error).max() <= 2.0**-FRACTION_BITS
    assert mean.count == 100


def test_a_long_update_is_clipped():
    """One data owner moves the mean by no more than the clipping norm divided by the number of owners, whatever it sends."""
    changes = np.zeros((20, 5))
    changes[7] = 1e9
    mean = collect(SumTerms(clip=2.0), changes).open()
    moved = np.linalg.norm(np.concatenate([*mean.trainable, *mean.state]))
    assert moved == pytest.approx(2.0 / 20, rel=1e-5)


def test_data_owners_count_by_their_examples():
    """With a cap, the mean is weighted by the number of examples, and nobody counts for more than the cap."""
    changes = np.random.default_rng(1).normal(size=(12, 5))
    examples = [1, 5, 10, 200, *[3] * 8]
    mean = collect(SumTerms(clip=100.0, weight_cap=10), changes, examples).open()
    expected = np.average(changes, axis=0, weights=np.minimum(examples, 10))
    np.testing.assert_allclose(np.concatenate([*mean.trainable, *mean.state]), expected, atol=1e-5)


def test_weighted_updates_stay_within_the_bound():
    """What is sent with a weight has at most the norm that the plan states, which is what noise is measured by."""
    terms = SumTerms(clip=3.0, weight_cap=4, engine=Recorder())
    collect(terms, [[50, 60, 70, 80, 90.0]] * 10, [400] * 10)
    norms = [np.linalg.norm(vector) for vector in terms.engine.vectors]
    assert max(norms) == pytest.approx(terms.bound)
    assert terms.bound == pytest.approx(3 * math.sqrt(2))
    assert terms.plan(1, 10, LAYOUT).length == 6


class Recorder(PlainSum):
    """The oracle, which also remembers what was submitted."""

    def __init__(self):
        super().__init__()
        self.vectors = []

    def submit(self, device, update):
        """Remember and add."""
        self.vectors.append(update)
        super().submit(device, update)


def test_noise_has_the_stated_variance():
    """With a noise multiplier the sum has the noise of three aggregators, each that many times what one owner can move it."""
    layout = WeightLayout(((2000,),), trainable=(0,), state=())
    terms = SumTerms(clip=1.0, noise_multiplier=0.5)
    noise = collect(terms, np.zeros((10, 2000)), layout=layout).open().trainable[0] * 10
    assert noise.var() == pytest.approx(3 * 0.5**2, rel=6 * math.sqrt(2 / 2000))


def test_no_noise_unless_asked():
    """Without a multiplier the sum of zeros is zero."""
    assert not any(array.any() for array in collect(SumTerms(clip=1.0), np.zeros((10, 5))).open().trainable)


def test_few_owners_are_refused():
    """Fewer than ten data owners are summed only in a simulation that says so."""
    with pytest.raises(SumRefused, match="9 devices are too few"):
        SumTerms(clip=1.0).plan(1, 9, LAYOUT)
    with pytest.raises(SumRefused, match="only a simulation"):
        SumTerms(clip=1.0, minimum=2).plan(1, 9, LAYOUT)
    assert collect(SumTerms(clip=1.0, minimum=2, simulation=True), np.ones((2, 5)) / 4).open().count == 2


def test_only_the_model_owner_can_open_the_mean():
    """What the aggregators tell is noise, alone and in pairs; the sum is there only where all three are added."""
    engine = ShareSum()
    told = []
    for aggregator in engine.aggregators:
        add = aggregator.add
        aggregator.add = lambda contributors, add=add: told.append(add(contributors)) or told[-1]
    changes = np.random.default_rng(2).uniform(-0.1, 0.1, size=(12, 5))
    updates = collect(SumTerms(clip=1.0, engine=engine), changes)
    assert told == []
    updates.open()
    parts = np.array([part.ring for part in told])
    sizes = np.abs(np.array([*parts, *(parts.sum(axis=0) - parts), parts.sum(axis=0)]).view(np.int64)) / 2.0**FRACTION_BITS
    assert (sizes[:6].max(axis=1) > 1e6).all()
    np.testing.assert_allclose(sizes[6], np.abs(changes.sum(axis=0)), atol=1e-6)


def test_aggregators_open_once_and_agree():
    """`secure_reptile` is minus what `secure_mean` is, and asking again costs no second sum."""
    updates = collect(SumTerms(clip=9.0), np.full((10, 5), 0.5))
    assert secure_mean(updates)[0].tolist() == [0.5] * 3
    assert secure_reptile(updates)[0].tolist() == [-0.5] * 3
    assert updates.opened.state[0].tolist() == [0.5] * 2


def test_a_sum_that_nobody_opened_is_missed():
    """An aggregator that does not open the sum is told so, instead of the statistics of the model standing still."""
    with pytest.raises(SumRefused, match="did not open"):
        _ = collect(SumTerms(clip=1.0), np.zeros((10, 5))).opened


@pytest.mark.parametrize(
    "terms", [{"clip": 0.0}, {"clip": math.inf}, {"clip": 1.0, "engine": "nobody"}, {"clip": 1.0, "weight_cap": 0}]
)
def test_senseless_terms_are_refused(terms):
    """A clipping norm that is none, an engine that does not exist and a cap of nothing are refused."""
    with pytest.raises(DataError):
        SumTerms(**terms)

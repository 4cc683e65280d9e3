"""Aggregators: what each one sees, and what none of them does. The refusals are in the vectors (test_vectors.py)."""

import gc
from dataclasses import replace

import numpy as np
import pytest

from privwiz.errors import DataError, SumRefused
from privwiz.federated.aggregator import Aggregator, open_sums
from privwiz.federated.fixed_point import decode
from privwiz.federated.rounds import RoundPlan
from privwiz.federated.shares import ShareMessage, fresh_seeds, share_of, share_update

PLAN = RoundPlan(1, cohort=frozenset(range(12)), length=8, bound=1.0)


@pytest.fixture
def aggregators():
    """Return the three aggregators of a round that has begun."""
    three = [Aggregator(index) for index in range(3)]
    for aggregator in three:
        aggregator.begin(PLAN)
    return three


def upload(aggregators, device):
    """Send the shares of an update that is the device's number over 16; return the messages."""
    messages = share_update(PLAN, device, np.full(8, device / 16), fresh_seeds())
    for aggregator, message in zip(aggregators, messages, strict=True):
        aggregator.receive(message)
    return messages


def contents(thing):
    """Everything that can be reached from an object, without the code and the classes that everything can reach."""
    found, queue = {}, [thing]
    while queue:
        one = queue.pop()
        if id(one) not in found and not isinstance(one, type) and not callable(one):
            found[id(one)] = one
            queue += gc.get_referents(one)
            queue += list(vars(one).values()) if hasattr(one, "__dict__") else []
    return list(found.values())


def shares_in(aggregator, uploads):
    """For each device, how many of its three shares this aggregator holds, in any form."""
    things = contents(aggregator)
    texts = {bytes(thing) for thing in things if isinstance(thing, bytes)}
    texts |= {thing.tobytes() for thing in things if isinstance(thing, np.ndarray)}
    return [sum(bool({m.payload, share_of(m).tobytes()} & texts) for m in messages) for messages in uploads]


def test_no_aggregator_holds_two_shares_of_a_device(aggregators):
    """Nothing that can be reached from an aggregator is a share that was sent to another one, before, during and after adding."""
    uploads = [upload(aggregators, device) for device in range(12)]
    for aggregator in aggregators:
        assert shares_in(aggregator, uploads) == [1] * 12
        aggregator.close()
    for aggregator in aggregators:
        aggregator.add(frozenset(range(12)))
        assert shares_in(aggregator, uploads) == [0] * 12


def test_the_structural_check_sees_a_second_share(aggregators):
    """Negative control: an aggregator that was handed another one's share, expanded or not, is noticed."""
    uploads = [upload(aggregators, device) for device in range(12)]
    aggregators[0].loot = {"deep": [(share_of(uploads[3][1]),)]}
    assert shares_in(aggregators[0], uploads)[3] == 2


def test_a_device_that_vanishes_costs_nothing(aggregators):
    """Before its upload, or in the middle of it, a device that vanishes is not counted; after it, it is."""
    for device in range(10):
        upload(aggregators, device)
    aggregators[0].receive(share_update(PLAN, 10, np.ones(8), fresh_seeds())[0])
    contributors = frozenset.intersection(*(aggregator.close() for aggregator in aggregators))
    opened = open_sums(PLAN, [aggregator.add(contributors) for aggregator in aggregators])
    assert opened.count == 10
    assert opened.total.tolist() == [45 / 16] * 8


def test_two_sums_of_different_devices_cannot_be_opened(aggregators):
    """Where aggregators are told different contributors, the parts do not fit together and no second sum is told."""
    for device in range(12):
        upload(aggregators, device)
    for aggregator in aggregators:
        aggregator.close()
    all_of_them, all_but_one = frozenset(range(12)), frozenset(range(11))
    parts = [aggregators[0].add(all_but_one), *(aggregator.add(all_of_them) for aggregator in aggregators[1:])]
    with pytest.raises(SumRefused, match="different contributors"):
        open_sums(PLAN, parts)
    with pytest.raises(SumRefused, match="a second one would show single devices"):
        aggregators[0].add(all_of_them)
    mixed = decode(np.sum([part.ring for part in parts], axis=0, dtype=np.uint64))
    assert np.abs(mixed).max() > 2.0**32


def test_a_sum_can_be_asked_for_again():
    """A lost answer is repeated, noise and all: another draw of the noise would let it be averaged away."""
    noisy = Aggregator(0)
    noisy.begin(replace(PLAN, noise_variance=10**6))
    for device in range(10):
        noisy.receive(share_update(PLAN, device, np.zeros(8), fresh_seeds())[0])
    noisy.close()
    assert noisy.add(frozenset(range(10))) is noisy.add(frozenset(range(10)))


def test_a_round_that_is_given_up_is_forgotten(aggregators):
    """The shares of a round that was not finished are gone when the next begins, and it cannot begin again."""
    upload(aggregators, 1)
    aggregators[0].begin(replace(PLAN, round_id=2))
    assert not any(isinstance(thing, ShareMessage) for thing in contents(aggregators[0]))
    with pytest.raises(SumRefused, match="begun before"):
        aggregators[0].begin(PLAN)


def test_a_simulation_is_refused_by_a_real_aggregator():
    """The minimum of ten devices is the aggregator's own: a plan that calls itself a simulation is not believed."""
    plan = RoundPlan(1, cohort=frozenset({1, 2}), length=2, bound=1, minimum=2, simulation=True)
    with pytest.raises(SumRefused, match="serves real devices"):
        Aggregator(0).begin(plan)
    Aggregator(0, simulation=True).begin(plan)


def test_sums_that_do_not_belong_together_are_refused(aggregators):
    """To open takes one sum of each aggregator, of one round and one length."""
    for device in range(12):
        upload(aggregators, device)
    for aggregator in aggregators:
        aggregator.close()
    parts = [aggregator.add(frozenset(range(12))) for aggregator in aggregators]
    for wrong, reason in [
        (parts[:2], "three aggregators"),
        ([parts[0], parts[0], parts[1]], "three aggregators"),
        ([*parts[:2], replace(parts[2], round_id=9)], "not of round 1"),
        ([*parts[:2], replace(parts[2], ring=parts[2].ring[:4])], "shape"),
    ]:
        with pytest.raises(SumRefused, match=reason):
            open_sums(PLAN, wrong)


def test_nothing_happens_outside_a_round():
    """An aggregator without a round neither receives nor adds, and there are only three."""
    with pytest.raises(SumRefused, match="no round"):
        Aggregator(1).add(frozenset())
    with pytest.raises(DataError, match="does not exist"):
        Aggregator(3)

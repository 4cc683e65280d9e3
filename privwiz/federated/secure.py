"""Secure sums: updates of a cohort go in, their sum and their number come out.

All engines keep one protocol and open the same ring sum, bit for bit. `PlainSum` sees every update: it is the oracle. `ShareSum`
plays the devices, the three aggregators and the model owner in one process: it shows that the protocol works and what it costs.
As one process holds everything, it protects nobody; that takes three operators, each with an `Aggregator` of its own. With a
name that begins with ``tfe``, tf-encrypted holds and adds the shares (`privwiz.federated.tfe_sum`), in this process or on a
`Cluster`.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError, SumRefused
from privwiz.federated.aggregator import Aggregator, open_sums
from privwiz.federated.cluster import Cluster
from privwiz.federated.fixed_point import encode
from privwiz.federated.privacy import RandBelow, noise
from privwiz.federated.rounds import PARTIES, OpenedSum, RoundPlan, opened
from privwiz.federated.shares import Seeds, fresh_seeds, share_updates

__all__ = ["ENGINES", "PlainSum", "SecureSum", "ShareSum", "make_engine"]

Floats = npt.NDArray[np.floating]


class SecureSum(Protocol):
    """An engine of secure sums, for one round after the other."""

    def begin(self, plan: RoundPlan) -> None:
        """Start a round on these terms; raises `SumRefused` for the number of an earlier one."""

    def submit(self, device: int, update: Floats) -> None:
        """Contribute the clipped update of a device of the cohort, once; raises `SumRefused` or `DataError` otherwise."""

    def submit_many(self, devices: Sequence[int], updates: Floats) -> None:
        """Do the same for many devices, a row of ``updates`` for each; if one is refused, none contributes."""

    def open(self) -> OpenedSum:
        """End the round and tell the sum, once; raises `SumRefused` if too few contributed."""


class PlainSum:
    """The oracle: adds up encoded updates in the open, and the noise of three aggregators.

    Examples
    --------
    >>> engine = PlainSum()
    >>> engine.begin(RoundPlan(1, cohort=frozenset(range(12)), length=2, bound=1))
    >>> for device in range(11):  # one drops out
    ...     engine.submit(device, np.array([0.5, device / 16]))
    >>> engine.open().total
    array([5.5   ,  3.4375])
    """

    def __init__(self, *, randbelow: RandBelow = secrets.randbelow) -> None:
        self._randbelow = randbelow
        self._seen: set[int] = set()
        self._plan: RoundPlan | None = None
        self._total = np.zeros(0, np.uint64)
        self._contributors: set[int] = set()

    def begin(self, plan: RoundPlan) -> None:
        """Start a round."""
        if plan.round_id in self._seen:
            raise SumRefused(f"round {plan.round_id} has begun before; every round needs a new number")
        self._seen.add(plan.round_id)
        self._plan, self._total, self._contributors = plan, np.zeros(plan.length, np.uint64), set()

    def submit(self, device: int, update: Floats) -> None:
        """Add an update."""
        _running(self._plan).check_update(update)
        self.submit_many([device], np.asarray(update)[np.newaxis])

    def submit_many(self, devices: Sequence[int], updates: Floats) -> None:
        """Add many updates."""
        plan = _running(self._plan)
        numbers = plan.check_batch(devices, updates, self._contributors)
        self._total += encode(updates, plan.bound, plan.fraction_bits).sum(axis=0, dtype=np.uint64)
        self._contributors.update(numbers)

    def open(self) -> OpenedSum:
        """Tell the sum."""
        plan = _running(self._plan)
        plan.check_count(len(self._contributors))
        self._plan = None
        for _ in range(PARTIES):
            self._total += noise(plan.length, plan.noise_variance, self._randbelow)
        return opened(plan, self._total, len(self._contributors))


class ShareSum:
    """Additive sharing among three aggregators, all played in this process.

    Parameters
    ----------
    seeds : Seeds
        The operating system's unless a test has to repeat itself.
    randbelow : callable
        Randomness of the noise.

    Examples
    --------
    >>> engine = ShareSum()
    >>> engine.begin(RoundPlan(1, cohort=frozenset(range(12)), length=2, bound=1))
    >>> for device in range(12):
    ...     engine.submit(device, np.array([0.5, -0.25]))
    >>> engine.open().mean()
    array([ 0.5 , -0.25])
    """

    def __init__(self, *, seeds: Seeds = fresh_seeds, randbelow: RandBelow = secrets.randbelow) -> None:
        self.aggregators = tuple(Aggregator(index, simulation=True, randbelow=randbelow) for index in range(PARTIES))
        self._seeds = seeds
        self._plan: RoundPlan | None = None
        self._contributors: set[int] = set()

    def begin(self, plan: RoundPlan) -> None:
        """Announce the round to the aggregators."""
        for aggregator in self.aggregators:
            aggregator.begin(plan)
        self._plan, self._contributors = plan, set()

    def submit(self, device: int, update: Floats) -> None:
        """Make the shares, as the device would, and hand each to its aggregator."""
        _running(self._plan).check_update(update)
        self.submit_many([device], np.asarray(update)[np.newaxis])

    def submit_many(self, devices: Sequence[int], updates: Floats) -> None:
        """Play many devices, one after the other."""
        plan = _running(self._plan)
        numbers = plan.check_batch(devices, updates, self._contributors)
        for messages in share_updates(plan, numbers, updates, self._seeds):
            for aggregator, message in zip(self.aggregators, messages, strict=True):
                aggregator.receive(message)
        self._contributors.update(numbers)

    def open(self) -> OpenedSum:
        """Fix the contributors, let each aggregator add, and add their sums."""
        plan = _running(self._plan)
        plan.check_count(len(self._contributors))
        contributors = frozenset.intersection(*(aggregator.close() for aggregator in self.aggregators))
        self._plan = None
        return open_sums(plan, [aggregator.add(contributors) for aggregator in self.aggregators])


def make_engine(name: str, cluster: Cluster | None = None) -> SecureSum:
    """Return the engine that users call by this name.

    Parameters
    ----------
    name : str
        A key of `ENGINES`.
    cluster : Cluster, optional
        The parties that tf-encrypted runs on; without one, it plays them in this process.

    Raises
    ------
    DataError
        If there is no such engine, or it does not run on a cluster.
    MissingExtra
        If the extra ``federated`` is not installed.

    Examples
    --------
    >>> make_engine("plain")
    <privwiz.federated.secure.PlainSum object at ...>
    >>> make_engine("trust-me")
    Traceback (most recent call last):
    privwiz.errors.DataError: there is no secure sum 'trust-me'; they are plain, shares, tfe-pond, tfe-securenn, tfe-aby3
    """
    if name not in ENGINES:
        raise DataError(f"there is no secure sum {name!r}; they are {', '.join(ENGINES)}")
    if cluster is None:
        return ENGINES[name]()
    if name not in _ON_TFE:
        raise DataError(f"the secure sum {name!r} runs in one process; a cluster is for {', '.join(_ON_TFE)}")
    return _ON_TFE[name](cluster=cluster)


def _tfe(protocol: str, cluster: Cluster | None = None) -> SecureSum:
    from privwiz.federated.tfe_sum import TfeSum

    return TfeSum(protocol, cluster=cluster)


_ON_TFE = {f"tfe-{protocol}": partial(_tfe, protocol) for protocol in ("pond", "securenn", "aby3")}

ENGINES: Mapping[str, Callable[[], SecureSum]] = MappingProxyType({"plain": PlainSum, "shares": ShareSum, **_ON_TFE})
"""The engines by the names that users give, each in this process."""


def _running(plan: RoundPlan | None) -> RoundPlan:
    if plan is None:
        raise SumRefused("no round is running; begin one")
    return plan

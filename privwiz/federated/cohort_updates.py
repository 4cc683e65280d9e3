"""The updates of one round on their way into a secure sum: they go in one by one, and only their mean comes out, once.

Two aggregators turn that mean into what the model owner's optimizer takes: `secure_mean` for gradients, `secure_reptile` for
changes of weights.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError, SumRefused
from privwiz.federated.privacy import clip, noise_variance
from privwiz.federated.rounds import MINIMUM_COHORT, RoundPlan
from privwiz.federated.secure import ENGINES, SecureSum
from privwiz.federated.weight_layout import Arrays, WeightLayout

__all__ = ["CohortUpdates", "MeanUpdate", "SumTerms", "secure_mean", "secure_reptile"]


@dataclass(frozen=True, slots=True)
class SumTerms:
    """How the updates of data owners are added up.

    Parameters
    ----------
    clip : float
        Largest L2 norm of an update, over all variables together; a longer one is shortened by its owner.
    engine : str or SecureSum
        A name in `privwiz.federated.secure.ENGINES`, or an engine.
    minimum : int
        Of fewer data owners nothing is opened.
    simulation : bool
        Allows a minimum below `privwiz.federated.rounds.MINIMUM_COHORT`: for data owners that are nobody.
    noise_multiplier : float
        Standard deviation of each aggregator's noise, in units of what one data owner can move the sum; 0 is no noise.
    weight_cap : int or None
        With a number, data owners count by their examples, up to so many; with None all count alike.

    Raises
    ------
    DataError
        If the clipping norm or the cap is not positive, or there is no such engine.
    """

    clip: float
    engine: str | SecureSum = "shares"
    minimum: int = MINIMUM_COHORT
    simulation: bool = False
    noise_multiplier: float = 0.0
    weight_cap: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.clip < math.inf:
            raise DataError(f"updates are clipped to a norm of {self.clip!r}; it must be a positive finite number")
        if isinstance(self.engine, str) and self.engine not in ENGINES:
            raise DataError(f"there is no secure sum {self.engine!r}; there are {', '.join(ENGINES)}")
        if self.weight_cap is not None and not self.weight_cap >= 1:
            raise DataError(f"data owners count by up to {self.weight_cap!r} examples; it must be a positive whole number")

    @property
    def bound(self) -> float:
        """Largest L2 norm of what a data owner sends: that of the update, and with a cap that of its weight besides."""
        return self.clip if self.weight_cap is None else self.clip * math.sqrt(2)

    def make_engine(self) -> SecureSum:
        """Return the engine, new if it was given by name."""
        return ENGINES[self.engine]() if isinstance(self.engine, str) else self.engine

    def plan(self, round_id: int, owners: int, layout: WeightLayout) -> RoundPlan:
        """Terms of a round of so many data owners; raises `SumRefused` if it must not be."""
        length = layout.length + (self.weight_cap is not None)
        return RoundPlan(
            round_id,
            cohort=frozenset(range(owners)),
            length=length,
            bound=self.bound,
            noise_variance=noise_variance(self.noise_multiplier, self.bound, length),
            minimum=self.minimum,
            simulation=self.simulation,
        )


@dataclass(frozen=True, slots=True, eq=False)
class MeanUpdate:
    """What the model owner learns of a round.

    Parameters
    ----------
    trainable : tuple of float arrays
        Mean of what the model functions returned, one array per trainable variable.
    state : tuple of float arrays
        Mean change of each statistic that the model keeps.
    count : int
        Data owners that contributed.
    """

    trainable: Arrays
    state: Arrays
    count: int


class CohortUpdates:
    """The updates of one round: `submit` is each data owner's, `open` the model owner's.

    Parameters
    ----------
    engine : SecureSum
    plan : RoundPlan
        Of ``terms.plan``.
    layout : WeightLayout
    terms : SumTerms

    Examples
    --------
    >>> layout, terms = WeightLayout(((2,),), trainable=(0,), state=()), SumTerms(clip=1.0)
    >>> updates = CohortUpdates(terms.make_engine(), terms.plan(1, 10, layout), layout, terms)
    >>> for owner in range(10):
    ...     updates.submit(owner, [np.array([0.5, owner / 16])], [], examples=30)
    >>> updates.open().trainable
    (array([0.5    , 0.28125]),)
    """

    def __init__(self, engine: SecureSum, plan: RoundPlan, layout: WeightLayout, terms: SumTerms) -> None:
        self._engine, self._layout, self._terms = engine, layout, terms
        self._opened: MeanUpdate | None = None
        engine.begin(plan)

    def submit(self, owner: int, trainable: Sequence[npt.ArrayLike], state: Sequence[npt.ArrayLike], examples: int) -> None:
        """Clip, weigh and send the update of a data owner, as it does itself where it is a machine of its own."""
        vector = clip(self._layout.pack(trainable, state), self._terms.clip)
        if self._terms.weight_cap is not None:
            weight = min(examples, self._terms.weight_cap) / self._terms.weight_cap
            vector = weight * np.append(vector, self._terms.clip)
        self._engine.submit(owner, vector)

    def open(self) -> MeanUpdate:
        """Open the sum and divide it, in plain numbers. Asked again, it repeats its answer."""
        if self._opened is None:
            opened = self._engine.open()
            if self._terms.weight_cap is None:
                mean = opened.mean()
            else:
                # Noise can take the sum of weights below what any contributor weighs.
                least = self._terms.clip / self._terms.weight_cap
                mean = opened.total[:-1] / max(opened.total[-1], least) * self._terms.clip
            self._opened = MeanUpdate(*self._layout.unpack(mean), opened.count)
        return self._opened

    @property
    def opened(self) -> MeanUpdate:
        """The mean, once an aggregator has opened it; raises `SumRefused` before."""
        if self._opened is None:
            raise SumRefused("the aggregator did not open the sum of this round; call secure_mean, secure_reptile or open")
        return self._opened


def secure_mean(updates: CohortUpdates) -> Arrays:
    """Mean of the data owners' gradients: what an optimizer takes after `privwiz.federated.model_fns.default_model_fn`."""
    return updates.open().trainable


def secure_reptile(updates: CohortUpdates) -> Arrays:
    """Minus the mean change of the weights, for an optimizer to take as a gradient.

    Plain gradient descent with rate 1 goes all the way to the mean of the data owners' weights; less goes part of the way (A.
    Nichol, J. Achiam, J. Schulman (2018). On First-Order Meta-Learning Algorithms. arXiv:1803.02999, algorithm 1, batched).
    """
    return tuple(-change for change in updates.open().trainable)

"""Regimes: how the users of a simulated population decide."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from privwiz.errors import DataError

__all__ = ["BUILD_REGIMES", "REGIMES", "Regime", "find_regime"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """The parameters of one simulated population.

    Parameters
    ----------
    name : str
        What the regime is called.
    index : int
        Its number, part of the seed, so that regimes draw independently; 0 or more.
    shared : bool
        Whether users share trust in the types of circle (else every user is a world of its own).
    type_spread, circle_spread, cell_spread : float
        Standard deviations of what one user adds to a type of circle, to a circle, and to an item for a circle.
    tie : float
        How much more a circle of well-connected friends is trusted.
    tie_rule, attribute_rule, stranger_rule, gender_rule : float
        Probabilities, per item, that well-connected friends are let in, that friends who share an attribute with the
        user are let in, that weakly connected friends are kept out, that one gender is kept out.
    denied_people, allowed_people : float
        Rates of friends who are an exception on nearly every item.
    slip : float
        Mean rate of cells that are the wrong way round.
    fill : bool
        Whether a friend in no circle counts as a member of the circle it has most ties to.
    by_circle : bool
        Whether circles decide at all (else everybody counts as in no circle).

    Raises
    ------
    DataError
        The index is negative.
    """

    name: str
    index: int
    shared: bool = True
    type_spread: float = 0.5
    circle_spread: float = 0.6
    cell_spread: float = 0.4
    tie: float = 0.0
    tie_rule: float = 0.0
    stranger_rule: float = 0.0
    attribute_rule: float = 0.0
    gender_rule: float = 0.0
    denied_people: float = 0.01
    allowed_people: float = 0.01
    slip: float = 0.01
    fill: bool = False
    by_circle: bool = True

    def __post_init__(self) -> None:
        if self.index < 0:
            raise DataError(f"index of regime {self.name!r} is {self.index}; it is part of the seed and must be 0 or more")


_CIRCLE = Regime(name="circle", index=0)
_MIXED = replace(
    _CIRCLE,
    name="mixed",
    index=1,
    tie=0.5,
    tie_rule=0.35,
    stranger_rule=0.2,
    attribute_rule=0.3,
    gender_rule=0.06,
    denied_people=0.02,
    allowed_people=0.03,
    slip=0.03,
)
_NOISY = replace(_MIXED, name="noisy", index=2, cell_spread=0.6, denied_people=0.04, allowed_people=0.04, slip=0.08)
_IDIO = Regime(
    name="idio",
    index=3,
    shared=False,
    type_spread=0.0,
    circle_spread=1.5,
    cell_spread=0.8,
    tie_rule=0.1,
    stranger_rule=0.05,
    attribute_rule=0.05,
    gender_rule=0.03,
    denied_people=0.02,
    allowed_people=0.02,
    slip=0.03,
)
_COHESIVE = replace(_CIRCLE, name="cohesive", index=4, cell_spread=0.15, fill=True)
_STRESS = Regime(
    name="stress",
    index=5,
    tie_rule=0.5,
    stranger_rule=0.4,
    attribute_rule=0.5,
    gender_rule=0.2,
    denied_people=0.04,
    allowed_people=0.04,
    slip=0.03,
    by_circle=False,
)

REGIMES: Mapping[str, Regime] = MappingProxyType(
    {regime.name: regime for regime in (_CIRCLE, _MIXED, _NOISY, _IDIO, _COHESIVE, _STRESS)}
)
"""The simulated populations by name.

``circle``: circles decide; ``mixed``: circles, tie strength, attributes and exceptions; ``noisy``: the same with more
exceptions and slips; ``idio``: nothing is shared between users; ``cohesive``: circles decide for nearly everybody; ``stress``:
no circle decides anything, only tie strength, the user's own attributes, gender and exceptions: the test of a wizard that asks
about circles.
"""
BUILD_REGIMES = ("circle", "mixed", "noisy", "idio", "cohesive")
"""The populations that the default prior is trained on; ``stress`` is kept for tests."""


def find_regime(regime: str | Regime) -> Regime:
    """Return the regime of this name, or the regime given.

    Raises
    ------
    DataError
        No regime has this name.

    Examples
    --------
    >>> find_regime("noisy").slip
    0.08
    """
    if isinstance(regime, Regime):
        return regime
    if regime not in REGIMES:
        raise DataError(f"{regime!r} is not a regime; the regimes are {', '.join(REGIMES)}")
    return REGIMES[regime]

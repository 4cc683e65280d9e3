"""A simulated user: answers the wizard's toggles as a simulated policy has it, with the slips and guesses of a person."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from privwiz.answers import AUDIENCE_CUTS, AUDIENCE_SHARES, CELL_CHOICES, CIRCLE_CUTS
from privwiz.errors import DataError
from privwiz.screens import Toggle
from privwiz.simulate import SimulatedPolicy

__all__ = ["Habits", "SimulatedUser"]


@dataclass(frozen=True, slots=True)
class Habits:
    """How far a simulated user is from an oracle. None of these was measured with people.

    Parameters
    ----------
    slip : float
        Probability of the wrong answer about one friend.
    share_deviation : float
        Standard deviation of the share of a group that the user believes to allow, around the true one.
    level_slip : float
        Probability that an answer about a circle is one level off.
    overlook : float
        Probability that a wrong guess is left as it is: neither corrected nor counted as a tap.

    Raises
    ------
    DataError
        If one of them is negative or, but for the deviation, above 1.
    """

    slip: float = 0.01
    share_deviation: float = 0.07
    level_slip: float = 0.03
    overlook: float = 0.0

    def __post_init__(self) -> None:
        for part in fields(self):
            value, most = getattr(self, part.name), float("inf") if part.name == "share_deviation" else 1
            if not 0 <= value <= most:
                raise DataError(f"{part.name} of a simulated user is {value!r}; it must lie in 0..{most}")


class SimulatedUser:
    """Answer toggles about one policy; count what the user had to do.

    Parameters
    ----------
    policy : SimulatedPolicy
    seed : int
        0 or more. Decides every slip; equal seeds and equal toggles give equal answers.
    habits : Habits, optional

    Attributes
    ----------
    taps : int
        Guesses changed so far. A guess that is not changed costs nothing: an interface that shows an unsure guess without
        filling it in is taken to offer "as suggested" for all of them at once.

    Examples
    --------
    >>> from privwiz.graphs import build_ego_network
    >>> from privwiz.simulate import simulate_policy
    >>> from privwiz.wizard import Wizard
    >>> network = build_ego_network("ada", ["bo", "cy", "di"], [("bo", "cy")])
    >>> user = SimulatedUser(simulate_policy(network, [("bo", "cy")], "circle", seed=1), seed=0)
    >>> wizard = Wizard(network, seed=0)
    >>> screen = wizard.next_screen()
    >>> wizard.answer(screen, [user.answer(toggle) for toggle in screen.toggles])
    """

    def __init__(self, policy: SimulatedPolicy, seed: int = 0, habits: Habits | None = None) -> None:
        self._allow, self._habits = policy.allow, habits or Habits()
        self._row = {item.id: j for j, item in enumerate(policy.items)}
        self._column = {friend: i for i, friend in enumerate(policy.friends)}
        self._rng = np.random.default_rng([seed, len(policy.friends)])
        self.taps = 0

    def answer(self, toggle: Toggle) -> str | float:
        """Return what this user says; raises KeyError for an item or a friend that the policy does not have."""
        allowed = self._allow[self._row[toggle.item], [self._column[friend] for friend in toggle.friends]]
        said = self._of_friend(allowed=bool(allowed[0])) if toggle.choices == CELL_CHOICES else self._of_group(toggle, allowed)
        if said == toggle.guess:
            return said
        if self._rng.random() < self._habits.overlook:
            return toggle.guess
        self.taps += 1
        return said

    def _of_friend(self, *, allowed: bool) -> str:
        return CELL_CHOICES[int(allowed == (self._rng.random() < self._habits.slip))]

    def _of_group(self, toggle: Toggle, allowed: npt.NDArray[np.bool_]) -> str | float:
        share = float(np.clip(allowed.mean() + self._rng.normal(0, self._habits.share_deviation), 0, 1))
        if not toggle.choices:
            return tuple(AUDIENCE_SHARES.values())[int(np.searchsorted(AUDIENCE_CUTS, share))]
        level = int(np.searchsorted(CIRCLE_CUTS, share))
        if self._rng.random() < self._habits.level_slip:
            level += int(self._rng.choice([-1, 1]))
        return toggle.choices[min(max(level, 0), len(toggle.choices) - 1)]

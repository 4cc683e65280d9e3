"""The learning curve of one wizard with one simulated user: what it believes after so many screens, so much effort or answers."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from privwiz.belief import Belief
from privwiz.errors import DataError
from privwiz.simulated_user import SimulatedUser
from privwiz.wizard import Wizard

__all__ = ["ITEM", "MATRIX", "UNITS", "Checkpoint", "play"]

UNITS: Mapping[str, Callable[[int, int], int]] = MappingProxyType(
    {
        "screens": lambda screens, _: screens,
        "effort": lambda screens, taps: screens + taps,
        "answers": lambda screens, _: screens,
    }
)
"""What a checkpoint may be counted by -> how much of it so many screens and taps are.

A unit of effort is a screen, or a tap: a guess that the user changes. A screen is one answer where it has one toggle: where a
wizard protects one item, and does not ask about several circles at once (kind ``"item"``).
"""
MATRIX: Mapping[str, tuple[int, ...]] = MappingProxyType({"screens": (1, 2, 3, 5, 10, 15, 20, 30), "effort": (20, 40, 60, 80)})
"""The checkpoints of a user who is asked about all items together."""
ITEM: Mapping[str, tuple[int, ...]] = MappingProxyType({"answers": (0, 1, 2, 3, 5, 8, 10, 15, 20, 25)})
"""The checkpoints of a user who is asked about one item by itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What a wizard of J items believes about n friends at one point of the learning curve.

    Parameters
    ----------
    unit : str
        One of `UNITS`.
    at : int
        The point, in this unit.
    screens, taps : int
        Spent so far: ``at`` or less.
    probability : float array of shape (J, n)
        Of ``allow``, as it is granted: before the user's own answers overrule it, but never a half where the user closed a group.
    asked : bool array of shape (J, n)
        Cells that the user was asked about one by one.
    """

    unit: str
    at: int
    screens: int
    taps: int
    probability: npt.NDArray[np.float64]
    asked: npt.NDArray[np.bool_]


def play(
    wizard: Wizard,
    user: SimulatedUser,
    checkpoints: Mapping[str, Iterable[int]] = MATRIX,
    *,
    kinds: Iterable[str] | None = None,
) -> Iterator[Checkpoint]:
    """Show the user screen after screen until the last checkpoint, and yield what the wizard believes at each.

    The state at a checkpoint is the one after the last screen that does not exceed it. The wizard asks as long as there is
    anything to ask; where nothing is left, the last state stands for all later checkpoints.

    Parameters
    ----------
    wizard : Wizard
        It is given the answers.
    user : SimulatedUser
        Who has spent nothing so far.
    checkpoints : mapping of str to ints
        Unit -> points, 0 or more.
    kinds : iterable of str, optional
        Kinds of screens, as for `privwiz.Wizard.next_screen`.

    Yields
    ------
    Checkpoint
        In the order in which they are reached.

    Raises
    ------
    DataError
        If a unit is not known, a point is negative, or a kind cannot be used.

    Examples
    --------
    >>> from privwiz.graphs import build_ego_network
    >>> from privwiz.simulate import simulate_policy
    >>> network = build_ego_network("ada", ["bo", "cy", "di"], [("bo", "cy")])
    >>> policy = simulate_policy(network, [("bo", "cy")], "circle", seed=1)
    >>> curve = play(Wizard(network, seed=0), SimulatedUser(policy), {"screens": [0, 1, 9]}, kinds=["audience", "friend"])
    >>> [(point.at, point.screens, int(point.asked.sum())) for point in curve]
    [(0, 0, 0), (1, 1, 0), (9, 4, 36)]
    """
    left = _sorted_points(checkpoints)
    wanted = None if kinds is None else tuple(kinds)
    before = state = _State(0, user.taps, wizard.belief())
    while True:
        for unit, points in left.items():
            count = UNITS[unit](state.screens, state.taps)
            while points and points[0] <= count:
                yield _checkpoint(unit, points[0], state if points[0] == count else before)
                del points[0]
        screen = wizard.next_screen(wanted, least_gain=0) if any(left.values()) else None
        if screen is None:
            break
        wizard.answer(screen, [user.answer(toggle) for toggle in screen.toggles])
        before, state = state, _State(state.screens + 1, user.taps, wizard.belief())
    for unit, points in left.items():
        for at in points:
            yield _checkpoint(unit, at, state)


class _State(NamedTuple):
    screens: int
    taps: int
    belief: Belief


def _checkpoint(unit: str, at: int, state: _State) -> Checkpoint:
    asked = state.belief.said.stated != 0
    return Checkpoint(unit, at, state.screens, state.taps, state.belief.granted, asked)


def _sorted_points(checkpoints: Mapping[str, Iterable[int]]) -> dict[str, list[int]]:
    left = {unit: sorted(set(points)) for unit, points in checkpoints.items()}
    for unit, points in left.items():
        if unit not in UNITS or min(points, default=0) < 0:
            raise DataError(f"checkpoints {points} of unit {unit!r}: units are {', '.join(UNITS)}, points are 0 or more")
    return left

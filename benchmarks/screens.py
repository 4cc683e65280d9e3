"""How many cells are right after a few screens in all: privwiz, privwiz without a trained prior, and the wizard of 2010.

All allow/deny labels are SIMULATED (`privwiz.simulate`) on six real networks with hand-made circles of SNAP's ego-Facebook; the
wizards see graph and profiles only. The user sees shares with a standard deviation of 0.07, and slips in 1 % of the answers on
one friend and 3 % of those about a circle. Scored are the cells that were not asked one by one; "non-trivial" means items of
which at least a tenth of the friends is in the minority.

Run: ``python benchmarks/screens.py [--data DIR] [--users 12] [--regimes mixed,cohesive,idio]``
"""

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from privwiz import CATALOGUE, Prior, Toggle, Wizard, read_snap_ego_network
from privwiz.answers import AUDIENCE_CUTS, AUDIENCE_SHARES, CIRCLE_CUTS
from privwiz.simulate import SimulatedPolicy, simulate_policy
from privwiz.snap import read_snap_circles

EGOS = ("698", "3980", "414", "686", "348", "0")
REPORTED = (5, 10, 20)
METHODS = {
    "privwiz": {},
    "privwiz, no trained prior": {"prior": Prior.flat()},
    "2010 wizard, friend screens": {"classifier": "tree", "strategy": "uncertainty"},
}


class Score(NamedTuple):
    """How right one user's matrix is after some screens: lists to average over, in percent but for ``taps``, toggles changed."""

    nontrivial: list[float]
    every: list[float]
    false_allow: list[float]
    taps: list[int]


class SimulatedUser:
    """Answers toggles as a policy has it, with slips; counts the guesses that had to be changed."""

    def __init__(self, policy: SimulatedPolicy, seed: int) -> None:
        self._allow, self._seed = policy.allow, seed
        self._row = {item.id: j for j, item in enumerate(policy.items)}
        self._column = {friend: i for i, friend in enumerate(policy.friends)}
        self._rng = np.random.default_rng([seed, len(policy.friends)])
        self.taps = 0

    def answer(self, toggle: Toggle) -> str | float:
        """Return what this user says."""
        allowed = self._allow[self._row[toggle.item], [self._column[friend] for friend in toggle.friends]]
        said: str | float
        if len(toggle.friends) == 1:
            said = toggle.choices[int(bool(allowed[0]) == (self._rng.random() < 0.01))]
        else:
            share = float(np.clip(allowed.mean() + self._rng.normal(0, 0.07), 0, 1))
            slip = int(self._rng.choice([-1, 1])) if toggle.choices and self._rng.random() < 0.03 else 0
            words = toggle.choices or tuple(AUDIENCE_SHARES.values())
            level = int(np.searchsorted(CIRCLE_CUTS if toggle.choices else AUDIENCE_CUTS, share)) + slip
            said = words[min(max(level, 0), len(words) - 1)]
        self.taps += said != toggle.guess
        return said


def run(job: tuple[Path, str, str, int, str]) -> list[Score]:
    """Play one user through the screens; return the scores after each of `REPORTED`."""
    data, ego, regime, seed, method = job
    network = read_snap_ego_network(data, ego)
    policy = simulate_policy(network, read_snap_circles(data, ego), regime, seed)
    wizard = Wizard(network, CATALOGUE, seed=seed, **METHODS[method])
    user = SimulatedUser(policy, seed)
    minority = np.minimum(policy.allow.mean(1), 1 - policy.allow.mean(1))
    free = np.ones(policy.allow.shape, bool)
    scores = []
    for number in range(1, max(REPORTED) + 1):
        screen = wizard.next_screen(least_gain=0)
        if screen is not None:
            for toggle in screen.toggles:
                if len(toggle.friends) == 1:
                    free[wizard.items.index(toggle.profile_item), network.index(toggle.friends[0])] = False
            wizard.answer(screen, [user.answer(toggle) for toggle in screen.toggles])
        if number in REPORTED:
            guess = np.array([wizard.policy().probabilities(item.id) for item in wizard.items]) >= 0.5
            right = guess == policy.allow
            counted = [100 * right[j, free[j]].mean() for j in np.flatnonzero(minority >= 0.1) if free[j].any()]
            wrong = 100 * (guess & ~policy.allow)[free].sum() / max(1, (~policy.allow)[free].sum())
            scores.append(Score(counted, [100 * right[free].mean()], [wrong], [user.taps]))
    return scores


def row(regime: str, method: str, users: Sequence[list[Score]]) -> str:
    """Format the means of one method in one regime."""

    def cells(name: str) -> str:
        after = [[value for user in users for value in getattr(user[k], name)] for k in range(len(REPORTED))]
        return " / ".join(f"{statistics.mean(values):.0f}" for values in after)

    return f"{regime:<10}{method:<30}" + "".join(f"{cells(name):>16}" for name in Score._fields)


def main() -> int:
    """Play all users, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("PRIVWIZ_EGO_FACEBOOK"))
    parser.add_argument("--users", type=int, default=12)
    parser.add_argument("--regimes", default="mixed,cohesive,idio")
    given = parser.parse_args()
    if given.data is None:
        parser.error("say where the networks are: --data DIR or PRIVWIZ_EGO_FACEBOOK")
    jobs = [
        (Path(given.data), EGOS[user % len(EGOS)], regime, 1 + user // len(EGOS), method)
        for regime in given.regimes.split(",")
        for method in METHODS
        for user in range(given.users)
    ]
    print(f"{given.users} simulated users a regime on {len(EGOS)} real networks, {len(CATALOGUE)} items, 12 toggles a screen")
    print(f"% of cells, and toggles changed, after {' / '.join(map(str, REPORTED))} screens")
    print(f"{'regime':<10}{'method':<30}{'non-trivial':>16}{'all cells':>16}{'false allow':>16}{'taps':>16}")
    with ProcessPoolExecutor() as pool:
        played = list(pool.map(run, jobs))
    for start in range(0, len(jobs), given.users):
        print(row(jobs[start][2], jobs[start][4], played[start : start + given.users]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

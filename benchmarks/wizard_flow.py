"""How far the screens of the wizard page get: how many cells of the policy are right after so many screens and taps.

All allow/deny labels are SIMULATED (`privwiz.simulate`), and so are the users' habits (`privwiz.simulated_user`). What the page
asks next, what it fills in and when it shows the result is taken from the page itself. A tap is a changed answer, "Fill in
suggestions", or "Confirm"; a screen is filled in by the fewest of them. A cell is right if its likelier value is the true one.

The first table is of the sample's Ada, whose decisions are those of ``sample_graphs/town/policies.csv``. The others are of users
of the sample, and of SNAP's ego-Facebook networks, with simulated policies of every regime: where they are after the last screen
within 35 taps. Beside it, bounds: the share of cells that would be right

- if one who knows the policy picked 35 questions, or as many as fit on ten screens, and they were answered truly; answers are
  chosen one by one for the likelihood of the whole policy (*35 picked*, *all picked*);
- if every question about a group and an item were answered, exactly, hundreds of them (*told*); and if the circles that the
  policy was drawn from were known besides (*circles*);
- by the user's own rules, before exceptions over people and slips (*rules*).

Run: ``python benchmarks/wizard_flow.py [--data FOLDER] [--users N] [--draws N]``, FOLDER with SNAP's ego-Facebook networks
(default: $PRIVWIZ_EGO_FACEBOOK).
"""

import argparse
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from efficiency.ceilings import likelier, picked, told
from efficiency.oracle import told_layout

from privwiz.belief import Belief, Layout, lay_out
from privwiz.circles import Circles, find_circles
from privwiz.decisions import Decision
from privwiz.graphs import EgoNetwork
from privwiz.items import CATALOGUE
from privwiz.population import read_population
from privwiz.prior import Prior
from privwiz.readers import read_ego_network
from privwiz.regimes import REGIMES
from privwiz.screens import MAX_TOGGLES, Screen
from privwiz.simulate import SimulatedPolicy, simulate_policy
from privwiz.simulated_user import SimulatedUser
from privwiz.snap import snap_egos
from privwiz.tables import read_table
from privwiz.wizard import Wizard
from privwiz_api.page.flow import MOST_SCREENS

TOWN = Path(__file__).parents[1] / "sample_graphs" / "town"
SCREENS, TAPS = 10, 35
"""The budget of the goal."""


class Person(NamedTuple):
    """Someone who sets a policy.

    Parameters
    ----------
    network : EgoNetwork
    circles : Circles
        Found in the network.
    real : tuple of tuple of str
        The circles that simulated decisions are drawn from; no wizard sees them.
    """

    network: EgoNetwork
    circles: Circles
    real: tuple[tuple[str, ...], ...]


class Point(NamedTuple):
    """Where a user is after some screens; all but the first two are shares of the cells, the last of those that are set."""

    screens: int
    taps: int
    right: float
    shown_wrongly: float
    settled: float
    right_of_settled: float


def townspeople() -> Iterator[Person]:
    """Yield the six users of the sample whose whole ego network it holds, Ada first."""
    groups = read_table(TOWN / "groups.csv", ("kind", "name", "user"))
    members: dict[tuple[str, str], list[str]] = {}
    for kind, name, user in zip(groups["kind"], groups["name"], groups["user"], strict=True):
        members.setdefault((kind, name), []).append(user)
    for user in dict.fromkeys(read_table(TOWN / "policies.csv", ("user",))["user"]):
        network = read_ego_network(TOWN / "edges.csv", user, TOWN / "profiles.csv")
        friends = set(network.friends)
        real = (tuple(sorted(friends.intersection(group))) for group in members.values() if user in group)
        yield Person(network, find_circles(network, seed=0), tuple(circle for circle in real if len(circle) > 1))


def snap_people(folder: Path) -> Iterator[Person]:
    """Yield the users of SNAP's networks."""
    population = read_population(folder)
    for ego in snap_egos(folder):
        network, circles, *_ = population.decider(ego)
        yield Person(network, find_circles(network, seed=0), circles)


def written_policy(network: EgoNetwork) -> SimulatedPolicy:
    """Return what the sample says this user decided."""
    table = read_table(TOWN / "policies.csv", ("user", "item", "friend", "decision"))
    rows = zip(table["user"], table["item"], table["friend"], table["decision"], strict=True)
    said = {(item, friend): decision == Decision.ALLOW for user, item, friend, decision in rows if user == network.ego}
    allow = np.array([[said[item.id, friend] for friend in network.friends] for item in CATALOGUE])
    return SimulatedPolicy(CATALOGUE, network.friends, allow, allow, network.ego)


def play(person: Person, policy: SimulatedPolicy, seed: int) -> Iterator[Point]:
    """Answer screens as the page shows them, until it shows the result; yield where the user is before and after each."""
    user, wizard = SimulatedUser(policy, seed), Wizard(person.network, CATALOGUE, circles=person.circles)
    taps = 0
    yield where(wizard.belief(), policy, 0, 0)
    for screens in range(1, MOST_SCREENS + 1):
        screen = wizard.next_screen(items=[item.id for item in CATALOGUE])
        if screen is None:
            return
        said = [user.answer(toggle) for toggle in screen.toggles]
        taps += taps_to_say(screen, said)
        wizard.answer(screen, said)
        yield where(wizard.belief(), policy, screens, taps)


def taps_to_say(screen: Screen, said: Sequence[str | float]) -> int:
    """Return the fewest taps to these answers: what is open is said one by one, or filled in and changed where it is wrong."""
    open_ones = [toggle.preset is None for toggle in screen.toggles]
    wrong = [toggle.read(toggle.likeliest) != toggle.read(answer) for toggle, answer in zip(screen.toggles, said, strict=True)]
    changed = sum(is_wrong for is_wrong, is_open in zip(wrong, open_ones, strict=True) if not is_open)
    filled_in = 1 + sum(is_wrong for is_wrong, is_open in zip(wrong, open_ones, strict=True) if is_open)
    return 1 + changed + min(sum(open_ones), filled_in)


def where(belief: Belief, policy: SimulatedPolicy, screens: int, taps: int) -> Point:
    """Compare what is believed, and what it sets, with the truth."""
    decided = belief.policy().decisions
    shown, settled = decided == Decision.ALLOW, decided != Decision.ASK
    as_set = (shown == policy.allow)[settled]
    return Point(
        screens,
        taps,
        float((likelier(belief) == policy.allow).mean()),
        float((shown & ~policy.allow).mean()),
        float(settled.mean()),
        float(as_set.mean()) if as_set.size else float("nan"),
    )


def ceilings(layouts: Sequence[Layout], policy: SimulatedPolicy) -> tuple[float, ...]:
    """Return what the questions of the page cannot pass: see above."""
    found, known = layouts
    picks = picked(found, policy, (TAPS, SCREENS * MAX_TOGGLES))
    return (*picks, told(found, policy), told(known, policy), float((policy.clean == policy.allow).mean()))


def show_curve(person: Person, users: int) -> None:
    """Print the mean curve of one user of the sample."""
    policy = written_policy(person.network)
    curves = [list(play(person, policy, seed)) for seed in range(users)]
    print(f"{person.network.ego}, {person.network.n} friends, the sample's policy, means of {users} simulated users")
    print(f"{'screens':>8} {'taps':>6} {'right %':>8} {'shown wrongly %':>16} {'set %':>6} {'right among set %':>18}")
    for screens in range(max(map(len, curves))):
        _, taps, *shares = np.mean([curve[min(screens, len(curve) - 1)] for curve in curves], axis=0)
        right, wrongly, settled, right_of_settled = (100 * share for share in shares)
        print(f"{screens:>8} {taps:>6.1f} {right:>8.1f} {wrongly:>16.1f} {settled:>6.1f} {right_of_settled:>18.1f}")


def show_budget(title: str, people: Iterable[Person], draws: int, *, bounds: bool) -> None:
    """Print where users are within the budget, and the bounds, regime by regime."""
    prior = Prior.default()
    rows: dict[str, list[tuple[float, ...]]] = {regime: [] for regime in REGIMES}
    for person in people:
        known = told_layout(person.network, person.circles, prior, CATALOGUE, person.real)
        layouts = lay_out(person.network, person.circles, prior, CATALOGUE), known
        for regime, draw in product(REGIMES, range(draws)):
            policy = simulate_policy(person.network, person.real, regime, draw)
            point = [point for point in play(person, policy, draw) if point.screens <= SCREENS and point.taps <= TAPS][-1]
            rows[regime].append((*point, *(ceilings(layouts, policy) if bounds else ())))
    print(f"\n{title}, {draws} simulated policies each, after the last screen within {TAPS} taps")
    print("regime     screens  taps  right %  shown wrongly %  set %  right among set %", end="")
    print("  35 picked %  all picked %  told %  circles %  rules %" if bounds else "")
    for regime, found in rows.items():
        screens, taps, *shares = np.mean(found, axis=0)
        widths = (9, 17, 7, 19, 13, 14, 8, 11, 9)
        figures = "".join(f"{100 * share:>{width}.1f}" for share, width in zip(shares, widths, strict=False))
        print(f"{regime:<9}{screens:>9.1f}{taps:>6.1f}{figures}")


def main() -> None:
    """Play, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("PRIVWIZ_EGO_FACEBOOK") or None)
    parser.add_argument("--users", type=int, default=10, help="simulated users with the sample's policy")
    parser.add_argument("--draws", type=int, default=3, help="simulated policies of each user of the sample and regime")
    given = parser.parse_args()
    ada, *others = townspeople()
    show_curve(ada, given.users)
    show_budget("ada", [ada], given.draws, bounds=True)
    show_budget(f"{len(others)} other users of the sample", others, given.draws, bounds=False)
    if given.data is None:
        print("\nwithout --data FOLDER or PRIVWIZ_EGO_FACEBOOK, SNAP's networks are left out")
        return
    egos = snap_egos(given.data)
    show_budget(f"{len(egos)} real networks", snap_people(given.data), 1, bounds=False)


if __name__ == "__main__":
    main()

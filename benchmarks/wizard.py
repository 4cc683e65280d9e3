"""What one confirmed screen costs: CPU to take the answers in and choose the next screen, and the memory of one wizard.

The rival is the wizard of 2010 on the same network in the same run: a decision tree per item over community and attribute
columns, and uncertainty sampling for the next friend.

Run: ``python benchmarks/wizard.py [--data DIR]`` with the SNAP ego-Facebook networks in DIR (default: PRIVWIZ_EGO_FACEBOOK).
"""

import argparse
import os
import statistics
import sys
import time
import tracemalloc
from pathlib import Path

from privwiz import EgoNetwork, Wizard, read_snap_ego_network
from privwiz.answers import AUDIENCE_SHARES
from privwiz.items import CATALOGUE
from privwiz.screens import Screen, Toggle
from privwiz.simulate import SimulatedPolicy, simulate_policy
from privwiz.snap import read_snap_circles

FRIENDS = 250
SCREENS = 15
CELLS = 60
CASES = (
    # name, ego, friends kept, kinds, classifier, answers, limit in ms
    ("screens", "0", FRIENDS, None, "gp", SCREENS, 40),
    ("single cells", "0", FRIENDS, {"cell"}, "gp", CELLS, 5),
    ("2010 wizard, friend screens", "0", FRIENDS, {"friend"}, "tree", SCREENS, None),
    ("2010 wizard, single cells", "0", FRIENDS, {"cell"}, "tree", CELLS, None),
    ("screens", "107", None, None, "gp", SCREENS, 400),
    ("single cells", "107", None, {"cell"}, "gp", CELLS, None),
    ("2010 wizard, friend screens", "107", None, {"friend"}, "tree", SCREENS, None),
)
MEGABYTES_LIMIT = 100


def reduced(network: EgoNetwork, friends: int | None) -> EgoNetwork:
    """Return the network of the first ``friends`` friends."""
    for friend in network.friends[friends:] if friends else ():
        network = network.without_friend(friend)
    return network


def truthful(policy: SimulatedPolicy, toggle: Toggle) -> str | float:
    """Answer a toggle as this policy has it."""
    row = [item.id for item in policy.items].index(toggle.item)
    share = policy.allow[row, [policy.friends.index(friend) for friend in toggle.friends]].mean()
    if not toggle.choices:
        return min(AUDIENCE_SHARES.values(), key=lambda level: abs(level - share))
    if len(toggle.friends) == 1:
        return toggle.choices[int(share < 0.5)]
    return toggle.choices[int(min(share, 0.99) * len(toggle.choices))]


def confirm(wizard: Wizard, screen: Screen, policy: SimulatedPolicy, kinds: set[str] | None) -> tuple[Screen | None, float]:
    """Answer a screen; return the next one and the CPU milliseconds from the answer to it."""
    answers = [truthful(policy, toggle) for toggle in screen.toggles]
    before = time.process_time()
    wizard.answer(screen, answers)
    following = wizard.next_screen(kinds=kinds, least_gain=0)
    return following, 1000 * (time.process_time() - before)


def measure(
    data: Path, ego: str, friends: int | None, kinds: set[str] | None, classifier: str, answers: int
) -> tuple[int, list[float], float]:
    """Return the number of friends, CPU milliseconds of every confirmed screen, and peak megabytes of a second, traced wizard."""
    network = reduced(read_snap_ego_network(data, ego), friends)
    kept = set(network.friends)
    circles = [[friend for friend in circle if friend in kept] for circle in read_snap_circles(data, ego)]
    policy = simulate_policy(network, circles, "mixed", seed=1)
    strategy = "expected-error" if classifier == "gp" else "uncertainty"

    def run(count: int) -> list[float]:
        wizard = Wizard(network, CATALOGUE, seed=0, classifier=classifier, strategy=strategy)
        screen = wizard.next_screen(kinds=kinds, least_gain=0)
        spent = []
        while screen is not None and len(spent) < count:
            screen, milliseconds = confirm(wizard, screen, policy, kinds)
            spent.append(milliseconds)
        wizard.policy().decisions  # noqa: B018
        return spent

    spent = run(answers)
    tracemalloc.start()
    run(min(answers, 5))
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return network.n, spent, peak


def main() -> int:
    """Measure, print the table, and return 1 if a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("PRIVWIZ_EGO_FACEBOOK"))
    data = parser.parse_args().data
    if data is None:
        parser.error("say where the networks are: --data DIR or PRIVWIZ_EGO_FACEBOOK")
    print(f"{len(CATALOGUE)} items; CPU ms from a confirmed screen to the next one; peak MB of a wizard")
    print(f"{'case':<30}{'friends':>8}{'answers':>8}{'median':>8}{'p90':>8}{'max':>8}{'limit':>7}{'MB':>7}")
    broken = False
    for name, ego, friends, kinds, classifier, answers, limit in CASES:
        n, spent, peak = measure(Path(data), ego, friends, kinds, classifier, answers)
        median, high = statistics.median(spent), sorted(spent)[int(0.9 * (len(spent) - 1))]
        print(f"{name:<30}{n:>8}{len(spent):>8}{median:>8.1f}{high:>8.1f}{max(spent):>8.1f}{limit or '':>7}{peak:>7.1f}")
        broken |= limit is not None and median > limit
        broken |= classifier == "gp" and peak > MEGABYTES_LIMIT
    print("limits (median CPU; 100 MB): " + ("BROKEN" if broken else "kept"))
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())

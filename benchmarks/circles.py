"""Circles of real networks: how fast, how close to the circles that people made by hand, how steady under growth.

Speed and recovery are measured beside `networkx.community.louvain_communities` in the same run; times are CPU times of one
thread, medians of several runs. Recovery is the balanced accuracy 1 - BER and F1 of McAuley & Leskovec, "Learning to discover
social circles in ego networks", NIPS 2012, section 5: each hand-made circle of at least 3 friends is assigned one found circle so
that the mean score is largest (once per score). BER is the mean of the share of the hand-made circle that is missed and of the
share of everybody else that is wrongly in. Hand-made circles left without a partner, because fewer were found, are left out of
the first scores, as in the paper; "all" counts them as 0.

Run: ``python benchmarks/circles.py --data FOLDER``, the folder of SNAP's ego-Facebook networks (default: $PRIVWIZ_EGO_FACEBOOK).
"""

import argparse
import gc
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import networkx as nx
import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score

from privwiz.circles import MIN_SIZE, RESOLUTIONS, Circle, Circles, assign_friend, attribute_circles, find_circles
from privwiz.communities import leiden
from privwiz.graphs import EgoNetwork, ego_network
from privwiz.readers import read_snap_circles, read_snap_ego_network

HELD_OUT = 10
SEEDS = 5


class Case(NamedTuple):
    """One real user."""

    network: EgoNetwork
    graph: nx.Graph
    hand_made: list[tuple[str, ...]]


def cpu_ms(call: Callable[[], object], repeats: int) -> float:
    """Return the median CPU time of a call in milliseconds, without garbage collection, after one call to warm up."""
    call()
    times = []
    gc.disable()
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    gc.enable()
    return 1e3 * statistics.median(times)


def balanced_accuracy(found: npt.NDArray[np.float64], real: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return 1 - BER of each found circle for each real circle; rows of 0 and 1 in, shape (found, real) out."""
    common, size = found @ real.T, real.sum(axis=1)
    missed = 1 - common / size
    wrongly_in = (found.sum(axis=1)[:, None] - common) / np.maximum(real.shape[1] - size, 1)
    accuracy: npt.NDArray[np.float64] = 1 - (missed + wrongly_in) / 2
    return accuracy


def f1(found: npt.NDArray[np.float64], real: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return F1 of each found circle for each real circle, shape (found, real)."""
    score: npt.NDArray[np.float64] = 2 * (found @ real.T) / (found.sum(axis=1)[:, None] + real.sum(axis=1))
    return score


def recovery(case: Case, found: Iterable[Sequence[str]]) -> list[float]:
    """Return 1 - BER and F1 over the assigned hand-made circles, then both over all of them."""
    rows = [membership(case.network, circles) for circles in (dict.fromkeys(tuple(sorted(c)) for c in found), case.hand_made)]
    assigned, overall = [], []
    for score in (balanced_accuracy(*rows), f1(*rows)):
        chosen = score[linear_sum_assignment(score, maximize=True)]
        assigned.append(float(chosen.mean()))
        overall.append(float(chosen.sum()) / score.shape[1])
    return assigned + overall


def membership(network: EgoNetwork, circles: Iterable[Sequence[str]]) -> npt.NDArray[np.float64]:
    """Return a row of 0 and 1 for each circle."""
    rows = []
    for circle in circles:
        row = np.zeros(network.n)
        row[[network.index(friend) for friend in circle]] = 1
        rows.append(row)
    return np.array(rows)


def louvain(case: Case, seed: int = 0) -> list[set[str]]:
    """Run the rival on the friends alone, as privwiz does."""
    communities: list[set[str]] = nx.community.louvain_communities(case.network.graph, weight=None, seed=seed)
    return communities


def load(folder: Path, ego: str) -> Case:
    """Read one network, and build the networkx graph of the user and all friends that a social network would hand over."""
    network = read_snap_ego_network(folder, ego)
    graph = nx.Graph(network.graph.edges)
    graph.add_edges_from((ego, friend) for friend in network.friends)
    hand_made = [circle for circle in read_snap_circles(folder, ego) if len(circle) >= MIN_SIZE]
    return Case(network, graph, hand_made)


def speed(cases: dict[str, Case], repeats: int) -> None:
    """Print how long circles take."""
    print(f"Speed: CPU milliseconds, medians of {repeats} runs; in brackets how many times faster than one networkx Louvain")
    ways: dict[str, Callable[[Case], object]] = {
        "networkx": louvain,
        "1 level, graph*": lambda case: leiden(ego_network(case.graph, case.network.ego, weight=None), (1.0,), 0),
        "1 level, named*": lambda case: find_circles(ego_network(case.graph, case.network.ego, weight=None), resolutions=(1.0,)),
        "1 level": lambda case: leiden(case.network, (1.0,), 0),
        "6 levels": lambda case: leiden(case.network, RESOLUTIONS, 0),
        "6 levels, named": lambda case: find_circles(case.network),
    }
    print(f"{'ego':<6}{'friends':>8}{'ties':>8}" + "".join(f"{name:>18}" for name in ways))
    rows = []
    for ego, case in cases.items():
        rows.append([cpu_ms(partial(way, case), repeats) for way in ways.values()])
        print(f"{ego:<6}{case.network.n:>8}{len(case.network.indices) // 2:>8}" + cells(rows[-1]))
    print(f"{'all':<22}" + cells([sum(column) for column in zip(*rows, strict=True)]))
    ratios = [statistics.median(row[0] / row[way] for row in rows) for way in range(len(ways))]
    print(f"{'median ratio':<22}" + "".join(f"{ratio:>17.1f}x" for ratio in ratios))
    print("* from a networkx graph of the user and the friends, conversion included; the others from an EgoNetwork\n")


def recoveries(cases: dict[str, Case], seeds: int) -> None:
    """Print how well the hand-made circles are found."""
    print(
        f"Recovery of the {sum(len(case.hand_made) for case in cases.values())} hand-made circles of {MIN_SIZE} or more friends:"
    )
    print(f"means over the {len(cases)} users, and over {seeds} seeds with the standard deviation of 1 - BER between them")
    print(f"{'':<28}{'1 - BER':>16}{'F1':>8}{'all: 1 - BER':>14}{'F1':>8}{'circles':>9}")
    ways: dict[str, Callable[[Case, int], list[Sequence[str]]]] = {
        "networkx Louvain": lambda case, seed: [tuple(c) for c in louvain(case, seed) if len(c) >= MIN_SIZE],
        "Leiden, resolution 1": lambda case, seed: members(find_circles(case.network, seed=seed, resolutions=(1.0,))),
        "Leiden, six resolutions": lambda case, seed: members(find_circles(case.network, seed=seed)),
        "... and shared attributes": lambda case, seed: [
            *members(find_circles(case.network, seed=seed)),
            *(circle.members for circle in attribute_circles(case.network)),
        ],
    }
    for name, way in ways.items():
        scores = []
        for seed in range(seeds):
            found = [way(case, seed) for case in cases.values()]
            number = statistics.mean(len(set(map(frozenset, circles))) for circles in found)
            scores.append([*np.mean([recovery(*pair) for pair in zip(cases.values(), found, strict=True)], axis=0), number])
        ber, f, all_ber, all_f, number = np.mean(scores, axis=0)
        spread = np.std([score[0] for score in scores])
        print(f"{name:<28}{ber:>9.4f} ±{spread:.4f}{f:>7.3f}{all_ber:>14.4f}{all_f:>8.3f}{number:>9.1f}")
    print()


def members(circles: Circles) -> list[Sequence[str]]:
    """Return the members of each distinct circle."""
    return [circle.members for circle in circles.distinct()]


def growth(cases: dict[str, Case], held_out: int) -> None:
    """Print what adding one friend does to circles: to those of the old friends, and where the new friend goes."""
    print(f"Growth: {held_out} friends of each user taken out and added again, one at a time. 'fresh' circles were found once,")
    print("'settled' ones improved once more from there, as happens in use; 'anew' is found from nothing, with another seed")
    table: dict[tuple[str, str], list[list[float]]] = {}
    times: dict[str, list[float]] = {}
    rng = np.random.default_rng(0)
    for case in cases.values():
        for i in rng.choice(np.flatnonzero(case.network.degree > 0), held_out, replace=False):
            grow(case.network, case.network.friends[i], table, times)
    print(f"{'at resolution':<64}" + "".join(f"{gamma:>8g}" for gamma in RESOLUTIONS) + f"{'CPU ms':>9}")
    for (what, way), rows in sorted(table.items()):
        means = "".join(f"{mean:>8.3f}" for mean in np.mean(rows, axis=0))
        print(f"{what + ': ' + way:<64}{means}{statistics.median(times[way]):>9.2f}")


def grow(
    network: EgoNetwork, friend: str, table: dict[tuple[str, str], list[list[float]]], times: dict[str, list[float]]
) -> None:
    """Add ``friend`` to the rest of ``network`` in several ways, and note what changes on each level."""
    rest, i = network.without_friend(friend), network.index(friend)
    fresh = find_circles(rest)
    settled = find_circles(rest, previous=fresh)
    ways: dict[str, tuple[Circles, Callable[[], Circles]]] = {
        "anew": (settled, lambda: find_circles(network, seed=1)),
        "previous=fresh": (fresh, lambda: find_circles(network, previous=fresh)),
        "previous=settled": (settled, lambda: find_circles(network, previous=settled)),
        "assign_friend": (settled, lambda: assign_friend(settled, network, friend)),
    }
    found = {}
    for way, (before, add) in ways.items():
        start = time.process_time()
        after = found[way] = add()
        times.setdefault(way, []).append(1e3 * (time.process_time() - start))
        levels = range(len(RESOLUTIONS))
        rand = [adjusted_rand_score(before.labels[k], np.delete(after.labels[k], i)) for k in levels]
        table.setdefault(("old friends, adjusted Rand index", way), []).append(rand)
        if way != "anew":
            kept = [ids_kept(before.level(k), after.level(k)) for k in levels]
            together = [jaccard(company(after, k, i), company(found["anew"], k, i)) for k in levels]
            table.setdefault(("old friends whose circle keeps its id", way), []).append(kept)
            table.setdefault(("new friend's circle, Jaccard with anew", way), []).append(together)


def ids_kept(before: Sequence[Circle], after: Sequence[Circle]) -> float:
    """Return the share of those who were in a circle who are in the circle of the same id."""
    now = {member: circle.id for circle in after for member in circle.members}
    return statistics.mean([now.get(member) == circle.id for circle in before for member in circle.members] or [1])


def company(circles: Circles, level: int, i: int) -> set[int]:
    """Return who else is in the community of friend number ``i``."""
    return set(np.flatnonzero(circles.labels[level] == circles.labels[level, i]).tolist()) - {i}


def jaccard(first: set[int], second: set[int]) -> float:
    """Return how much two sets overlap; 1 for two empty ones."""
    return len(first & second) / len(first | second) if first | second else 1.0


def cells(row: Sequence[float]) -> str:
    """Format times, each with how many times faster than the first it is."""
    return f"{row[0]:>18.2f}" + "".join(f"{value:>10.2f} ({row[0] / value:>4.1f}x)" for value in row[1:])


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("PRIVWIZ_EGO_FACEBOOK"), help="folder of SNAP's ego-Facebook networks")
    parser.add_argument("--repeats", type=int, default=7, help="runs of each timing")
    folder = parser.parse_args().data
    if folder is None:
        print("no data: give --data FOLDER or set PRIVWIZ_EGO_FACEBOOK to the folder of SNAP's ego-Facebook networks")
        return 0
    egos = sorted((path.stem for path in Path(folder).glob("*.edges")), key=int)
    cases = {ego: load(Path(folder), ego) for ego in egos}
    print(f"Python {platform.python_version()}, networkx {nx.__version__}, {os.cpu_count()} cores, {len(cases)} real networks\n")
    speed(cases, parser.parse_args().repeats)
    recoveries(cases, SEEDS)
    growth(cases, HELD_OUT)
    return 0


if __name__ == "__main__":
    sys.exit(main())

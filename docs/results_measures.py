"""What the benchmark of label efficiency tells, as numbers: accuracies, differences, answers needed, taps."""

import math
import statistics
from collections.abc import Iterable, Sequence
from functools import cache

from results_data import Results, Sample, User, sample

from privwiz.metrics import Interval, ItemScore, paired_bootstrap, summarise

__all__ = [
    "answers_to",
    "as_good",
    "difference",
    "level",
    "present",
    "ranked",
    "rivals",
    "shown_though_denied",
    "taps",
    "users",
]


def present(results: Results, unit: str, wanted: Iterable[int]) -> list[int]:
    """Return those of the wanted checkpoints that the run has."""
    there = results.checkpoints(unit)
    return [at for at in wanted if at in there]


@cache
def users(results: Results, unit: str, regime: str, *, nontrivial: bool = False) -> int:
    """Return the number of users of a regime (with nontrivial items): the largest of any method and checkpoint."""
    samples = (sample(results, *key, nontrivial=nontrivial) for key in results.places if key[:2] == (unit, regime))
    return max(len(set(each.users)) for each in samples)


def level(results: Results, unit: str, method: str, regime: str, at: int) -> float:
    """Return the mean accuracy on nontrivial items; NaN if there are none."""
    return summarise(sample(results, unit, regime, method, at, nontrivial=True).scores)["accuracy"]


def ranked(results: Results, unit: str, regimes: Sequence[str], at: int) -> list[str]:
    """Return the methods: the main one, then by their mean `level` over these regimes at this checkpoint."""
    ours, methods = results.role("ours", unit), results.methods(unit)
    mean = {name: statistics.fmean(level(results, unit, name, regime, at) for regime in regimes) for name in methods}
    return sorted(mean, key=lambda name: (name != ours, math.isnan(mean[name]), -mean[name]))


def rivals(results: Results, unit: str) -> list[str]:
    """Return what the main method is compared with: the named rivals, then the others; not the one with the real circles."""
    ours, oracle = results.role("ours", unit), results.role("oracle", unit)
    named = [results.role(name, unit) for name in ("rival", "gp_rival", "no_prior")]
    return [name for name in dict.fromkeys((*named, *results.methods(unit))) if name is not None and name not in {ours, oracle}]


def difference(
    results: Results, unit: str, regime: str, rival: str, at: int, *, nontrivial: bool = True
) -> tuple[Interval, int] | None:
    """Return by how much the main method is more accurate, and for how many users; None if they have no users in common."""
    ours = results.role("ours", unit)
    samples = [sample(results, unit, regime, str(name), at, nontrivial=nontrivial) for name in (ours, rival)]
    both = set(samples[0].users) & set(samples[1].users)
    if not both:
        return None
    return paired_bootstrap(*_of(samples[0], both), *_of(samples[1], both))["accuracy"], len(both)


def _of(found: Sample, kept: set[User]) -> tuple[list[ItemScore], list[User]]:
    pairs = [pair for pair in zip(found.scores, found.users, strict=True) if pair[1] in kept]
    return [score for score, _ in pairs], [user for _, user in pairs]


def shown_though_denied(scores: Sequence[ItemScore]) -> float:
    """Return the share of the truly denied cells that are shown at the item's cost; NaN if none is denied."""
    denied = sum(score.true_deny + score.false_allow for score in scores)
    return sum(score.set_allow_wrong for score in scores) / denied if denied else math.nan


def taps(found: Sample) -> float:
    """Return the mean number of taps of a user; NaN if there is none."""
    each = dict(zip(found.users, found.taps, strict=True))
    return statistics.fmean(each.values()) if each else math.nan


def as_good(results: Results, method: str, regime: str, rival: str, last: int) -> int | None:
    """Return the first checkpoint at which a method is as accurate as the rival is at the last, for the same users.

    None if it is at none up to there.
    """
    ats = [at for at in results.checkpoints("answers") if at <= last]
    goal = sample(results, "answers", regime, rival, last, nontrivial=True)
    for at in ats:
        found = sample(results, "answers", regime, method, at, nontrivial=True)
        both = set(found.users) & set(goal.users)
        if both and _accuracy(found, both) >= _accuracy(goal, both):
            return at
    return None


def _accuracy(found: Sample, kept: set[User]) -> float:
    return summarise(_of(found, kept)[0])["accuracy"]


def answers_to(results: Results, method: str, regime: str, share: float) -> float:
    """Return the median over users and nontrivial items of the first checkpoint at which this share is right.

    Infinity if it is not reached, NaN if there are no such items; of an even number the later of the two in the middle.
    """
    first: dict[tuple[User, str], float] = {}
    for at in results.checkpoints("answers"):
        found = sample(results, "answers", regime, method, at, nontrivial=True)
        for score, user, item in zip(found.scores, found.users, found.items, strict=True):
            good = score.cells > 0 and score.true_allow + score.true_deny >= share * score.cells
            first[user, item] = min(first.get((user, item), math.inf), at if good else math.inf)
    return statistics.median_high(first.values()) if first else math.nan

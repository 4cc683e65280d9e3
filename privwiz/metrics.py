"""How good predictions are: counts for one item of one user, what they amount to over many, and bootstrap intervals."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError
from privwiz.items import DEFAULT_COST_RATIO

__all__ = [
    "BINS",
    "METRICS",
    "NONTRIVIAL",
    "Interval",
    "ItemScore",
    "bootstrap",
    "is_nontrivial",
    "item_scores",
    "paired_bootstrap",
    "ranking",
    "summarise",
]

Floats = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]

BINS = 10
"""Equal-width bins of the predicted probability, for the calibration error."""

NONTRIVIAL = 0.1
"""An item is nontrivial where at least this share of the friends gets the rarer decision."""

METRICS = (
    "accuracy",
    "balanced_accuracy",
    "minority_f1",
    "false_allow",
    "auc",
    "brier",
    "calibration_error",
    "set_share",
    "set_accuracy",
    "wrong_among_allowed",
    "ask_share",
    "cost",
)
"""What `summarise` and the bootstrap tell, in this order."""

_WIDTH = 16 + BINS


class Interval(NamedTuple):
    """A value, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ItemScore:
    """How the predictions for one item of one user compare with the truth. "Positive" is allow.

    Parameters
    ----------
    nontrivial : bool
        Whether the rarer true decision is that of at least a `NONTRIVIAL` share of all friends, counted or not.
    cells : int
        Cells counted.
    true_allow, false_allow, true_deny, false_deny : int
        Cells by what is predicted (allow from probability 1/2 up) and whether it is true; they add up to ``cells``.
    auc : float
        Area under the ROC curve; NaN where only one class is counted.
    brier : float
        Sum of the squared errors of the probabilities.
    set_allow_right, set_allow_wrong, set_deny_right, set_deny_wrong, ask : int
        Cells by what is decided at the item's cost ratio, and whether that is right; they add up to ``cells``.
    bin_count, bin_allowed : tuple of int, length `BINS`
        Cells, and truly allowed cells, in each bin of the predicted probability.
    bin_probability : tuple of float, length `BINS`
        Sum of the predicted probabilities in each bin.
    """

    nontrivial: bool
    cells: int
    true_allow: int
    false_allow: int
    true_deny: int
    false_deny: int
    auc: float
    brier: float
    set_allow_right: int
    set_allow_wrong: int
    set_deny_right: int
    set_deny_wrong: int
    ask: int
    bin_count: tuple[int, ...]
    bin_probability: tuple[float, ...]
    bin_allowed: tuple[int, ...]


def ranking(probability: Floats, allow: Truths) -> float:
    """Return the area under the ROC curve: how often an allowed cell is ranked above a denied one, ties counted as half.

    It is the statistic of Mann and Whitney (Hanley and McNeil 1982, "The Meaning and Use of the Area under a Receiver Operating
    Characteristic (ROC) Curve", https://doi.org/10.1148/radiology.143.1.7063747).

    Parameters
    ----------
    probability : float array of shape (m,)
    allow : bool array of shape (m,)

    Returns
    -------
    float
        NaN where only one class is there.

    Examples
    --------
    >>> ranking(np.array([0.2, 0.5, 0.5, 0.9]), np.array([False, False, True, True]))
    0.875
    """
    positive, negative = probability[allow], np.sort(probability[~allow])
    if not positive.size or not negative.size:
        return float("nan")
    below = np.searchsorted(negative, positive, "left").sum() + np.searchsorted(negative, positive, "right").sum()
    return float(below / (2 * positive.size * negative.size))


def item_scores(probability: Floats, allow: Truths, counted: Truths, limit: Floats) -> tuple[ItemScore, ...]:
    """Compare one user's predictions with the truth, item by item.

    Parameters
    ----------
    probability : float array of shape (J, n)
        Predicted probability of allow.
    allow : bool array of shape (J, n)
        The truth.
    counted : bool array of shape (J, n)
        Which cells count, such as those that nobody was asked about.
    limit : float array of shape (J,)
        Probability above which an item is shown: `privwiz.decisions.threshold` of its cost ratio. From 1/2 up to it the user is
        asked.

    Returns
    -------
    tuple of ItemScore, length J

    Raises
    ------
    DataError
        If the shapes do not fit, or a counted probability does not lie in 0..1.

    Examples
    --------
    >>> predicted, truth = np.array([[0.9, 0.6, 0.2]]), np.array([[True, True, False]])
    >>> score = item_scores(predicted, truth, np.full((1, 3), True), np.array([5 / 6]))[0]
    >>> score.true_allow, score.set_allow_right, score.ask, score.auc
    (2, 1, 1, 1.0)
    """
    shapes = [array.shape for array in (probability, allow, counted, limit)]
    if probability.ndim != 2 or shapes != [probability.shape] * 3 + [probability.shape[:1]]:
        listed = ", ".join(map(str, shapes))
        raise DataError(f"probability, allow, counted, limit have shapes {listed}; give thrice (items, friends), then (items,)")
    within = (probability >= 0) & (probability <= 1)
    if not within[counted].all():
        raise DataError(f"a predicted probability is {probability[counted & ~within][0]}; it must lie in 0..1")
    return tuple(
        _item_score(chance[cells], truth[cells], float(above), nontrivial=is_nontrivial(truth))
        for chance, truth, cells, above in zip(probability, allow, counted, limit, strict=True)
    )


def is_nontrivial(allow: Truths) -> bool:
    """Whether the rarer decision about one item, bools of shape (n,), has a share of `NONTRIVIAL` or more."""
    return bool(allow.size) and bool(min(allow.mean(), (~allow).mean()) >= NONTRIVIAL)


def _item_score(probability: Floats, allow: Truths, limit: float, *, nontrivial: bool) -> ItemScore:
    predicted, shown = probability >= 0.5, probability > limit
    hidden = ~predicted & ~shown
    place = np.minimum((probability * BINS).astype(np.intp), BINS - 1)
    return ItemScore(
        nontrivial=nontrivial,
        cells=allow.size,
        true_allow=int((predicted & allow).sum()),
        false_allow=int((predicted & ~allow).sum()),
        true_deny=int((~predicted & ~allow).sum()),
        false_deny=int((~predicted & allow).sum()),
        auc=ranking(probability, allow),
        brier=float(np.square(probability - allow).sum()),
        set_allow_right=int((shown & allow).sum()),
        set_allow_wrong=int((shown & ~allow).sum()),
        set_deny_right=int((hidden & ~allow).sum()),
        set_deny_wrong=int((hidden & allow).sum()),
        ask=int((predicted & ~shown).sum()),
        bin_count=tuple(np.bincount(place, minlength=BINS).tolist()),
        bin_probability=tuple(np.bincount(place, probability, minlength=BINS).tolist()),
        bin_allowed=tuple(np.bincount(place[allow], minlength=BINS).tolist()),
    )


def summarise(scores: Iterable[ItemScore]) -> dict[str, float]:
    """Tell what the scores of several users and items amount to.

    Parameters
    ----------
    scores : iterable of ItemScore

    Returns
    -------
    dict of str to float
        For each of `METRICS`; NaN where nothing is there to divide by.

        - ``accuracy``: right share of an item of a user, mean over those with cells.
        - ``balanced_accuracy``: mean of the right share of the truly allowed and of the truly denied cells; ``minority_f1``: F1
          of the class with fewer cells (deny, where they are equal); both are means over those items of users with both classes.
        - ``false_allow``: share of the truly denied cells that are predicted allow, all cells pooled.
        - ``auc``: mean over those items of users with both classes.
        - ``brier``: mean squared error of the probability, all cells pooled.
        - ``calibration_error``: expected calibration error of the probability of allow: the mean over the cells of the distance
          between mean probability and share truly allowed in the cell's bin (Naeini, Cooper and Hauskrecht 2015, "Obtaining Well
          Calibrated Probabilities Using Bayesian Binning", AAAI, https://doi.org/10.1609/aaai.v29i1.9602; Guo et al. 2017, "On
          Calibration of Modern Neural Networks", section 2, https://arxiv.org/abs/1706.04599).
        - ``set_share``, ``ask_share``: shares of the cells that are decided, and left to the user; ``set_accuracy``: right share
          of the decided; ``wrong_among_allowed``: wrong share of those decided allow.
        - ``cost``: mean cost of a cell, if allowing wrongly costs `privwiz.items.DEFAULT_COST_RATIO`, and denying or asking what
          should be allowed costs 1.

    Examples
    --------
    >>> predicted, truth = np.array([[0.9, 0.6, 0.2, 0.9]]), np.array([[True, True, False, False]])
    >>> scores = item_scores(predicted, truth, np.full((1, 4), True), np.array([5 / 6]))
    >>> found = summarise(scores)
    >>> found["accuracy"], found["false_allow"], found["cost"]
    (0.75, 0.5, 1.5)
    """
    return dict(zip(METRICS, _metrics(_parts(list(scores)).sum(axis=0)).tolist(), strict=True))


def bootstrap(
    scores: Sequence[ItemScore], units: Sequence[Hashable], *, resamples: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """Give every metric of `summarise` with its 95 % percentile bootstrap interval; whole units are drawn, not cells.

    The cells of one user hang together, so that an interval over cells would be far too narrow (Field and Welsh 2007,
    "Bootstrapping clustered data", https://doi.org/10.1111/j.1467-9868.2007.00593.x). Resamples in which a metric is not defined
    are left out for this metric. The calibration error sums absolute values, so that it is larger in a resample than in the
    sample: read its interval as an upper bound.

    Parameters
    ----------
    scores : sequence of ItemScore
    units : sequence of hashable
        What each score belongs to, such as its user.
    resamples : int
    seed : int
        Equal seeds give equal intervals.

    Returns
    -------
    dict of str to Interval
        The ends are NaN where there are fewer than two units.

    Raises
    ------
    DataError
        If there are not as many units as scores, or there is no resample.
    """
    parts = _by_unit(scores, units)
    together = np.array(list(parts.values())).reshape(len(parts), _WIDTH)
    counts = _draw(len(parts), resamples, seed)
    return _intervals(_metrics(together.sum(axis=0)), _metrics(counts @ together), len(parts))


def paired_bootstrap(
    scores: Sequence[ItemScore],
    units: Sequence[Hashable],
    others: Sequence[ItemScore],
    other_units: Sequence[Hashable],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Give the difference of every metric between two methods that were tried with the same units, with its 95 % interval.

    Parameters
    ----------
    scores, units
        Of the first method, as for `bootstrap`.
    others, other_units
        Of the second method, in any order.
    resamples, seed
        As for `bootstrap`; every resample draws the same units for both.

    Returns
    -------
    dict of str to Interval
        First less second.

    Raises
    ------
    DataError
        As `bootstrap`, and if the two methods were not tried with the same units.
    """
    first, second = _by_unit(scores, units), _by_unit(others, other_units)
    if first.keys() != second.keys():
        lone = sorted(map(str, first.keys() ^ second.keys()))
        raise DataError(f"{lone[0]!r} has scores of one method only; compare two methods on the same units")
    ours = np.array(list(first.values())).reshape(len(first), _WIDTH)
    theirs = np.array([second[unit] for unit in first]).reshape(len(first), _WIDTH)
    counts = _draw(len(first), resamples, seed)
    value = _metrics(ours.sum(axis=0)) - _metrics(theirs.sum(axis=0))
    return _intervals(value, _metrics(counts @ ours) - _metrics(counts @ theirs), len(first))


def _by_unit(scores: Sequence[ItemScore], units: Sequence[Hashable]) -> Mapping[Hashable, Floats]:
    """Add up what the metrics are made of, unit by unit."""
    if len(scores) != len(units):
        raise DataError(f"{len(scores)} scores have {len(units)} units; give one for each")
    place = {unit: k for k, unit in enumerate(dict.fromkeys(units))}
    sums = np.zeros((len(place), _WIDTH))
    np.add.at(sums, [place[unit] for unit in units], _parts(scores))
    return dict(zip(place, sums, strict=True))


def _draw(units: int, resamples: int, seed: int) -> Floats:
    """Return how often each unit is drawn in each resample, shape (resamples, units)."""
    if resamples < 1:
        raise DataError(f"the number of resamples is {resamples}; it must be at least 1")
    rng = np.random.default_rng(seed)
    return rng.multinomial(units, np.full(units, 1 / units), resamples).astype(float) if units else np.zeros((resamples, 0))


def _intervals(value: Floats, resampled: Floats, units: int) -> dict[str, Interval]:
    ends = np.full((2, len(METRICS)), np.nan)
    defined = ~np.isnan(resampled).all(axis=0) & ~np.isnan(value)
    if units > 1:
        ends[:, defined] = np.nanpercentile(resampled[:, defined], (2.5, 97.5), axis=0)
    return {name: Interval(float(value[k]), float(ends[0, k]), float(ends[1, k])) for k, name in enumerate(METRICS)}


def _parts(scores: Sequence[ItemScore]) -> Floats:
    """Return what every metric is made of, shape (scores, _WIDTH): numbers whose sums over scores suffice for `_metrics`."""
    names = "cells true_allow false_allow true_deny false_deny auc brier set_allow_right set_allow_wrong".split()
    names += ["set_deny_right", "set_deny_wrong"]
    table = np.array([[getattr(score, name) for name in names] for score in scores], dtype=float).reshape(-1, len(names))
    cells, true_allow, false_allow, true_deny, false_deny, auc, brier, right, wrong, denied, overdone = table.T
    allowed, forbidden = true_allow + false_deny, true_deny + false_allow
    both = (allowed > 0) & (forbidden > 0)
    hit = np.where(allowed < forbidden, true_allow, true_deny)
    ranked = ~np.isnan(auc)
    gap = np.array([np.subtract(s.bin_probability, s.bin_allowed) for s in scores], dtype=float).reshape(-1, BINS)
    return np.column_stack(
        [
            _ratio(true_allow + true_deny, cells, 0.0),
            cells > 0,
            both * (_ratio(true_allow, allowed, 0.0) + _ratio(true_deny, forbidden, 0.0)) / 2,
            both * _ratio(2 * hit, 2 * hit + false_allow + false_deny, 0.0),
            both,
            false_allow,
            forbidden,
            np.where(ranked, auc, 0),
            ranked,
            brier,
            cells,
            right + wrong + denied + overdone,
            right + denied,
            wrong,
            right + wrong,
            DEFAULT_COST_RATIO * wrong + allowed - right,
            gap,
        ]
    )


def _metrics(sums: Floats) -> Floats:
    """Return `METRICS`, shape (..., len(METRICS)), from sums of `_parts`, shape (..., _WIDTH)."""
    gap = np.abs(sums[..., -BINS:]).sum(axis=-1)
    right, users, balanced, f1, both, wrong, forbidden, auc, ranked, brier, cells, decided, good, bad, shown, cost = np.moveaxis(
        sums[..., :-BINS], -1, 0
    )
    pairs = [
        (right, users),
        (balanced, both),
        (f1, both),
        (wrong, forbidden),
        (auc, ranked),
        (brier, cells),
        (gap, cells),
        (decided, cells),
        (good, decided),
        (bad, shown),
        (cells - decided, cells),
        (cost, cells),
    ]
    return np.stack([_ratio(above, below, np.nan) for above, below in pairs], axis=-1)


def _ratio(above: Floats, below: Floats, otherwise: float) -> Floats:
    """Divide; ``otherwise`` where the denominator is zero."""
    ratio = np.full(np.shape(above), otherwise)
    np.divide(above, below, out=ratio, where=below > 0)
    return ratio

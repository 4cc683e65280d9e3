"""What the wizard is compared with: simple predictors and label propagation, each of which can play behind the same screens."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from privwiz.covariance import attribute_kernel
from privwiz.graphs import EgoNetwork
from privwiz.predictor import ItemPredictor, Known, Prediction

__all__ = [
    "OTHERS_COUNT",
    "PULL",
    "RIVALS",
    "collaborative_propagation",
    "friend_graph",
    "label_propagation",
    "majority",
    "repeat_last",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

PULL = 2.0
"""How much the rate of an item pulls at each friend, where a tie of average strength counts 1.

Chosen among .01 to 10 on simulated policies of an invented town, after 5, 10 and 25 answers; from 1 to 5 it matters little.
"""
OTHERS_COUNT = 5
"""How many own answers the rate of other users counts as much as, in `collaborative_propagation`."""

_MOST_TARGETS = 256


def majority(known: Known) -> Prediction:
    """Predict of each item the share that was allowed so far: (allow + 1) / (answers + 2), or without answers the prior rate."""
    return _everybody(known, _own_rate(*_count(known), known.prior_rate))


def repeat_last(known: Known) -> Prediction:
    """Predict of each item the last answer for everybody, with 2/3: what Laplace's rule of succession makes of one answer."""
    rate = known.prior_rate.copy()
    for item, friend in known.order:
        rate[item] = 2 / 3 if known.stated[item, friend] == 1 else 1 / 3
    return _everybody(known, rate)


def label_propagation(known: Known) -> Prediction:
    """Predict by the harmonic function: each friend who was not asked is the average of its neighbours in `friend_graph`.

    The rate of the item among the user's answers (see `majority`) is a further neighbour of every friend, of weight `PULL`, so
    that friends whom no answer reaches have a value. With unanswered friends u, answered friends l, their answers y (1 allow,
    0 deny), weights W and their Laplacian L, f_u solves ``(L_uu + PULL I) f_u = W_ul y_l + PULL rate``.

    References
    ----------
    X. Zhu, Z. Ghahramani, J. Lafferty, "Semi-supervised learning using Gaussian fields and harmonic functions", ICML 2003,
    where such a further neighbour is called a dongle node.

    Examples
    --------
    >>> from privwiz.graphs import build_ego_network
    >>> network = build_ego_network("me", "abcd", [("a", "b"), ("c", "d")])
    >>> stated = np.array([[1, 0, -1, 0]], np.int8)
    >>> order = np.array([[0, 0], [0, 2]])
    >>> known = Known(network, np.zeros((4, 0)), stated, order, prior_rate=np.array([0.5]))
    >>> label_propagation(known).probability.round(2)
    array([[1.  , 0.67, 0.  , 0.33]])
    """
    return _propagate(known, _own_rate, choose=False)


def collaborative_propagation(known: Known) -> Prediction:
    """Predict by the same propagation with other users' help, and ask for the largest drop of the expected risk.

    In the spirit of Shehab, Touati and Javed (2016), who propagate labels, draw on the policies of other users and learn
    actively: here the rate that pulls is ``(OTHERS_COUNT prior + allow) / (OTHERS_COUNT + answers)``. An answer to a cell is
    worth the risk now less the risk expected after it, where the risk of an item is the sum of min(f, 1 - f) over its open
    cells, and f itself says how likely each answer is (Zhu, Lafferty and Ghahramani 2003). The harmonic function
    after an answer y of friend k is ``f + (y - f_k) G_.k / G_kk``, with the new rate in f, and G the inverse of
    ``L_uu + PULL I`` before it.

    References
    ----------
    M. Shehab, H. Touati, Y. Javed, "Semi-supervised policy recommendation for online social networks", Social Network Analysis
    and Mining 6, 2016.
    X. Zhu, J. Lafferty, Z. Ghahramani, "Combining active learning and semi-supervised learning using Gaussian fields and
    harmonic functions", ICML 2003 workshop "The continuum from labeled to unlabeled data".
    """
    return _propagate(known, _shared_rate, choose=True)


RIVALS: Mapping[str, ItemPredictor] = MappingProxyType(
    {
        "majority": majority,
        "repeat-last": repeat_last,
        "label-propagation": label_propagation,
        "collaborative-propagation": collaborative_propagation,
    }
)
"""Name -> predictor; each is given to `privwiz.Wizard` as its ``classifier``."""


def friend_graph(network: EgoNetwork) -> Floats:
    """Weights over which labels propagate: ties, and a little likeness of profiles, so that friends without ties are reached.

    A tie of average strength counts 1 and no tie 2 or more. The likeness (`privwiz.covariance.attribute_kernel`) of two friends
    is worth one tie at most, and all of it together one tie for the average friend at most.

    Returns
    -------
    float64 array of shape (n, n)
        Symmetric, not negative, zero diagonal.
    """
    ties = network.adjacency.copy()
    if ties.nnz:
        strength = ties.data / ties.data.max()
        ties.data = 2 * strength / (strength + strength.mean())
    alike = attribute_kernel(network).astype(np.float64)
    np.fill_diagonal(alike, 0)
    return np.asarray(ties.toarray() + alike / max(1.0, alike.sum() / max(1, network.n)))


def _count(known: Known) -> tuple[Floats, Floats]:
    """Count the answers of each item, and those that allow, each of shape (J,)."""
    allow = (known.stated == 1).sum(axis=1).astype(float)
    return allow + (known.stated == -1).sum(axis=1), allow


def _own_rate(answers: Floats, allow: Floats, prior: Floats) -> Floats:
    return np.where(answers > 0, (allow + 1) / (answers + 2), prior)


def _shared_rate(answers: Floats, allow: Floats, prior: Floats) -> Floats:
    return np.asarray((OTHERS_COUNT * prior + allow) / (OTHERS_COUNT + answers))


def _everybody(known: Known, rate: Floats) -> Prediction:
    return Prediction(np.repeat(rate[:, None], known.network.n, axis=1))


@lru_cache(maxsize=2)
def _green(network: EgoNetwork) -> Floats:
    """Return the inverse of ``L + PULL I`` over all friends, shape (n, n); the networks used last are remembered."""
    weight = friend_graph(network)
    system = np.diag(weight.sum(axis=1) + PULL) - weight
    green = np.asarray(cho_solve(cho_factor(system), np.eye(network.n)))
    green.setflags(write=False)
    return green


def _propagate(known: Known, rate_of: Callable[[Floats, Floats, Floats], Floats], *, choose: bool) -> Prediction:
    """Solve for the harmonic functions of all items; those that have answers of the same friends together.

    With G the inverse over all friends (`_green`) and B = G_ll^-1 G_l., the harmonic function is
    ``rate (1 - 1'B) + y'B``: the rate is one for everybody, and ``L 1 = 0``.
    """
    green = _green(known.network)
    answers, allow = _count(known)
    rates = [rate_of(answers + more, allow + yes, known.prior_rate) for more, yes in ((0, 0), (1, 0), (1, 1))]
    told = np.abs(known.stated) == 1
    probability = np.empty(told.shape)
    worth = np.zeros(told.shape)
    for where, items in _alike_rows(told):
        reach = cho_solve(cho_factor(green[np.ix_(where, where)]), green[where])
        said = (known.stated[np.ix_(items, where)] == 1).astype(float)
        fields = [rate[items, None] * (1 - reach.sum(axis=0)) + said @ reach for rate in rates]
        probability[items] = np.clip(fields[0], 0, 1)
        if choose:
            worth[items] = _expected_drop(green, where, reach, fields, known.stated[items] == 0)
    probability = np.where(told, known.stated == 1, probability)
    return Prediction(probability, worth if choose else None)


def _alike_rows(told: npt.NDArray[np.bool_]) -> list[tuple[Ints, Ints]]:
    """Return each different set of friends that rows are True for, with the rows that have it."""
    rows: dict[bytes, list[int]] = {}
    for item, row in enumerate(told):
        rows.setdefault(row.tobytes(), []).append(item)
    return [(np.flatnonzero(told[items[0]]), np.array(items)) for items in rows.values()]


def _expected_drop(green: Floats, where: Ints, reach: Floats, fields: list[Floats], is_open: npt.NDArray[np.bool_]) -> Floats:
    """Return how much an answer to each open cell is expected to lower the risk of its item, shape of ``is_open``.

    Parameters
    ----------
    green : float array of shape (n, n)
    where : int array of shape (m,)
        Friends with answers.
    reach : float array of shape (m, n)
        B of `_propagate`.
    fields : three float arrays of shape (items, n)
        Harmonic functions with the rate of now, after one deny more and after one allow more.
    is_open : bool array of shape (items, n)
        Cells of which nothing was said. The drop at other cells is summed over at most 256 of them, evenly spread, and
        scaled up; that at the cell itself, whose risk becomes zero, is exact.
    """
    n = len(green)
    variance = green.diagonal() - np.einsum("mn,mn->n", green[where], reach)
    variance[where] = 1
    worth = np.zeros(is_open.shape)
    for item, row in enumerate(is_open):
        targets = np.flatnonzero(row)
        count = len(targets)
        targets = targets[np.linspace(0, count - 1, min(count, _MOST_TARGETS)).round().astype(np.intp)]
        column = (green[targets] - green[np.ix_(targets, where)] @ reach) / variance
        now, *later = np.clip(fields, 0, 1)[:, item] - 0.5
        drop = np.full(n, -np.abs(now[targets]).sum())
        for side, chance, field in ((-0.5, 0.5 - now, later[0]), (0.5, 0.5 + now, later[1])):
            after = column * (side - field)
            after += field[targets, None]
            drop += chance * np.abs(after, out=after).sum(axis=0)
        own = 0.5 - np.abs(now)
        among = np.isin(np.arange(n), targets)
        others = (drop - among * own) * (count - 1) / np.maximum(1, len(targets) - among)
        worth[item, row] = (own + others)[row]
    return worth

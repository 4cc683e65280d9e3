"""How well answers are predicted that were given but held back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from privwiz.answers import Answer, Entry, Evidence, evidence
from privwiz.belief import Layout, believe, believe_classic, lay_out
from privwiz.circles import find_circles
from privwiz.decisions import STATED, Decision, threshold
from privwiz.errors import DataError
from privwiz.graphs import EgoNetwork
from privwiz.items import ProfileItem, profile_items
from privwiz.metrics import ItemScore, item_scores
from privwiz.prior import Prior
from privwiz.stated import stated_cells

__all__ = ["OWN_METHODS", "HeldOut", "cross_validate"]

Floats = npt.NDArray[np.float64]
Stated = npt.NDArray[np.int8]

OWN_METHODS = ("privwiz", "no-prior", "majority")
"""What is always tried: the wizard's model, the same with `Prior.flat`, and the share of "allow" in the answers about an item."""

_Predictor: TypeAlias = Callable[[Stated], Floats]
"""What was said, shape (J, n), numbers of `STATED` -> probability of allow, shape (J, n)."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """How well one method predicted one user's answers about one item, each from answers about other friends.

    Parameters
    ----------
    user : str
    method : str
        One of `OWN_METHODS`, or the name of a classifier.
    item : str
    score : ItemScore
        Over the cells that the user has said; nontrivial by these.
    """

    user: str
    method: str
    item: str
    score: ItemScore


def cross_validate(
    network: EgoNetwork,
    answers: Mapping[tuple[str, str], Decision | str],
    items: Sequence[str | ProfileItem] | None = None,
    prior: Prior | None = None,
    *,
    folds: int = 5,
    seed: int = 0,
    classifiers: Sequence[str] = ("tree",),
) -> tuple[HeldOut, ...]:
    """Predict every answer of a user from the answers about other friends, by several methods.

    The friends whom answers are about are dealt into ``folds`` parts by chance. Each part is predicted from the answers about all
    the others, so that nothing said about a friend helps to predict this friend. (Stone 1974, "Cross-Validatory Choice and
    Assessment of Statistical Predictions", https://doi.org/10.1111/j.2517-6161.1974.tb00994.x.)

    Parameters
    ----------
    network : EgoNetwork
    answers : mapping of (item, friend) to decision
        ``"ask"`` says nothing about what is right, and is passed over.
    items : sequence of str or ProfileItem, optional
        Answers about other items are passed over; unless given, all that the answers are about.
    prior : Prior, optional
        Of the method ``"privwiz"``; `Prior.default` unless given.
    folds : int
        2 or more.
    seed : int
        Decides the parts, the circles, and what a classifier draws by chance.
    classifiers : sequence of str
        Names of `privwiz.classifier.CLASSIC` to try as well.

    Returns
    -------
    tuple of HeldOut
        For each of `OWN_METHODS` and each classifier one per item with at least ``folds`` answers. The area under the curve of
        ``"majority"``, which ranks nobody, is NaN; the others rank the cells of all parts together.

    Raises
    ------
    DataError
        If there are fewer than two folds, answers about fewer friends than folds, an unknown classifier, or a decision that is
        none.
    UnknownFriend
        If an answer is about somebody who is not a friend.

    Examples
    --------
    >>> import networkx as nx
    >>> from privwiz.graphs import ego_network
    >>> network = ego_network(nx.karate_club_graph(), 0)
    >>> said = {
    ...     ("phone", friend): "allow" if network.neighbors(i).size > 2 else "deny" for i, friend in enumerate(network.friends)
    ... }
    >>> [(row.method, row.score.cells) for row in cross_validate(network, said)]
    [('privwiz', 16), ('no-prior', 16), ('majority', 16), ('tree', 16)]
    """
    named = tuple(dict.fromkeys(item for item, _ in answers)) if items is None else items
    resolved = profile_items(tuple(named))
    stated = stated_cells(network, answers, resolved)
    part = _deal(stated, folds, seed)
    rows = []
    for method, predict in _predictors(network, resolved, prior, seed, classifiers).items():
        probability = np.full(stated.shape, np.nan)
        for held in (part == k for k in range(folds)):
            probability[:, held] = predict(np.where(held, STATED["nothing"], stated).astype(np.int8))[:, held]
        for item, said, chance in zip(resolved, stated, probability, strict=True):
            cells = said != STATED["nothing"]
            if cells.sum() >= folds:
                allow = said[None, cells] == STATED["allow"]
                limit = np.array([threshold(item.cost_ratio)])
                (score,) = item_scores(chance[None, cells], allow, np.full(allow.shape, fill_value=True), limit)
                ranked = replace(score, auc=float("nan")) if method == "majority" else score
                rows.append(HeldOut(network.ego, method, item.id, ranked))
    return tuple(rows)


def _deal(stated: Stated, folds: int, seed: int) -> npt.NDArray[np.intp]:
    """Return each friend's part, shape (n,); -1 where nothing was said."""
    friends = np.flatnonzero(stated.any(axis=0))
    if not 2 <= folds <= len(friends):
        raise DataError(
            f"{folds} folds of answers (allow or deny) about {len(friends)} friends; "
            "take at least 2, and answers about at least as many friends"
        )
    part = np.full(stated.shape[1], -1)
    part[np.random.default_rng(seed).permutation(friends)] = np.arange(len(friends)) % folds
    return part


def _predictors(
    network: EgoNetwork, items: tuple[ProfileItem, ...], prior: Prior | None, seed: int, classifiers: Sequence[str]
) -> dict[str, _Predictor]:
    from privwiz.classifier import classic_classifier, item_predictor

    circles = find_circles(network, seed=seed)
    layout = lay_out(network, circles, Prior.default() if prior is None else prior, items)
    flat = lay_out(network, circles, Prior.flat(), items)
    own: tuple[_Predictor, ...] = (
        lambda stated: believe(layout, _said(layout, stated)).probability,
        lambda stated: believe(flat, _said(flat, stated)).probability,
        _majority,
    )

    def classic(name: str) -> _Predictor:
        predictor = item_predictor(classic_classifier(name, seed))
        return lambda stated: believe_classic(layout, _said(layout, stated), predictor).probability

    return dict(zip(OWN_METHODS, own, strict=True)) | {name: classic(name) for name in classifiers}


def _said(layout: Layout, stated: Stated) -> Evidence:
    """Return the evidence of a user who has said these cells, one after the other."""
    ids, friends = [item.id for item in layout.items], layout.network.friends
    word = {number: name for name, number in STATED.items()}
    log = [
        Entry("label", (Answer(ids[j], (friends[i],), word[int(stated[j, i])], each=True),))
        for j, i in np.argwhere(stated != STATED["nothing"]).tolist()
    ]
    return evidence(log, ids, friends)


def _majority(stated: Stated) -> Floats:
    """Return (allow + 1) / (answers + 2) of each item for everybody."""
    allow, deny = ((stated == STATED[said]).sum(axis=1, keepdims=True) for said in ("allow", "deny"))
    return np.broadcast_to((allow + 1) / (allow + deny + 2), stated.shape)

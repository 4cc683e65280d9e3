"""The next screen: candidates weighed against each other, the chosen one put into words."""

from collections.abc import Collection, Iterable, Sequence
from typing import Literal, get_args

import numpy as np
from scipy.special import ndtr, ndtri

from privwiz.answers import AUDIENCE_CUTS, AUDIENCE_SHARES, CELL_CHOICES, CIRCLE_CUTS, CIRCLE_SHARES
from privwiz.belief import Belief
from privwiz.choice import Gains, Outlook, likeliest_answer
from privwiz.decisions import threshold
from privwiz.posterior import LEAST_VARIANCE, PROBIT_VARIANCE, Posterior, posterior_mean, prior_variance, project
from privwiz.screens import MAX_TOGGLES, Proposal, Screen, Toggle, circle_phrase, fresh_cells, propose

__all__ = ["LEAST_GAIN", "STRATEGIES", "Strategy", "ask"]

Strategy = Literal["expected-error", "random", "uncertainty"]
"""How the next screen is chosen. See `ask`."""
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
LEAST_GAIN = 0.8
"""A screen pays when it is expected to set right so many cells per unit of effort: one in the result takes a tap, and a look."""

_TARGET_FRIENDS = 60
_MOST_ITEMS = 24
_MOST_CIRCLES_AT_ONCE = 4


def ask(
    belief: Belief,
    kinds: Iterable[str],
    items: Sequence[int],
    strategy: Strategy,
    least_gain: float,
    position: int,
    seed: int,
) -> Screen | None:
    """Return the best next screen, or None where none pays.

    The audience comes first, wherever it may be asked: it settles the level of every item at once. Of the rest,
    ``"expected-error"`` takes the largest expected error reduction among those that pay, ``"uncertainty"`` the screen whose
    toggles are most in doubt, ``"random"`` any; these two, and any model but the library's own, which goes by doubt or by its
    own ``worth``, ask as long as there is anything to ask. (To divide the reduction by the effort was tried: it prefers
    screens that tell little, and errs more after the same effort. See docs/decisions.md.)

    Parameters
    ----------
    belief : Belief
    kinds : iterable of str
        Of `privwiz.screens.KINDS`.
    items : sequence of int
        Positions of the items to ask about. Of more than 24 items, only the 24 most in doubt that have anything left to ask
        are weighed.
    strategy : str
        One of `STRATEGIES`.
    least_gain : float
        Cells set right per unit of effort below which no screen pays.
    position : int
        Length of the log, for the screen to carry; together with ``seed`` it decides what is drawn by chance.
    seed : int
    """
    rng = np.random.default_rng([seed, position])
    some, proposals, fresh = _proposals(belief, kinds, items, rng)
    audience = [proposal for proposal in proposals if proposal.kind == "audience"][:1]
    if audience:
        proposals, fresh = audience, []
    if not (proposals or fresh):
        return None
    if belief.posterior is None:
        wrong = np.array([sum(belief.doubt[cell] for cell in proposal.cells) for proposal in proposals])
        gains = Gains(wrong, 1 + wrong)
    else:
        outlook = _outlook(belief, belief.posterior, {*fresh, *(cell for one in proposals for cell in one.cells)}, some, rng)
        if fresh:
            cells = outlook.compose(fresh, MAX_TOGGLES, _MOST_CIRCLES_AT_ONCE, belief.layout.members)
            proposals.append(Proposal("circles", cells))
        gains = outlook.gains([proposal.cells for proposal in proposals])
    if strategy == "random":
        score = rng.random(len(proposals))
    elif belief.worth is not None:
        score = np.array([sum(belief.worth[cell] for cell in proposal.cells) for proposal in proposals])
        gains = Gains(score, gains.effort)
    elif strategy == "uncertainty" or belief.posterior is None:
        score = (gains.effort - 1) / np.array([len(proposal.cells) for proposal in proposals])
    else:
        pays = np.maximum(gains.gain, 0) >= least_gain * gains.effort
        if not (audience or pays.any()):
            return None
        score = np.where(pays, gains.gain, -np.inf)
    best = int(np.argmax(score))
    return _screen(belief, proposals[best], float(gains.gain[best]), float(gains.effort[best]), position)


def _proposals(
    belief: Belief, kinds: Iterable[str], items: Sequence[int], rng: np.random.Generator
) -> tuple[Sequence[int], list[Proposal], list[tuple[int, int]]]:
    """Return what to ask about next: the first portion of items, those most in doubt first, with anything left to ask.

    Besides these items: the screens about them, and the toggles of which screens about several circles can be composed.
    """
    layout, wanted = belief.layout, set(kinds)
    order = sorted(items, key=lambda j: -belief.doubt[j].sum())
    circles, everybody = len(layout.circles), layout.everybody
    for start in range(0, len(order), _MOST_ITEMS):
        some = sorted(order[start : start + _MOST_ITEMS])
        proposals = propose(wanted, some, layout.groups, circles, everybody, belief.said.shown, belief.doubt, rng)
        fresh = fresh_cells(layout.network.n, some, layout.groups[:circles], belief.said.shown) if "circles" in wanted else []
        if proposals or fresh:
            return some, proposals, fresh
    return items, [], []


def _outlook(
    belief: Belief, posterior: Posterior, cells: Collection[tuple[int, int]], items: Sequence[int], rng: np.random.Generator
) -> Outlook:
    layout, settled = belief.layout, belief.said.stated != 0
    unsettled = np.flatnonzero(~settled[list(items)].all(axis=0))
    friends = np.sort(rng.permutation(unsettled)[:_TARGET_FRIENDS])
    target_rows, target_items = np.tile(friends, len(items)), np.repeat(np.array(items, np.intp), len(friends))
    weight = ~settled[target_items, target_rows] * (len(unsettled) / max(1, len(friends)))
    return Outlook(layout.model, posterior, cells, layout.noise, layout.spread, target_rows, target_items, weight)


def _screen(belief: Belief, proposal: Proposal, gain: float, effort: float, position: int) -> Screen:
    n = belief.layout.network.n
    groups = [cell for cell in proposal.cells if cell[1] >= n]
    latents = dict(zip(groups, _latents(belief, groups), strict=True)) if groups else {}
    toggles = tuple(
        _group_toggle(belief, *cell, *latents[cell]) if cell in latents else _friend_toggle(belief, *cell)
        for cell in proposal.cells
    )
    item = toggles[0].profile_item
    match proposal.kind:
        case "audience" | "circles":
            about = ("", "")
        case "item":
            about = (item.text("en"), item.text("zh"))
        case _:
            about = toggles[0].who
    return Screen(proposal.kind, toggles, about, gain, effort, position)


def _friend_toggle(belief: Belief, j: int, row: int) -> Toggle:
    layout = belief.layout
    item, chance = layout.items[j], float(belief.granted[j, row])
    sure = chance < 0.5 or chance > threshold(item.cost_ratio)
    name = layout.names[row]
    guess = "allow" if chance >= 0.5 else "deny"
    return Toggle(item, (layout.network.friends[row],), guess, CELL_CHOICES, chance, sure, (name, name), guess)


def _latents(belief: Belief, cells: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    """Return mean and variance of the latent of each of some cells of groups."""
    assert belief.posterior is not None, "a classic classifier is never asked about groups"
    model, (items, rows) = belief.layout.model, np.array(cells).T
    mean = posterior_mean(model, belief.posterior, rows)[items, np.arange(len(cells))]
    known = project(model, belief.posterior, rows, items)
    variance = np.maximum(prior_variance(model, rows, items) - np.square(known).sum(0), LEAST_VARIANCE)
    return list(zip(mean.tolist(), variance.tolist(), strict=True))


def _group_toggle(belief: Belief, j: int, row: int, mean: float, variance: float) -> Toggle:
    """The guess is the level of the expected share, for a latent of this mean and variance.

    A guess that shows the item to anybody is sure if the share reaches its level with the certainty that an allow needs, and
    nobody in the group is kept out by an answer about another.
    """
    layout = belief.layout
    g = row - layout.network.n
    group, item = layout.groups[g], layout.items[j]
    scale = np.sqrt(PROBIT_VARIANCE + layout.spread[row] ** 2)
    share = float(ndtr(mean / np.sqrt(scale**2 + variance)))
    circle = layout.circles[g] if g < len(layout.circles) else None
    levels, cuts = (AUDIENCE_SHARES, AUDIENCE_CUTS) if circle is None else (CIRCLE_SHARES, CIRCLE_CUTS)
    level = int(np.searchsorted(cuts, share))
    reached = 1.0 if level == 0 else float(ndtr((mean - scale * ndtri(cuts[level - 1])) / np.sqrt(variance)))
    sure = level == 0 or (reached > threshold(item.cost_ratio) and not belief.said.closed[j, group].any())
    friends = tuple(layout.network.friends[i] for i in group)
    answer = likeliest_answer(np.array(mean), np.array(variance), np.array(layout.spread[row]), cuts)
    likeliest = tuple(levels)[int(answer)]
    if circle is None:
        return Toggle(item, friends, tuple(levels.values())[level], (), share, sure, likeliest=likeliest)
    who = circle_phrase(circle, [layout.names[i] for i in group])
    return Toggle(item, friends, tuple(levels)[level], tuple(levels), share, sure, who, likeliest)

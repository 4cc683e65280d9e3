"""What a wizard cannot pass, whatever it asks about groups: bounds, not rivals."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr

from privwiz.answers import AUDIENCE_CUTS, AUDIENCE_SHARES, CIRCLE_CUTS, CIRCLE_SHARES, Answer, Entry, evidence
from privwiz.belief import Belief, Layout, believe
from privwiz.posterior import PROBIT_VARIANCE, prior_covariance, prior_variance
from privwiz.simulate import SimulatedPolicy

__all__ = ["likelier", "picked", "said_share", "told"]


def likelier(belief: Belief) -> npt.NDArray[np.bool_]:
    """Return which cells are rather allowed than denied: what the user said, else what is believed."""
    said = belief.said.stated
    return np.where(abs(said) == 1, said == 1, belief.granted >= 0.5)


def told(layout: Layout, policy: SimulatedPolicy) -> float:
    """Return the share of right cells if each group's exact share is known for every item."""
    friends = np.array(layout.network.friends)
    answers = [
        Answer(item.id, tuple(friends[list(group)]), float(policy.allow[j, list(group)].mean()), each=False)
        for j, item in enumerate(layout.items)
        for group in layout.groups
    ]
    said = evidence([Entry("circle", tuple(answers))], [item.id for item in layout.items], layout.network.friends)
    return float((likelier(believe(layout, said)) == policy.allow).mean())


def picked(layout: Layout, policy: SimulatedPolicy, answers: Sequence[int]) -> list[float]:
    """Return the largest share of right cells after so many answers, where one who knows the policy picks the questions.

    An answer is about one item and one group, and truthful. Each is the one that makes the whole policy most likely.
    """
    n, model = layout.network.n, layout.model
    items, groups = (part.ravel() for part in np.indices((len(layout.items), len(layout.groups))))
    target_items, target_rows = (part.ravel() for part in np.indices((len(layout.items), n)))
    seen = [layout.seen_share(j, n + g, said_share(layout, g, policy.allow[j])) for j, g in zip(items, groups, strict=True)]
    value, noise = np.array(seen).T
    mean, target_mean = model.mean[items, n + groups].astype(float), model.mean[target_items, target_rows].astype(float)
    inside = prior_covariance(model, n + groups, items, n + groups, items)
    cross = prior_covariance(model, n + groups, items, target_rows, target_items)
    variance = prior_variance(model, target_rows, target_items)
    allow = policy.allow.ravel()
    sign, best, right = np.where(allow, 1, -1), 0.0, []
    for _ in range(max(answers)):
        total = inside.diagonal() + noise
        after = target_mean + ((value - mean) / total)[:, None] * cross
        likelihood = log_ndtr(sign * after / np.sqrt(PROBIT_VARIANCE + variance)).sum(axis=1)
        k = int(np.argmax(likelihood))
        target_mean = after[k]
        mean = mean + inside[k] * (value[k] - mean[k]) / total[k]
        variance = np.maximum(variance - np.square(cross[k]) / total[k], 0)
        cross = cross - (inside[k] / total[k])[:, None] * cross[k]
        inside = inside - np.outer(inside[k], inside[k]) / total[k]
        best = max(best, float(((target_mean >= 0) == allow).mean()))
        right.append(best)
    return [right[count - 1] for count in answers]


def said_share(layout: Layout, group: int, allow: npt.NDArray[np.bool_]) -> float:
    """Return the share that the right answer about a group stands for, never quite 0 or 1."""
    levels, cuts = (AUDIENCE_SHARES, AUDIENCE_CUTS) if group == layout.everybody else (CIRCLE_SHARES, CIRCLE_CUTS)
    share = tuple(levels.values())[int(np.searchsorted(cuts, allow[list(layout.groups[group])].mean()))]
    return min(max(share, 0.02), 0.98)

"""What is believed about the whole matrix: derived from network, circles, answers and prior, and never stored."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt

from privwiz.answers import Evidence, observe, share_noise, within_variance
from privwiz.calibration import Calibration
from privwiz.circles import Circle, Circles
from privwiz.covariance import LatentPrior, latent_prior
from privwiz.explain import explain, explain_untold
from privwiz.features import friend_features
from privwiz.graphs import EgoNetwork
from privwiz.groups import askable_groups
from privwiz.items import ProfileItem
from privwiz.naming import display_name
from privwiz.policy import Policy
from privwiz.posterior import LatentModel, Posterior, condition, predict, probability, share_shift
from privwiz.predictor import ItemPredictor, Known, predict_checked
from privwiz.prior import Prior
from privwiz.reasons import Reason, Reasons

__all__ = ["Belief", "Layout", "believe", "believe_classic", "lay_out"]

_DENIED = float(np.nextafter(0.5, 0))


@dataclass(frozen=True, eq=False)
class Layout:
    """What can be asked about, and the prior over it.

    Parameters
    ----------
    network : EgoNetwork
    found : Circles
        All circles of the network.
    items : tuple of ProfileItem, length J
    groups : tuple of tuple of int
        Positions of the members, sorted; group g is row n + g of the model. The circles come first, then everybody, then,
        sorted, other groups that answers are about.
    circles : tuple of Circle
        The circles, and groups of other kinds, that may be asked about: group c is circle c.
    latents : LatentPrior or LatentModel
        The prior over the latents of friends and groups.
    calibration : Calibration
    """

    network: EgoNetwork
    found: Circles
    items: tuple[ProfileItem, ...]
    groups: tuple[tuple[int, ...], ...]
    circles: tuple[Circle, ...]
    latents: LatentPrior | LatentModel
    calibration: Calibration

    @property
    def everybody(self) -> int | None:
        """Number of the group of all friends; None where they are too few to speak of an audience."""
        return len(self.circles) if self.network.n > 1 else None

    def fits(self, groups: Collection[tuple[int, ...]]) -> bool:
        """Whether `lay_out` would lay out just these groups, in this order: else equal answers could differ in the last bit."""
        standard = len(self.circles) + (self.network.n > 1)
        return self.groups[standard:] == tuple(sorted(set(groups).difference(self.groups[:standard])))

    @cached_property
    def members(self) -> Mapping[int, frozenset[int]]:
        """Row of each group -> positions of its members."""
        return {self.network.n + g: frozenset(group) for g, group in enumerate(self.groups)}

    @cached_property
    def model(self) -> LatentModel:
        """The prior over all rows: what the choice of questions needs."""
        return self.latents.of()

    @cached_property
    def spread(self) -> npt.NDArray[np.float64]:
        """Standard deviation of the members' latents around each row's, shape (R,); zero for a friend."""
        n = self.network.n
        within = [within_variance(self.latents.variance, np.array(group), n + g) for g, group in enumerate(self.groups)]
        return np.concatenate([np.zeros(n), np.sqrt(within)])

    @cached_property
    def noise(self) -> npt.NDArray[np.float64]:
        """Variance of a stated share in the middle as an observation of each row's latent, shape (R,); zero for a friend."""
        return np.where(self.spread > 0, share_noise(0.5, self.spread**2), 0)

    @cached_property
    def seen_share(self) -> Callable[[int, int, float], tuple[float, float]]:
        """Item, row and share -> the value and variance at which the row's latent is observed.

        Remembered, for all answers are read again after each.
        """
        n = self.network.n

        @cache
        def seen(item: int, row: int, share: float) -> tuple[float, float]:
            within = float(self.spread[row] ** 2)
            mean = self.latents.mean[item, np.array((row,) if row < n else self.groups[row - n])]
            return float(mean.mean()) + share_shift(share, mean, within), float(share_noise(share, within))

        return seen

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What people call the friends; the id is added to a name that several have."""
        names = [display_name(self.network, friend) for friend in self.network.friends]
        count = Counter(names)
        return tuple(
            name if count[name] == 1 else f"{name} ({friend})" for name, friend in zip(names, self.network.friends, strict=True)
        )

    @cached_property
    def circle_names(self) -> Mapping[tuple[int, ...], tuple[str, str]]:
        """Members of each group asked about and of each circle found -> its name in English and Chinese."""
        named = (*self.circles, *self.found.distinct())
        return {self.network.positions(group.members): (group.name, group.name_zh) for group in named}

    @cached_property
    def close(self) -> npt.NDArray[np.bool_]:
        """Whether two friends are tied or in one circle that was found among ties, shape (n, n); nobody is close to oneself."""
        return self.close_to(range(self.network.n))

    def close_to(self, friends: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Return the columns of `close` for some friends, shape (n, len(friends))."""
        whom = np.array(friends, np.intp)
        close = np.asarray(self.network.adjacency[:, whom].toarray() > 0)
        for circle, members in zip(self.circles, self.groups, strict=False):
            inside = np.flatnonzero(np.isin(whom, members)) if circle.level >= 0 else whom[:0]
            close[np.ix_(np.array(members), inside)] = True
        close[whom, np.arange(len(whom))] = False
        return close

    @cached_property
    def table(self) -> npt.NDArray[np.float64]:
        """What a classic classifier learns from: communities and attributes of each friend, shape (n, d)."""
        from privwiz.classifier import community_matrix

        return community_matrix(self.network, self.found)[1]


def lay_out(
    network: EgoNetwork, circles: Circles, prior: Prior, items: tuple[ProfileItem, ...], others: Collection[tuple[int, ...]] = ()
) -> Layout:
    """Choose what may be asked about (`privwiz.groups.askable_groups`), and compose the prior over items, friends and groups.

    Parameters
    ----------
    network : EgoNetwork
    circles : Circles
        Of this network.
    prior : Prior
    items : tuple of ProfileItem
    others : collection of tuple of int
        Groups that answers are about, sorted positions of two friends or more; in any order, and those that are laid out
        anyway among them.
    """
    chosen = askable_groups(network, circles)
    groups = [network.positions(circle.members) for circle in chosen]
    if network.n > 1:
        groups.append(tuple(range(network.n)))
    groups += sorted(set(others).difference(groups))
    latents = latent_prior(
        network,
        circles,
        friend_features(network, circles).values,
        prior,
        [item.id for item in items],
        [np.array(group, np.intp) for group in groups],
    )
    return Layout(network, circles, items, tuple(groups), chosen, latents, prior.calibration)


@dataclass(frozen=True, eq=False)
class Belief:
    """The state of knowledge after some answers.

    Parameters
    ----------
    layout : Layout
    said : Evidence
    probability : float array of shape (J, n)
        Of ``allow``, before the user's own answers overrule it.
    model : LatentModel or None
        The prior with the rows that were observed.
    posterior : Posterior or None
        Both are None where a classic classifier, or another `ItemPredictor`, predicts.
    worth : float array of shape (J, n), optional
        What asking a cell is worth, where such a predictor says so; see `privwiz.predictor.Prediction`.
    """

    layout: Layout
    said: Evidence
    probability: npt.NDArray[np.float64]
    model: LatentModel | None
    posterior: Posterior | None
    worth: npt.NDArray[np.float64] | None = None

    @cached_property
    def granted(self) -> npt.NDArray[np.float64]:
        """Probability of ``allow``, shape (J, n), such that no cell is allowed by inference that the user has closed.

        Whoever is in a group of which the user said that nobody may see the item has less than a half: it is denied, and not
        asked about again.
        """
        return np.where(self.said.closed, np.minimum(self.probability, _DENIED), self.probability)

    @cached_property
    def doubt(self) -> npt.NDArray[np.float64]:
        """Probability that the likelier of allow and deny is wrong, shape (J, n); zero where the user has said."""
        return np.where(self.said.stated != 0, 0, np.minimum(self.probability, 1 - self.probability))

    def policy(self, friends: Sequence[int] | None = None) -> Policy:
        """Set every cell, with its reason; if only the cells of some ``friends`` will be looked at, faster."""
        layout, said = self.layout, self.said

        @cache
        def found() -> Reasons:
            if self.model is None or self.posterior is None:
                return explain_untold(layout.items, layout.names)
            close = layout.close if friends is None else layout.close_to(friends)
            return explain(self.model, self.posterior, said, layout.items, layout.names, layout.circle_names, close, friends)

        def reasons(item: int, friend: int) -> Reason:
            return found()(item, friend)

        return Policy(layout.network.ego, layout.items, layout.network.friends, self.granted, said.stated, reasons, layout.names)


def believe_classic(layout: Layout, said: Evidence, predictor: ItemPredictor) -> Belief:
    """Learn by another model than the library's own: from what was said of single cells, and the prior's rate of each item."""
    n = layout.network.n
    rate = probability(layout.latents.mean[:, :n], np.zeros(1)).mean(axis=1) if n else np.full(len(layout.items), 0.5)
    known = Known(layout.network, layout.table, said.stated, _order(said), rate.astype(np.float64))
    predicted = predict_checked(predictor, known)
    return Belief(layout, said, predicted.probability, None, None, predicted.worth)


def _order(said: Evidence) -> npt.NDArray[np.intp]:
    """Item and friend of each cell stated as allow or deny, as they were last said, shape (K, 2)."""
    cells = [(item, friend) for item, members, _, each in said.answers if each for friend in members]
    latest = reversed(dict.fromkeys(reversed(cells)))
    return np.array([cell for cell in latest if abs(said.stated[cell]) == 1], np.intp).reshape(-1, 2)


def believe(layout: Layout, said: Evidence) -> Belief:
    """Learn from the answers by the Gaussian process.

    Parameters
    ----------
    layout : Layout
        Has a row for each of ``said.groups``.
    said : Evidence
    """
    n = layout.network.n
    row_of = {group: n + g for g, group in enumerate(layout.groups)}
    observations = observe(said, row_of, layout.seen_share)
    model = layout.latents.of(np.unique(observations.row))
    posterior = condition(model, observations)
    mean, variance = predict(model, posterior, np.arange(n))
    chance = layout.calibration.apply(probability(mean, variance), len(observations))
    return Belief(layout, said, chance, model, posterior)

"""What is compared: every way to play, in the words of the page of results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from efficiency.oracle import Oracle
from efficiency.people import Person
from privwiz.calibration import Calibration
from privwiz.classifier import classic_classifier, item_predictor
from privwiz.items import CATALOGUE, ProfileItem
from privwiz.predictor import ItemPredictor, Known, Prediction
from privwiz.prior import KernelScales, Prior
from privwiz.rivals import RIVALS, majority
from privwiz.simulated_user import Habits
from privwiz.wizard import Wizard

__all__ = ["ITEM_METHODS", "MATRIX_METHODS", "METHODS", "ROLES", "SCORED_ITEMS", "Method", "independent_items", "make_wizard"]

SCORED_ITEMS = CATALOGUE[::2]
"""The items that are asked about one by one in the budget "item"."""

_FOREST_SCREENS = (5, 10)
_FEW_POINTS = MappingProxyType({"screens": (1, 2, 3, 5, 10, 20)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way to play.

    Parameters
    ----------
    text : str
        What it is.
    group : str
        Methods of one group are one job.
    kinds : tuple of str
        Kinds of screens that may be asked; the wizard's default where empty.
    prior : str
        ``"trained"`` on other egos, ``"flat"``, ``"default"``, or ``"independent"``: trained, and items have nothing in common.
    classifier : str or ItemPredictor
    strategy : str
    habits : Habits
        Of the simulated user.
    draws : int
        At most so many policies of each network are played.
    points : mapping of str to tuple of int, optional
        Checkpoints, where not those of the budget.
    oracle : bool
        Whether it is told the real circles.
    variant : bool
        Whether it is the wizard with something left out or changed, and so no rival.
    """

    text: str
    group: str
    kinds: tuple[str, ...] = ()
    prior: str = "trained"
    classifier: Any = "gp"
    strategy: str = "expected-error"
    habits: Habits = field(default_factory=Habits)
    draws: int = 99
    points: Mapping[str, tuple[int, ...]] | None = None
    oracle: bool = False
    variant: bool = False


def _forest(known: Known, seed: int = 0) -> Prediction:
    """Predict by a random forest after so many friends; by the majority in between, where nobody looks."""
    friends = int((known.stated != 0).any(axis=0).sum())
    predictor: ItemPredictor = item_predictor(classic_classifier("forest", seed)) if friends in _FOREST_SCREENS else majority
    return predictor(known)


_OURS = Method(
    text="The wizard: audience, then whichever screen of circles, items or friends has the largest expected gain.",
    group="privwiz",
)
_VARIANT = replace(_OURS, variant=True, group="variants", draws=1, points=_FEW_POINTS)
_FRIENDS = Method(text="", group="classic", kinds=("friend",), classifier="tree", strategy="uncertainty")
_CELLS = replace(_FRIENDS, kinds=("cell",))
_TABLE = "on communities and attributes; friends drawn by chance."
_CLASSIC = {
    "naive-bayes": f"Naive Bayes {_TABLE}",
    "knn": f"Five nearest neighbours {_TABLE}",
    "logistic": f"Logistic regression {_TABLE}",
}

MATRIX_METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "privwiz": _OURS,
        "privwiz, no prior": replace(_OURS, prior="flat", text="The same without trained prior, chosen scales and calibration."),
        "privwiz, default prior": replace(_VARIANT, prior="default", text="With the shipped prior, trained on invented people."),
        "privwiz, 15 % overlooked": replace(
            _VARIANT, habits=Habits(overlook=0.15), text="With a user who overlooks 15 % of the wrong guesses."
        ),
        "privwiz, random screens": replace(_VARIANT, strategy="random", text="Audience, then any screen."),
        "privwiz, uncertain screens": replace(_VARIANT, strategy="uncertainty", text="Audience, then the screen most in doubt."),
        "privwiz, audience + friend": replace(_VARIANT, kinds=("audience", "friend"), text="These screens only."),
        "privwiz, audience + circle": replace(_VARIANT, kinds=("audience", "circle"), text="These screens only."),
        "privwiz, audience + item": replace(
            _VARIANT, kinds=("audience", "item"), text="Audience, then one item for several circles."
        ),
        "privwiz, audience + cell": replace(
            _VARIANT, kinds=("audience", "cell"), text="Audience, then one friend and one item at a time."
        ),
        "privwiz, audience + circles": replace(
            _VARIANT, kinds=("audience", "circles"), text="Audience, then a few circles at once, for each what tells most."
        ),
        "privwiz, no mixed screens": replace(
            _VARIANT, kinds=("audience", "circle", "item", "friend"), text="All kinds but that of a few circles at once."
        ),
        "privwiz, no audience": replace(_VARIANT, kinds=("circle", "circles", "item", "friend"), text="All other screens."),
        "audience only": replace(
            _OURS, variant=True, kinds=("audience",), text="The wizard after one screen about all friends, and no other."
        ),
        "GP per item, audience + friend": replace(
            _OURS,
            group="gp",
            kinds=("audience", "friend"),
            prior="independent",
            text="A Gaussian process for each item by itself, trained prior, not calibrated; audience, then friends by gain.",
        ),
        "2010 wizard, friend screens": replace(
            _FRIENDS,
            group="2010",
            text="Decision tree on communities and attributes, uncertainty sampling; screens of one friend and all items.",
        ),
        "2010 wizard, random friends": replace(
            _FRIENDS, group="2010", strategy="random", text="The same tree; friends drawn by chance."
        ),
        "2010 wizard, single cells": replace(
            _CELLS, group="2010", draws=1, text="The same tree, uncertainty sampling; one friend and one item at a time."
        ),
        **{
            name: replace(_FRIENDS, classifier=name, strategy="random", draws=1, points=_FEW_POINTS, text=text)
            for name, text in _CLASSIC.items()
        },
        "forest": replace(
            _FRIENDS,
            group="forest",
            classifier=_forest,
            strategy="random",
            draws=1,
            points=MappingProxyType({"screens": _FOREST_SCREENS}),
            text=f"Random forest {_TABLE} It is slow: fitted after 5 and 10 screens; in between, the guesses shown are "
            "the majority's.",
        ),
        "label-propagation": replace(
            _FRIENDS,
            group="propagation",
            classifier=RIVALS["label-propagation"],
            text="Harmonic function over ties and profiles; uncertainty sampling of screens, single friends by chance.",
        ),
        "collaborative-propagation": replace(
            _FRIENDS,
            group="propagation",
            classifier=RIVALS["collaborative-propagation"],
            text="The same with other users' rates, choosing by expected risk, in the spirit of Shehab et al. (2016).",
        ),
        "majority": replace(
            _FRIENDS, classifier=RIVALS["majority"], strategy="random", text="The share allowed so far, for everybody."
        ),
        "repeat-last": replace(
            _FRIENDS, classifier=RIVALS["repeat-last"], strategy="random", text="The last answer about the item, for everybody."
        ),
        "oracle: real circles": replace(
            _OURS, group="oracle", oracle=True, text="The wizard, told the hand-made circles that the policies were drawn from."
        ),
    }
)
"""Name -> method, where screens are about all items together."""

_ONE = replace(_OURS, kinds=("audience", "circle", "cell"), text="Asked about one item: its audience, circles, single friends.")
ITEM_METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "privwiz": _ONE,
        "privwiz, single friends": replace(_ONE, draws=1, kinds=("audience", "cell"), text="Audience, then single friends."),
        "privwiz, no prior": replace(_ONE, prior="flat", text="The same without trained prior, chosen scales and calibration."),
        "2010 wizard": replace(_CELLS, group="2010", text="Decision tree on communities and attributes, uncertainty sampling."),
        "2010 wizard, random": replace(
            _CELLS, group="2010", strategy="random", draws=1, text="The same tree; friends drawn by chance."
        ),
        "logistic": replace(_CELLS, classifier="logistic", strategy="random"),
        "naive-bayes": replace(_CELLS, classifier="naive-bayes", strategy="random", draws=1),
        "knn": replace(_CELLS, classifier="knn", strategy="random", draws=1),
        "label-propagation": replace(_CELLS, group="propagation", classifier=RIVALS["label-propagation"], strategy="random"),
        "collaborative-propagation": replace(
            _CELLS, group="propagation", classifier=RIVALS["collaborative-propagation"], draws=1
        ),
        "majority": replace(_CELLS, classifier=RIVALS["majority"], strategy="random", draws=1),
        "repeat-last": replace(_CELLS, classifier=RIVALS["repeat-last"], strategy="random", draws=1),
    }
)
"""Name -> method, where one item is asked about by itself; a text that is not here is that of `MATRIX_METHODS`."""

METHODS: Mapping[str, Mapping[str, Method]] = MappingProxyType({"matrix": MATRIX_METHODS, "item": ITEM_METHODS})
"""Budget -> its methods."""

ROLES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "matrix": {
            "ours": "privwiz",
            "rival": "2010 wizard, friend screens",
            "gp_rival": "GP per item, audience + friend",
            "no_prior": "privwiz, no prior",
            "oracle": "oracle: real circles",
        },
        "item": {"ours": "privwiz", "rival": "2010 wizard", "no_prior": "privwiz, no prior"},
    }
)
"""Budget -> what a method is on the page of results -> method."""


def make_wizard(method: Method, person: Person, items: Sequence[ProfileItem], trained: Prior, seed: int) -> Wizard:
    """Return the wizard of a method, before any answer."""
    prior = _prior(method.prior, trained)
    if method.oracle:
        return Oracle(person.network, items, prior, seed, circles=person.circles, real=person.real_circles)
    classifier = partial(_forest, seed=seed) if method.classifier is _forest else method.classifier
    return Wizard(person.network, items, prior, seed, classifier=classifier, strategy=method.strategy, circles=person.circles)


def _prior(kind: str, trained: Prior) -> Prior:
    if kind == "flat":
        return Prior.flat()
    if kind == "default":
        return Prior.default()
    if kind == "independent":
        return replace(trained, scales=independent_items(trained.scales), calibration=Calibration())
    return trained


def independent_items(scales: KernelScales) -> KernelScales:
    """Return scales with which items have nothing in common, each as variable as before but for the trust in the mean."""
    parts = ("level", "alike", "linear", "independent")
    own = {name: getattr(scales, name) + getattr(scales, f"shared_{name}") for name in parts}
    return replace(scales, **own, **{f"shared_{name}": 0.0 for name in parts}, trust=0.0)

"""The wizard: asks, listens, and sets the rest. The one stateful object of the library; what an SNS backend embeds."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from privwiz.answers import CELL_CHOICES, UNSURE, Answer, Entry, evidence, standing
from privwiz.asking import LEAST_GAIN, STRATEGIES, Strategy, ask
from privwiz.belief import Belief, Layout, believe, believe_classic, lay_out
from privwiz.circles import Circle, Circles, assign_friend, find_circles
from privwiz.corrections import Correction, apply_corrections
from privwiz.decisions import Decision
from privwiz.errors import DataError, UnknownItem
from privwiz.graphs import EgoNetwork
from privwiz.items import ProfileItem, profile_items
from privwiz.policy import Policy, Suggestion
from privwiz.predictor import ItemPredictor
from privwiz.prior import Prior
from privwiz.screens import KINDS, Screen
from privwiz.sessions import CUSTOM, Session, fingerprint, read_session, write_session

__all__ = ["Progress", "Wizard"]

T = TypeVar("T")

DEFAULT_KINDS = ("audience", "circle", "circles", "item", "friend")
"""What is asked unless the caller says otherwise: single cells cost a screen each and tell least."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the wizard has come.

    Parameters
    ----------
    screens : int
        Screens the user has left behind (confirmed or skipped), not counting retracted ones.
    decided : int
        Cells that are ``allow`` or ``deny``.
    cells : int
        All cells.
    expected_wrong : float
        Cells whose likelier value is expected to be the wrong one.
    """

    screens: int
    decided: int
    cells: int
    expected_wrong: float


class Wizard:
    """Set one user's whole access-control matrix from a few answers.

    Its state is the network, the circles found in it and corrected by the user, and the log of answers; all else is computed from
    these, and equal states give equal policies. It is not safe to share between threads without a lock.

    Parameters
    ----------
    network : EgoNetwork
    items : sequence of str or ProfileItem, optional
        What to protect; the whole catalogue unless given.
    prior : Prior, optional
        What is known beforehand; `Prior.default` unless given.
    seed : int
        Decides what is drawn by chance: circles, and which friends are considered for the next screen.
    classifier : str, scikit-learn classifier or ItemPredictor
        ``"gp"``, the library's own model, which alone understands screens about groups; or one of ``"tree"`` (with
        ``strategy="uncertainty"`` the published wizard of 2010), ``"logistic"``, ``"naive-bayes"``, ``"knn"``, ``"forest"``;
        or any scikit-learn classifier with ``predict_proba``; or a function as `privwiz.predictor.ItemPredictor` describes,
        such as those of `privwiz.rivals`. What is said below of classic classifiers holds for all but ``"gp"``.
    strategy : str
        How the next screen is chosen: ``"expected-error"``, or the baselines ``"uncertainty"`` and ``"random"``. A classic
        classifier cannot tell what an answer would gain: there ``"expected-error"`` is ``"uncertainty"``, and both are the
        choice of the predictor's own where it has one.
    circles : Circles, optional
        Circles of this network found before, such as the user's corrected ones.
    log : iterable of Entry
        What the user has said and retracted before, in order.

    Raises
    ------
    DataError
        If items, seed, classifier, strategy or circles cannot be used.

    Examples
    --------
    >>> import networkx as nx
    >>> from privwiz import Wizard, ego_network
    >>> wizard = Wizard(ego_network(nx.karate_club_graph(), 0), items=["phone", "photos"], seed=0)
    >>> screen = wizard.next_screen()
    >>> screen.kind, screen.toggles[0].text("en")
    ('audience', 'How many of your friends may see your phone number?')
    >>> wizard.answer(screen, ["few", "everybody"])
    >>> wizard.label("photos", "5", "deny")
    >>> wizard.policy()["photos", "5"].decision.value
    'deny'
    """

    def __init__(
        self,
        network: EgoNetwork,
        items: Sequence[str | ProfileItem] | None = None,
        prior: Prior | None = None,
        seed: int = 0,
        *,
        classifier: Any = "gp",
        strategy: Strategy = "expected-error",
        circles: Circles | None = None,
        log: Iterable[Entry] = (),
    ) -> None:
        if not isinstance(network, EgoNetwork):
            raise DataError(f"the network is a {type(network).__name__}; make an EgoNetwork of it with ego_network(graph, user)")
        if not isinstance(prior, Prior | None):
            raise DataError(f"the prior is a {type(prior).__name__}; give what Prior.load or Prior.default returns")
        if strategy not in STRATEGIES:
            raise DataError(f"strategy {strategy!r} is not known; choose one of {', '.join(STRATEGIES)}")
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise DataError(f"seed {seed!r} cannot be used; give a whole number from 0 up")
        if circles is not None and circles.friends != network.friends:
            raise DataError("the circles are of other friends than the network; find the circles of this network")
        self._items = profile_items(None if items is None else tuple(_several("items", items)))
        self._prior = Prior.default() if prior is None else prior
        self._seed = seed
        self._classifier_name, self._classifier = _resolve_classifier(classifier, seed)
        self._strategy = strategy
        self._network = network
        self._circles = find_circles(network, seed=seed) if circles is None else circles
        self._log = list(log)
        self._corrections: list[Correction] = []
        self._layout: Layout | None = None
        self._belief: Belief | None = None

    @property
    def network(self) -> EgoNetwork:
        """The user's friends, as they are now."""
        return self._network

    @property
    def circles(self) -> Circles:
        """The circles found in the network, as the user has corrected them."""
        return self._circles

    @property
    def corrections(self) -> tuple[Correction, ...]:
        """Everything the user has said of the circles, in order."""
        return tuple(self._corrections)

    @property
    def items(self) -> tuple[ProfileItem, ...]:
        """What is protected."""
        return self._items

    @property
    def log(self) -> tuple[Entry, ...]:
        """Everything the user has said and retracted, in order."""
        return tuple(self._log)

    def fork(self) -> "Wizard":
        """Return a wizard of the same state that goes its own way; what was computed so far is shared, not computed again."""
        fork = copy(self)
        vars(fork).update(vars(self), _log=list(self._log), _corrections=list(self._corrections))
        return fork

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle is made from: the state, without what is computed from it."""
        return vars(self) | {"_layout": None, "_belief": None}

    def replay(self, entries: Iterable[Entry]) -> None:
        """Go on with what the user has said elsewhere, such as entries of the log of another wizard that was in this state."""
        for entry in entries:
            self._append(entry)

    def next_screen(
        self, kinds: Iterable[str] | None = None, items: Iterable[str] | None = None, *, least_gain: float = LEAST_GAIN
    ) -> Screen | None:
        """Return what to ask next; None when more would not pay.

        The state does not change: asking twice gives the same screen. No toggle is shown again once its screen has been
        answered or skipped, unless that is undone, or its circle has new members.

        Parameters
        ----------
        kinds : iterable of str, optional
            Of ``"audience"``, ``"circle"``, ``"circles"``, ``"item"``, ``"friend"``, ``"cell"``; all but ``"cell"`` unless given.
            A classic classifier asks about friends and cells only.
        items : iterable of str, optional
            Ask about these only; all unless given.
        least_gain : float
            The stopping rule: a screen pays when it is expected to set right at least this many cells per unit of effort (a
            screen, or a toggle that has to be changed); with the default of 0.8, when answering it beats correcting cells in
            the result one by one, each of which takes a tap, and a look to find it. With 0 the wizard asks as long as there
            is anything to ask, and so it does with the baseline strategies and the classic classifiers, for which no gain is
            known. The audience is asked in any case.

        Returns
        -------
        Screen or None
            None when nothing pays, or nothing is left to ask.

        Raises
        ------
        DataError
            For a kind that is not known, or no kind or no item at all.
        UnknownItem
            For an item that this wizard does not protect.
        """
        wanted = set(DEFAULT_KINDS if kinds is None else _several("kinds", kinds))
        if not wanted or wanted - set(KINDS):
            raise DataError(f"kinds {sorted(wanted)} cannot be used; choose from {', '.join(KINDS)}")
        if self._classifier is not None:
            wanted &= {"friend", "cell"}
        chosen = [item.id for item in self._items] if items is None else _several("items", items)
        positions = sorted({self._item_position(item) for item in chosen})
        if not positions:
            raise DataError("no items to ask about; name at least one, or leave `items` out")
        if not self._network.n:
            return None
        return ask(self.belief(), wanted, positions, self._strategy, least_gain, len(self._log), self._seed)

    def answer(self, screen: Screen, answers: Sequence[str | float | None]) -> None:
        """Confirm a screen.

        Parameters
        ----------
        screen : Screen
            As `next_screen` gave it.
        answers : sequence
            One per toggle: one of its choices; ``"allow"`` or ``"deny"`` for most of a circle; a share 0..1, or nobody, few,
            half, most, everybody, for an audience; ``"unsure"`` where the user does not know; None where nothing was said. See
            `privwiz.screens.Toggle.read`.

        Raises
        ------
        DataError
            If there are more or fewer answers than toggles, an answer is not one of the choices, or the screen has been
            overtaken: something else was answered or undone, or one of its friends was removed, since it was made. Nothing is
            recorded then.
        UnknownItem
            If the screen is of a wizard with other items. Nothing is recorded then.
        """
        gone = {friend for toggle in screen.toggles for friend in toggle.friends} - set(self._network.friends)
        if screen.position != len(self._log) or gone:
            raise DataError(
                "this screen is out of date: an answer or the network changed after it was made; ask for the next screen"
            )
        given = tuple(_several("answers", answers))
        if len(given) != len(screen.toggles):
            raise DataError(f"answers needed: {len(screen.toggles)}, one for each toggle; given: {len(given)}; None says nothing")
        for toggle in screen.toggles:
            self._item_position(toggle.item)
        said = (
            Answer(toggle.item, toggle.friends, toggle.read(value), toggle.choices == CELL_CHOICES)
            for toggle, value in zip(screen.toggles, given, strict=True)
        )
        self._append(Entry(screen.kind, tuple(said)))

    def skip(self, screen: Screen) -> None:
        """Leave a screen without an answer; none of its toggles is shown again. Raises the errors of `answer`."""
        self.answer(screen, [None] * len(screen.toggles))

    def label(self, item: str, friend: str | Circle | Iterable[str], decision: str | Decision) -> None:
        """Record the user's own choice, unasked: it holds for a friend, or everybody now in a circle, whatever the model thinks.

        Parameters
        ----------
        item : str
        friend : str, Circle or iterable of str
            A friend; a circle; or several friends.
        decision : str or Decision
            ``"allow"``, ``"deny"``, or ``"unsure"`` (also ``"ask"``) to leave it open and hidden.

        Raises
        ------
        UnknownItem
            If the wizard does not protect the item. Nothing is recorded then, nor in the other cases.
        UnknownFriend
            If one of them is not a friend.
        DataError
            If the decision is another, or nobody is named.
        """
        self._item_position(item)
        if isinstance(friend, Circle):
            friends = friend.members
        else:
            friends = (friend,) if isinstance(friend, str) or not isinstance(friend, Iterable) else tuple(friend)
        for one in friends:
            self._network.index(one)
        value = UNSURE if decision == Decision.ASK else str(decision)
        self._append(Entry("label", (Answer(item, tuple(dict.fromkeys(friends)), value, each=True),)))

    def undo(self) -> Entry | None:
        """Retract the last screen or choice that still stands, and return it; None when there is none. The log keeps both."""
        kept = standing(self._log)
        if not kept:
            return None
        self._append(Entry("undo"))
        return kept[-1]

    def correct(self, correction: Correction) -> None:
        """Correct a circle: what is shown, asked and learnt follows at once, and it holds as friends come and go.

        A correction is taken back by a later one. Answers about the people of a circle stand, whatever becomes of the circle.

        Parameters
        ----------
        correction : Correction
            See `privwiz.corrections`.

        Raises
        ------
        DataError, UnknownFriend
            As `privwiz.corrections.apply_corrections`; nothing changes then.
        """
        self._circles = apply_corrections(self._circles, self._network, [correction])
        self._corrections.append(correction)
        self._forget()

    def policy(self) -> Policy:
        """Set every item for every friend, with reasons. Nothing is granted by it until the user accepts it."""
        return self.belief().policy()

    def progress(self) -> Progress:
        """Say how much is done and how much is left."""
        belief = self.belief()
        policy = belief.policy()
        decided = sum(policy.counts(item.id)[decision] for item in self._items for decision in (Decision.ALLOW, Decision.DENY))
        screens = sum(entry.kind != "label" for entry in standing(self._log))
        return Progress(screens, decided, len(policy), float(belief.doubt.sum()))

    def add_friend(
        self,
        friend: str,
        ties: Iterable[str] | Mapping[str, float] = (),
        profile: Mapping[str, object] | None = None,
        weight: float | None = None,
    ) -> dict[str, Suggestion]:
        """Add a friend, assign it to circles by its ties, and suggest a setting for every item.

        Parameters
        ----------
        friend : str
            Must not be a friend yet.
        ties : iterable of str, or mapping str -> float
            Friends it is tied to, with the strength of each tie in a weighted network.
        profile : mapping, optional
            Field -> a value or several.
        weight : float, optional
            Strength of the tie between user and friend.

        Returns
        -------
        dict
            Item -> Suggestion.

        Raises
        ------
        DataError, UnknownFriend
            Nothing changes then.
        """
        network = self._network.with_friend(friend, ties, profile, weight)
        self._circles = assign_friend(self._circles, network, friend)
        self._network = network
        self._forget()
        policy = self.belief().policy([network.index(friend)])
        return {item.id: policy[item.id, friend] for item in self._items}

    def remove_friend(self, friend: str) -> None:
        """Remove a friend. Answers about it stay in the log and do not count, unless the same friend is added again.

        Raises
        ------
        UnknownFriend
            Nothing changes then.
        """
        network = self._network.without_friend(friend)
        self._circles = find_circles(network, seed=self._seed, previous=self._circles)
        self._network = network
        self._forget()

    def find_circles_again(self) -> None:
        """Extract the circles anew from today's network, starting from the present ones, whose ids stay; corrections hold."""
        self._circles = find_circles(self._network, seed=self._seed, previous=self._circles)
        self._forget()

    def belief(self) -> Belief:
        """What is believed about every cell now; computed when first needed after a change."""
        if self._belief is None:
            said = evidence(self._log, [item.id for item in self._items], self._network.friends)
            if self._layout is None or not self._layout.fits(said.groups):
                self._layout = lay_out(self._network, self._circles, self._prior, self._items, said.groups)
            if self._classifier is None:
                self._belief = believe(self._layout, said)
            else:
                self._belief = believe_classic(self._layout, said, self._classifier)
        return self._belief

    def to_json(self) -> str:
        """Write the state: items, seed, circles, corrections, log, and which prior and classifier it is for; not the network."""
        return write_session(
            Session(
                ego=self._network.ego,
                items=self._items,
                seed=self._seed,
                strategy=self._strategy,
                classifier=self._classifier_name,
                prior=fingerprint(self._prior),
                circles=self._circles.to_dict(),
                log=tuple(self._log),
                corrections=tuple(self._corrections),
            )
        )

    @classmethod
    def from_json(cls, text: str, network: EgoNetwork, prior: Prior | None = None, *, classifier: Any = None) -> "Wizard":
        """Restore what `to_json` wrote, for the same network.

        Where friends have joined or left since, the circles are extracted anew from those written.

        Parameters
        ----------
        text : str
        network : EgoNetwork
            Of the same user.
        prior : Prior, optional
            The same as before.
        classifier : scikit-learn classifier or ItemPredictor, optional
            The same as before where it was one of the caller's own; else None.

        Raises
        ------
        DataError
            If the text is damaged, of another version, of another user, or was written with another prior or classifier.
        """
        session = read_session(text)
        if session.ego != network.ego:
            raise DataError(
                f"these answers are of user {session.ego!r}, the network is of {network.ego!r}; give that user's network"
            )
        given = Prior.default() if prior is None else prior
        if session.prior != fingerprint(given):
            raise DataError("these answers were given with another prior; pass the same prior as before")
        if session.classifier == CUSTOM and classifier is None:
            raise DataError("these answers were given with a classifier of your own; pass it again as `classifier`")
        if session.classifier != CUSTOM and classifier is not None:
            raise DataError(f"these answers were given with the classifier {session.classifier!r}; leave `classifier` out")
        wizard = cls(
            network,
            session.items,
            given,
            session.seed,
            classifier=session.classifier if classifier is None else classifier,
            strategy=cast("Strategy", session.strategy),
            circles=_restore_circles(session.circles, network, session.seed),
            log=session.log,
        )
        wizard._corrections = list(session.corrections)
        return wizard

    def _append(self, entry: Entry) -> None:
        self._log.append(entry)
        self._belief = None

    def _forget(self) -> None:
        self._layout = None
        self._belief = None

    def _item_position(self, item: str) -> int:
        ids = tuple(known.id for known in self._items)
        if item not in ids:
            raise UnknownItem(item, ids)
        return ids.index(item)


def _several(what: str, values: Iterable[T]) -> Iterable[T]:
    """Return ``values``; a text, whose letters would be taken for them, is refused."""
    if isinstance(values, str):
        raise DataError(f"{what} are the text {values!r}; give a list, such as [{values!r}]")
    return values


def _resolve_classifier(classifier: Any, seed: int) -> tuple[str, ItemPredictor | None]:
    """Return the name that is stored and the predictor, which is None for the library's own model."""
    if isinstance(classifier, str) and classifier == "gp":
        return "gp", None
    from privwiz.classifier import check_classifier, classic_classifier, item_predictor

    if isinstance(classifier, str):
        return classifier, item_predictor(classic_classifier(classifier, seed))
    if callable(classifier) and not isinstance(classifier, type):
        return CUSTOM, classifier
    check_classifier(classifier)
    return CUSTOM, item_predictor(classifier)


def _restore_circles(data: Mapping[str, Any], network: EgoNetwork, seed: int) -> Circles:
    circles = Circles.from_dict(data)
    return circles if circles.friends == network.friends else find_circles(network, seed=seed, previous=circles)

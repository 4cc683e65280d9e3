"""One user among many: a network and what the user answered in, the whole access-control matrix out."""

import hashlib
import json
import marshal
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from operator import attrgetter
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from privwiz.answers import UNSURE, Answer, Entry, evidence
from privwiz.belief import Layout, believe
from privwiz.circles import RESOLUTIONS, Circles
from privwiz.communities import leiden
from privwiz.covariance import latent_prior
from privwiz.decisions import Decision, decide_numbers
from privwiz.errors import DataError, PrivwizError
from privwiz.features import friend_features
from privwiz.graphs import EgoNetwork
from privwiz.items import ProfileItem, is_among
from privwiz.network_store import Said
from privwiz.prior import Prior
from privwiz.rejected import NO_FRIEND
from privwiz.sessions import fingerprint
from privwiz.wizard import Wizard

__all__ = [
    "MOST_FRIENDS",
    "Case",
    "Labelled",
    "Labelling",
    "Outcome",
    "case_fingerprint",
    "case_log",
    "judge_case",
    "label_case",
    "network_fingerprint",
]

Case: TypeAlias = Callable[[], tuple[EgoNetwork, Sequence[Said]]]
"""Returns the network of a user and what the user answered: a callable, so that what is wrong with them is the user's error."""

MOST_FRIENDS = 3000
"""Users with more friends are not labelled: their covariances would not fit into the memory of a worker."""

_SAME = "says again what an earlier row says"
_NO_ITEM = "names something that is not among the items"


@dataclass(frozen=True, eq=False)
class Labelling:
    """How users are labelled: the same for all of a run.

    Parameters
    ----------
    items : tuple of ProfileItem, length J
    prior : Prior
    seed : int
    reasons : {"en", "zh"} or None
        The language of the reasons; None for none, which is several times faster.
    most_friends : int
        Users with more are refused.
    """

    items: tuple[ProfileItem, ...]
    prior: Prior
    seed: int = 0
    reasons: str | None = None
    most_friends: int = MOST_FRIENDS

    @cached_property
    def fingerprint(self) -> str:
        """A digest that differs wherever policies may differ, as between two versions of this library."""
        settings = [fingerprint(self.prior), [asdict(item) for item in self.items], self.seed, self.reasons, self.most_friends]
        settings.append(version("privwiz"))
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Labelled:
    """The policy of one user.

    Parameters
    ----------
    ego : str
    friends : tuple of str, length n
    probability : float64 array of shape (J, n)
        That the user would allow the cell.
    decisions : int8 array of shape (J, n)
        Positions in `privwiz.decisions.DECIDED`.
    reasons : tuple of str, length J n, or None
        Item by item.
    rejected : tuple of (Said, str)
        Answers that did not count, and why.
    """

    ego: str
    friends: tuple[str, ...]
    probability: npt.NDArray[np.float64]
    decisions: npt.NDArray[np.int8]
    reasons: tuple[str, ...] | None
    rejected: tuple[tuple[Said, str], ...]

    def among(self, friends: Collection[str]) -> "Labelled":
        """Return the part of the policy that is about these friends."""
        kept = [i for i, friend in enumerate(self.friends) if friend in friends]
        n = len(self.friends)
        return Labelled(
            self.ego,
            tuple(self.friends[i] for i in kept),
            self.probability[:, kept],
            self.decisions[:, kept],
            None if self.reasons is None else tuple(self.reasons[j * n + i] for j in range(len(self.decisions)) for i in kept),
            self.rejected,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one user.

    Parameters
    ----------
    user : str
    status : str
        ``"labelled"``, ``"unchanged"`` since an earlier run, or ``"failed"``.
    friends, answers : int
    fingerprint : str
        A digest of all that the policy depends on; empty where there is no policy.
    error : str
        Why there is no policy; else empty.
    """

    user: str
    status: str
    friends: int
    answers: int
    fingerprint: str
    error: str = ""


def judge_case(
    user: str,
    friends: int,
    case: Case,
    labelling: Labelling,
    before: str = "",
) -> tuple[Outcome, Labelled | None]:
    """Label one user if need be, whatever is wrong with it.

    Parameters
    ----------
    user : str
    friends : int
        How many there are: with too many, the case is not looked at.
    case : callable
        Returns network and answers.
    labelling : Labelling
    before : str
        The fingerprint of the user in an earlier run: where it is the same, nothing is done.
    """
    answers = 0
    try:
        network, said = _within(labelling, friends, case)
        answers, digest = len(said), case_fingerprint(network, said, labelling)
        if digest == before:
            return Outcome(user, "unchanged", friends, answers, digest), None
        return Outcome(user, "labelled", friends, answers, digest), label_case(network, said, labelling)
    except PrivwizError as error:
        wrong = str(error)
    except Exception as error:  # noqa: BLE001 - one user's failure, whatever it is, is no reason to leave a million others
        wrong = f"a fault of privwiz, please report it: {type(error).__name__}: {error}"
    return Outcome(user, "failed", friends, answers, "", wrong), None


def label_case(network: EgoNetwork, said: Iterable[Said], labelling: Labelling) -> Labelled:
    """Set the whole matrix of one user.

    Equal to what a `privwiz.Wizard` of the same network, prior and seed says after `label` of every answer, sorted by item and
    friend. Without reasons, circles need no names and nothing is laid out that could be asked about.

    Raises
    ------
    DataError
        If the user contradicts itself, a decision is not known, or something is hidden from somebody who is not in the graph:
        such a user gets no policy, for leaving the answer out could show what it hides.
    UnknownItem
        If an answer names an item that is neither among those of the run nor in the catalogue, for the same reason.
    """
    log, rejected = case_log(network, said, labelling.items)
    items, prior, seed = labelling.items, labelling.prior, labelling.seed
    if labelling.reasons is not None:
        wizard = Wizard(network, items, prior, seed)
        for entry in log:
            (answer,) = entry.answers
            wizard.label(answer.item, answer.friends[0], str(answer.value))
        policy = wizard.policy()
        reasons = tuple(cell.reason.text(labelling.reasons) for cell in policy)
        decisions = decide_numbers(items, policy.probability, policy.stated)
        return Labelled(network.ego, network.friends, policy.probability, decisions, reasons, rejected)
    circles = Circles(RESOLUTIONS, network.friends, leiden(network, RESOLUTIONS, seed), ())
    names = [item.id for item in items]
    latents = latent_prior(network, circles, friend_features(network, circles).values, prior, names, ())
    layout = Layout(network, circles, items, (), (), latents, prior.calibration)
    belief = believe(layout, evidence(log, names, network.friends))
    decisions = decide_numbers(items, belief.granted, belief.said.stated)
    return Labelled(network.ego, network.friends, belief.granted, decisions, None, rejected)


def case_fingerprint(network: EgoNetwork, said: Iterable[Said], labelling: Labelling) -> str:
    """Return a digest of all that the policy of a user depends on."""
    rows = sorted((answer.item, answer.friend, answer.decision) for answer in said)
    return _digest(network, [labelling.fingerprint], [rows])


def network_fingerprint(network: EgoNetwork) -> str:
    """Return a digest of the network alone: equal networks have equal ones, wherever they are from."""
    return _digest(network, [], [])


def _digest(network: EgoNetwork, before: list[object], after: list[object]) -> str:
    # The second version of marshal writes equal values as equal bytes, and is many times faster than JSON.
    names, friend, name = network.attributes
    own = sorted(network.ego_profile.items())
    digest = hashlib.blake2b(marshal.dumps([*before, network.ego, network.friends, own, names, *after], 2), digest_size=16)
    for array in (network.indptr, network.indices, network.weights, network.ego_weights, friend, name):
        digest.update(b"none" if array is None else array.tobytes())
    return digest.hexdigest()


def _within(labelling: Labelling, friends: int, case: Case) -> tuple[EgoNetwork, Sequence[Said]]:
    if friends > labelling.most_friends:
        raise DataError(f"{friends} friends; users with more than {labelling.most_friends} are not labelled")
    return case()


def case_log(
    network: EgoNetwork, said: Iterable[Said], items: Sequence[ProfileItem]
) -> tuple[list[Entry], tuple[tuple[Said, str], ...]]:
    """Return the answers that count, sorted by item and friend, and those that do not, with the reason.

    Raises
    ------
    DataError
        If the user contradicts itself, or a decision is not known.
    UnknownItem
        If an answer names an item that nobody knows.
    """
    place = {item.id: number for number, item in enumerate(items)}
    friends = set(network.friends)
    cells: dict[tuple[int, str], Said] = {}
    rejected = []
    for answer in sorted(said, key=attrgetter("item", "friend", "decision", "line")):
        if not is_among(answer.item, place):
            if answer.friend:  # else the row is among the rejected ones since the tables were read
                rejected.append((answer, _NO_ITEM))
            continue
        if not answer.friend:
            hidden = f"an answer hides {answer.item!r} from somebody who is not in the graph"
            raise DataError(f"{hidden}; find the row in rejected.csv, and correct the id or delete the row")
        cell = (place[answer.item], answer.friend)
        reason = None if answer.friend in friends else NO_FRIEND
        if reason is None and answer.decision not in _VALUES:
            about = f"{answer.item!r} and {answer.friend!r}"
            raise DataError(f"the answer about {about} is {answer.decision!r:.40}; use allow, deny or ask")
        if reason is None and cells.setdefault(cell, answer) is not answer:
            if cells[cell].decision != answer.decision:
                both = " and ".join(sorted((answer.decision, cells[cell].decision)))
                raise DataError(f"the answers about {answer.item!r} and {answer.friend!r} are {both}; keep one of the two")
            reason = _SAME
        if reason is not None:
            rejected.append((answer, reason))
    log = [
        Entry("label", (Answer(items[item].id, (friend,), _VALUES[cells[item, friend].decision], each=True),))
        for item, friend in sorted(cells)
    ]
    return log, tuple(rejected)


_VALUES = {Decision.ALLOW.value: "allow", Decision.DENY.value: "deny", Decision.ASK.value: UNSURE}

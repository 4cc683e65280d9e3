"""Why the model believes what it does about a cell: the answers that moved it most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from privwiz.answers import UNSURE, Evidence
from privwiz.items import ProfileItem
from privwiz.posterior import LatentModel, Posterior, contributions
from privwiz.reasons import Reason, Reasons
from privwiz.words import join_names, nearest_audience

__all__ = ["explain", "explain_untold"]

_MOST_FRIENDS = 3
_POINTS = {"allow": 1, "all": 1, "most": 1, "some": 0, "none": -1, "deny": -1}
"""Which way an answer points: to allow, to deny, or neither."""


class _Subject(NamedTuple):
    """What a reason can rest on: its kind, the item, the circle's members where it is one circle, and the answer."""

    kind: str
    item: int
    members: tuple[int, ...]
    value: str | float


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """K answers, as reasons of the cells of n friends can call them.

    Parameters
    ----------
    members : tuple of tuple of int, length K
    groupwise : bool array of shape (K, n)
        Where an answer is called one about the audience, or about a circle that the friend is in; else it is called one to
        the friend's close friends.
    weight : float array of shape (K, n)
        The part of an answer that can be called so: one for a group; the part of the members who are close for friends.
    points : int array of shape (K,)
        Which way each answer points.
    subjects : tuple of _Subject, length S
    of_group, of_friends : bool arrays of shape (S, K)
        The subject of each answer when it is called one about a group, and one to friends.
    closing : int array of shape (J, n)
        The last answer about a group with this friend that nobody there may see this item; -1 where nothing keeps the cell
        closed.
    """

    members: tuple[tuple[int, ...], ...]
    groupwise: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float32]
    points: npt.NDArray[np.intp]
    subjects: tuple[_Subject, ...]
    of_group: npt.NDArray[np.bool_]
    of_friends: npt.NDArray[np.bool_]
    closing: npt.NDArray[np.intp]


class _Weighed(NamedTuple):
    """For one item's n cells: what each answer adds, shape (K, n); the best subject; whether that is more than the prior."""

    added: npt.NDArray[np.floating]
    best: npt.NDArray[np.intp]
    told: npt.NDArray[np.bool_]


def explain_untold(items: Sequence[ProfileItem], names: Sequence[str]) -> Reasons:
    """Reasons of a model that can give none: every cell is a first guess."""
    return lambda item, friend: Reason("prior", items[item], names[friend])


def explain(
    model: LatentModel,
    posterior: Posterior,
    said: Evidence,
    items: Sequence[ProfileItem],
    names: Sequence[str],
    circle_names: Mapping[tuple[int, ...], tuple[str, str]],
    close: npt.NDArray[np.bool_],
    friends: Sequence[int] | None = None,
) -> Reasons:
    """Return what finds the reason of a cell.

    A cell of a group of which the user said that nobody there may see the item rests on the last such answer. Else the cell's
    posterior mean is its prior mean plus one term per answer (`privwiz.posterior.contributions`). Terms that point the way of
    the guess, of answers that point no other way, are added up by what can be said of them: the answer about one circle that
    the friend is in; the answers of one value, about one item, to close friends (of an answer about several people, the part
    that are close); the answer about the audience. The largest sum about the cell's own item is the reason; where there is none,
    the largest about another item. Where the prior mean is larger than any sum, or there is none, the reason is the prior.

    Parameters
    ----------
    model : LatentModel
        Of J items and at least n rows.
    posterior : Posterior
        Of the observations that `privwiz.answers.observe` makes of ``said``.
    said : Evidence
    items : sequence of ProfileItem, length J
    names : sequence of str, length n
        What people call the friends.
    circle_names : mapping
        Members of a circle -> its name in English and Chinese. A group that is not there is called by its people.
    close : bool array of shape (n, len(friends))
        Who is close to each of the friends to be explained; nobody to oneself.
    friends : sequence of int, optional
        The friends whose cells have to be explained; all unless given.
    """
    whom = np.arange(len(names)) if friends is None else np.array(friends, np.intp)
    column = {friend: c for c, friend in enumerate(whom.tolist())}

    @cache
    def sorted_out() -> _Told:
        return _sort_out(said, close, whom)

    @cache
    def weighed(item: int) -> _Weighed:
        return _weigh(sorted_out(), item, contributions(model, posterior, item, whom), model.mean[item, whom])

    def group_reason(subject: _Subject, friend: int) -> Reason:
        item, members, value = subject.item, subject.members, subject.value
        if not isinstance(value, str):
            return Reason("audience", items[item], names[friend], nearest_audience(value))
        people = [names[i] for i in members]
        by_people = f"Circle of {join_names(people)}", f"{join_names(people, 'zh')}的圈子"
        return Reason("circle", items[item], names[friend], value, circle=circle_names.get(members, by_people))

    def reason(item: int, friend: int) -> Reason:
        told, at = sorted_out(), column[friend]
        closing = told.closing[item, at]
        if closing >= 0:
            return group_reason(told.subjects[int(told.of_group[:, closing].argmax())], friend)
        added, best, enough = weighed(item)
        if not enough[at]:
            return Reason("prior", items[item], names[friend])
        number = int(best[at])
        subject = told.subjects[number]
        if subject.kind != "friends":
            return group_reason(subject, friend)
        used = np.flatnonzero(told.of_friends[number] & (added[:, at] > 0) & ~told.groupwise[:, at]).tolist()
        near = {k: [i for i in told.members[k] if close[i, at]] for k in used}
        nearest = sorted(used, key=lambda k: -added[k, at] / len(near[k]))
        people = dict.fromkeys(names[i] for k in nearest for i in near[k])
        return Reason("friends", items[subject.item], names[friend], str(subject.value), friends=tuple(people)[:_MOST_FRIENDS])

    return reason


def _sort_out(said: Evidence, close: npt.NDArray[np.bool_], whom: npt.NDArray[np.intp]) -> _Told:
    """Find what each answer can be called in the reasons of some friends."""
    answers = [answer for answer in said.answers if answer[2] != UNSURE]
    n = len(close)
    member = np.zeros((len(answers), n), bool)
    closing = np.full(said.closed.shape, -1)
    subjects: dict[_Subject, int] = {}
    of_group, of_friends = [], []
    for k, (item, members, value, each) in enumerate(answers):
        member[k, members] = True
        group = ("circle", members) if isinstance(value, str) else ("audience", ())
        of_group.append(subjects.setdefault(_Subject(group[0], item, group[1], value), len(subjects)))
        of_friends.append(subjects.setdefault(_Subject("friends", item, (), value), len(subjects)))
        if len(members) > 1 and not each and value in ("none", "deny", 0):
            closing[item, members] = k
    audience = np.array([not isinstance(value, str) for _, _, value, _ in answers], bool)[:, None]
    each_one = np.array([each for *_, each in answers], bool)[:, None]
    size = member.sum(axis=1, keepdims=True)
    groupwise = audience | (member[:, whom] & (size > 1))
    near = member.astype(np.float32) @ close.astype(np.float32) / np.maximum(size, 1)
    numbers = np.arange(len(subjects))[:, None]
    return _Told(
        members=tuple(members for _, members, _, _ in answers),
        groupwise=groupwise,
        weight=np.where(groupwise, 1, each_one * near).astype(np.float32),
        points=np.array([_points(value) for _, _, value, _ in answers], np.intp),
        subjects=tuple(subjects),
        of_group=numbers == np.array(of_group, np.intp),
        of_friends=numbers == np.array(of_friends, np.intp),
        closing=np.where(said.closed, closing, -1)[:, whom],
    )


def _weigh(told: _Told, item: int, moved: npt.NDArray[np.floating], prior: npt.NDArray[np.floating]) -> _Weighed:
    """Add up by subject what moved an item's cells the way of their guess; ``moved`` has shape (K, n), ``prior`` (n,)."""
    way = np.where(prior + moved.sum(axis=0) > 0, 1, -1)
    added = np.where(told.points[:, None] * way < 0, 0, np.maximum(moved * way, 0)) * told.weight
    sums = told.of_group @ (added * told.groupwise) + told.of_friends @ (added * ~told.groupwise)
    largest = sums.max(axis=0, initial=0)
    own = sums * np.array([[subject.item == item] for subject in told.subjects], bool).reshape(-1, 1)
    best = np.where(own.any(axis=0), own, sums).argmax(axis=0) if len(sums) else np.zeros(len(prior), np.intp)
    return _Weighed(added, best, (largest > 0) & (largest >= prior * way))


def _points(value: str | float) -> int:
    return _POINTS[value] if isinstance(value, str) else int(np.sign(value - 0.5))

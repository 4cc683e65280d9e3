"""What the page reads and changes, through the same states and changes as the REST routes: each form counts once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from flask import g

from privwiz.answers import Answer, Entry
from privwiz.corrections import Correction
from privwiz.decisions import Decision
from privwiz.graphs import build_ego_network
from privwiz.screens import Screen
from privwiz.wizard import Wizard
from privwiz_api.changes import Change, Request, Result, corrected, digest, heard, put_in_force, settled, taken_back
from privwiz_api.documents import pack
from privwiz_api.page.cases import Case, Owner
from privwiz_api.page.matrix import worked_out
from privwiz_api.page.questions import stamp
from privwiz_api.problems import Problem
from privwiz_api.routes.users import erase as erase_user
from privwiz_api.routes.users import everything
from privwiz_api.service import need_network, no_such_user, service
from privwiz_api.states import State

__all__ = ["accept", "answer", "correct", "erase", "export", "label", "read", "settle", "take_back", "undo"]

_USED: Result = Result(200)


def read(owner: Owner) -> Case:
    """Return the user's wizard and settings; raises `Problem` where there is no such user."""
    state = service().states.current(owner.tenant, owner.user)
    if state is None or state.version.generation != owner.generation:
        raise no_such_user()
    if state.stored is None or state.wizard is None:
        nobody = Wizard(build_ego_network(owner.user, (), ()), state.items)
        return Case(owner, state.version.etag, nobody, None, ())
    with service().load.turn(), state.lock:
        state.wizard.belief()
        wizard = state.wizard.fork()
    if not state.standing:
        return Case(owner, state.version.etag, wizard, None, ())
    known, first = settled(state), state.standing[0].revision
    since = state.stored.since
    newcomers = tuple(friend for friend in state.stored.network.friends if friend not in known and since[friend] > first)
    return Case(owner, state.version.etag, wizard, state.in_force, newcomers)


def answer(owner: Owner, key: str, find: Callable[[Wizard], Screen | None], shown: str, values: Sequence[str | None]) -> None:
    """Confirm a screen, if it is still the one that the user saw.

    Parameters
    ----------
    owner : Owner
    key : str
        The form's ticket.
    find : callable
        Wizard -> the screen that it asks now.
    shown : str
        The stamp of the screen that the user saw.
    values : sequence of str or None
        One for each toggle.

    Raises
    ------
    Problem
        409 if the screen has been overtaken.
    """

    def entries(wizard: Wizard) -> tuple[Entry, ...]:
        asked = find(wizard)
        if asked is None or stamp(asked) != shown:
            raise Problem(409, "screen-overtaken", "The screen is out of date; ask for the next one.")
        wizard.answer(asked, values)
        return wizard.log[-1:]

    _say(owner, key, "answers.add", f"{shown} {list(values)}", entries)


def label(owner: Owner, key: str, item: str, friends: tuple[str, ...], decision: str) -> None:
    """Record the user's own choice about an item for some friends."""
    chosen = Answer(item, friends, decision, each=True)
    _say(owner, key, "answers.add", repr(chosen), lambda _: (Entry("label", (chosen,)),))


def undo(owner: Owner, key: str, version: str) -> None:
    """Retract the last answer that still stands, if there is one, and if it is the one that the user saw.

    Raises
    ------
    Problem
        412 if the state is no longer of this version.
    """
    _say(owner, key, "answers.undo", version, lambda wizard: (Entry("undo"),) if wizard.undo() else (), version)


def accept(owner: Owner, key: str, version: str, items: Iterable[str], *, own_only: bool = False) -> None:
    """Put suggestions about some items in force for all friends, if they are still those that the user saw.

    With ``own_only`` nothing is newly shown to anybody but what the user said of the very cell; the others stay as they are.

    Raises
    ------
    Problem
        412 if the state is no longer of this version.
    """
    wanted = sorted(items)

    def plan(state: State | None) -> Change:
        state = _still(state, version)
        left_out = worked_out(state.policy, state.in_force, wanted) if own_only else ()
        chosen = {cell: said for cell, said in state.policy.table().items() if cell[0] in wanted and cell not in left_out}
        return put_in_force(state, "accept", chosen, _looked_at(state))

    _make(owner, key, "policy.accept", f"{version} {wanted} {own_only}", plan)


def settle(owner: Owner, key: str, version: str, friend: str, decisions: Mapping[str, Decision]) -> None:
    """Put in force what the user decided about a friend who is new.

    Where it is not what was suggested it is also the user's own choice, from which suggestions for others are learnt. What is
    then suggested anew for this friend is not put in force: the user has not seen it.

    Parameters
    ----------
    owner, key, version
        As of `accept`.
    friend : str
    decisions : mapping of str to Decision
        Item -> what holds from now on.

    Raises
    ------
    Problem
        412 if the state is no longer of this version.
    """

    def plan(state: State | None) -> Change:
        before = _still(state, version)
        own = [
            (item, said) for item, said in decisions.items() if said not in (Decision.ASK, before.policy.decision(item, friend))
        ]
        entries = (Entry("label", tuple(Answer(item, (friend,), said.value, each=True) for item, said in own)),) * bool(own)
        after = replace(heard(before, entries), version=before.version)
        chosen = {(item, friend): said for item, said in decisions.items()}
        return put_in_force(after, "accept", chosen, _looked_at(before))

    _make(owner, key, "policy.accept", f"{version} {friend} {decisions}", plan)


def take_back(owner: Owner, key: str, version: str) -> None:
    """Take back what came into force last, if anything is, and if it is what the user saw.

    Raises
    ------
    Problem
        412 if the state is no longer of this version.
    """

    def plan(state: State | None) -> Change:
        state = _still(state, version)
        if not state.standing:
            return Change(_USED, None)
        return taken_back(state)

    _make(owner, key, "policy.undo", version, plan)


def correct(owner: Owner, key: str, corrections: Sequence[Correction]) -> None:
    """Correct circles, one correction after the other: all of them, or none."""

    def plan(state: State | None) -> Change:
        return corrected(service().states, need_network(state), corrections)

    _make(owner, key, "circles.correct", repr(list(corrections)), plan)


def export(owner: Owner) -> bytes:
    """Return everything that is kept about the user, as JSON."""
    return everything(owner.tenant, owner.user)


def erase(owner: Owner) -> None:
    """Erase the user."""
    erase_user(owner.caller, owner.user)


def _say(
    owner: Owner, key: str, action: str, said: str, entries: Callable[[Wizard], tuple[Entry, ...]], version: str | None = None
) -> None:
    def plan(state: State | None) -> Change:
        state = need_network(state) if version is None else _still(state, version)
        assert state.wizard is not None
        with state.lock:
            wizard = state.wizard.fork()
            added = entries(wizard)
        return Change(_USED, heard(state, added))

    _make(owner, key, action, said, plan)


def _make(owner: Owner, key: str, action: str, said: str, plan: Callable[[State | None], Change]) -> None:
    told = digest(action.encode(), said.encode())
    service().changes.make(Request(owner.caller, owner.user, g.request_id, action, key, told), plan)


def _looked_at(state: State) -> bytes:
    with state.lock:
        return pack(state.policy.to_json())


def _still(state: State | None, version: str) -> State:
    state = need_network(state)
    if state.version.etag != version:
        raise Problem(412, "changed", "Something changed since it was shown; look at it again.")
    return state

"""The policy of a state as documents: suggestions beside what is in force. Only what is in force is to be enforced."""

import csv
import io
from collections.abc import Iterator
from itertools import islice, product
from typing import Any

import numpy as np
import numpy.typing as npt

from privwiz.decisions import DECIDED, STATED, Decision, PolicyDiff
from privwiz.export import policy_columns
from privwiz.policy import Policy
from privwiz.reasons import Reason
from privwiz_api.service import encode
from privwiz_api.states import State

__all__ = ["accepted_policy", "cell", "cells", "diff", "explanation", "export", "preview", "write_policy"]

_ASK, _ALLOW = DECIDED.index(Decision.ASK), DECIDED.index(Decision.ALLOW)


def cell(state: State, item: str, friend: str) -> dict[str, Any]:
    """Describe one cell; raises `UnknownItem` or `UnknownFriend`."""
    assert state.stored is not None, "who has no network has no policy"
    policy = state.policy
    return {
        "item": item,
        "friend": friend,
        "suggested": policy.decision(item, friend).value,
        "in_force": state.in_force[item, friend].value,
        "probability": round(float(policy.probabilities(item)[state.stored.network.index(friend)]), 4),
    }


def cells(
    state: State, item: str | None = None, friend: str | None = None, start: int = 0, stop: int | None = None
) -> Iterator[dict[str, Any]]:
    """Describe the cells of an item, of a friend, or all, from one position to another.

    Raises
    ------
    UnknownItem, UnknownFriend
        When the first cell is asked for.
    """
    policy = state.policy
    items = [known.id for known in policy.items] if item is None else [item]
    friends = policy.friends if friend is None else (friend,)
    return (cell(state, *pair) for pair in islice(product(items, friends), start, stop))


def write_policy(state: State) -> bytes:
    """Write the whole policy."""
    policy, friends = state.policy, state.policy.friends

    def those(said: npt.NDArray[np.bool_]) -> list[str]:
        return [friends[i] for i in np.flatnonzero(said).tolist()]

    items = [
        {
            "item": item.id,
            "in_force": those(state.enforced[j] == _ALLOW),
            "suggested": those(policy.numbers[j] == _ALLOW),
            "ask": those(policy.numbers[j] == _ASK),
        }
        for j, item in enumerate(policy.items)
    ]
    return encode(
        {
            "user": state.user,
            "revision": state.version.revision,
            "accepted_at": state.standing[-1].at.isoformat(timespec="seconds") if state.standing else None,
            "friends": friends,
            "items": items,
            "pending": _pending(state),
        }
    )


def explanation(state: State, item: str, friend: str, language: str) -> dict[str, Any]:
    """Say why a cell is suggested as it is; raises `UnknownItem` or `UnknownFriend`."""
    with state.lock:
        reason = state.policy[item, friend].reason
    return {**cell(state, item, friend), "reason": reason.text(language), "kind": reason.kind}


def preview(state: State, friend: str) -> dict[str, Any]:
    """Show the profile as a friend sees it; raises `UnknownFriend`."""
    suggested = state.policy.view_as(friend)
    items = [
        {"item": item, "in_force": state.in_force[item, friend] == Decision.ALLOW, "suggested": shown}
        for item, shown in suggested.items()
    ]
    return {"friend": friend, "items": items}


def diff(state: State) -> dict[str, Any]:
    """Say what accepting all suggestions would change."""
    difference = _difference(state)
    assert state.wizard is not None
    names = dict(zip(state.policy.friends, state.policy.names, strict=True))
    return {
        "revision": state.version.revision,
        "counts": difference.counts._asdict(),
        "text": difference.text("en", names),
        "text_zh": difference.text("zh", names),
        "changes": [
            {"item": item, "friend": friend, "before": before, "after": after}
            for item, friend, before, after in difference.changes
        ],
    }


def accepted_policy(state: State) -> Policy:
    """Return what is in force as a policy: every cell is the user's own decision, and what waits for one is denied."""
    suggested, items = state.policy, state.items
    shown = state.enforced == _ALLOW
    stated = np.where(shown, STATED["allow"], STATED["deny"]).astype(np.int8)

    def reasons(item: int, friend: int) -> Reason:
        raise AssertionError((item, friend))

    return Policy(state.user, items, suggested.friends, shown.astype(float), stated, reasons, suggested.names)


def export(state: State, form: str, of: str, language: str) -> tuple[bytes, str]:
    """Write the policy in a language of others; return it with its content type."""
    policy = state.policy if of == "suggested" else accepted_policy(state)
    with state.lock:
        match form:
            case "csv":
                table = io.StringIO()
                columns = policy_columns(policy, language)
                writer = csv.writer(table, lineterminator="\n")
                writer.writerow(columns)
                writer.writerows(zip(*columns.values(), strict=True))
                return table.getvalue().encode(), "text/csv; charset=utf-8"
            case "openfga":
                return encode({"tuples": policy.to_openfga()}), "application/json"
            case "cedar":
                return policy.to_cedar().encode(), "text/plain; charset=utf-8"
        return policy.to_json().encode(), "application/json"


def _pending(state: State) -> dict[str, int]:
    """Return the counts of `diff`, without the difference itself: a policy is read far more often."""
    before, after = state.enforced, state.policy.numbers
    changed = before != after
    parts = {"shown": after == _ALLOW, "hidden": before == _ALLOW, "asked": after == _ASK}
    return {name: int((changed & part).sum()) for name, part in parts.items()}


def _difference(state: State) -> PolicyDiff:
    return PolicyDiff.between(state.user, state.in_force, state.policy.table())

"""The JSON document of a policy, ``privwiz.policy/1``: written compactly, read with suspicion. See ``docs/formats.md``."""

import json
from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from privwiz.decisions import STATED, Decision, read_decision
from privwiz.errors import DataError
from privwiz.items import ProfileItem
from privwiz.policy import Policy
from privwiz.reasons import Reason, ReasonTable
from privwiz.strict_json import expect, read_json

__all__ = ["POLICY_FORMAT", "read_policy", "write_policy"]

POLICY_FORMAT = "privwiz.policy/1"

_SAID = {number: None if word == "nothing" else word for word, number in STATED.items()}
_NUMBERS = {word: number for number, word in _SAID.items()}
_OWN_KINDS = {("own", "allow"): STATED["allow"], ("own", "deny"): STATED["deny"], ("unsure", ""): STATED["not sure"]}


def write_policy(policy: Policy, indent: int | None = None) -> str:
    """Write a policy: friends once, one object of columns per item, each different reason once.

    Raises
    ------
    DataError
        If a reason is about an item that the policy does not have.
    """
    table = policy.reason_table
    known = {item.id for item in policy.items}
    for reason in table.distinct:
        if reason.item.id not in known:
            raise DataError(f"a reason is about item {reason.item.id!r}, which the policy of {policy.ego!r} does not have")
    document = {
        "format": POLICY_FORMAT,
        "ego": policy.ego,
        "friends": policy.friends,
        "names": None if policy.names == policy.friends else policy.names,
        "items": [
            {
                "id": item.id,
                "sensitivity": item.sensitivity,
                "en": item.en,
                "zh": item.zh,
                "cost_ratio": item.cost_ratio,
                "decision": policy.decisions[j].tolist(),
                "probability": policy.probability[j].tolist(),
                "stated": [_SAID[number] for number in policy.stated[j].tolist()],
                "reason": table.index[j].tolist(),
            }
            for j, item in enumerate(policy.items)
        ],
        "reasons": [
            {"kind": r.kind, "item": r.item.id, "answer": r.answer, "circle": r.circle, "friends": r.friends}
            for r in table.distinct
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=indent, separators=None if indent else (",", ":"))


def read_policy(text: str) -> Policy:
    """Read what `write_policy` wrote and take every decision again from probability, cost ratio and what the user said.

    Raises
    ------
    DataError
        If the document is damaged, of another version, or contradicts itself: a stored decision that does not follow, or a
        reason that claims the user said what is not recorded.
    """
    document = read_json(text, POLICY_FORMAT)
    ego = expect(document.get("ego"), str, "'ego'")
    friends = _texts(document.get("friends"), "'friends'")
    names = friends if document.get("names") is None else _texts(document["names"], "'names'")
    rows = [expect(row, dict, f"'items'[{j}]") for j, row in enumerate(expect(document.get("items"), list, "'items'"))]
    items = tuple(_read_item(row, f"'items'[{j}]") for j, row in enumerate(rows))
    by_id = {item.id: item for item in items}
    reasons = expect(document.get("reasons"), list, "'reasons'")
    distinct = tuple(_read_reason(reason, by_id, f"'reasons'[{k}]") for k, reason in enumerate(reasons))
    columns = [_read_columns(row, item.id, len(friends), len(distinct)) for row, item in zip(rows, items, strict=True)]
    probability, stated, index = (
        np.array([column[k] for column in columns], dtype=kind).reshape(len(items), len(friends))
        for k, kind in enumerate((np.float64, np.int8, np.int32))
    )
    policy = Policy(ego, items, friends, probability, stated, ReasonTable(names, distinct, index), names)
    _check_reasons(policy, distinct, index)
    _check_decisions(policy, [column[3] for column in columns])
    return policy


def _check_decisions(policy: Policy, stored: list[list[Decision]]) -> None:
    for ((item, friend), derived), decision in zip(policy.table().items(), chain.from_iterable(stored), strict=True):
        if decision is not derived:
            raise DataError(
                f"the stored decision for item {item!r} and friend {friend!r} is {decision.value!r}, but its probability, cost "
                f"ratio and what the user said give {derived.value!r}; the document was edited or damaged, export it again"
            )


def _check_reasons(policy: Policy, distinct: tuple[Reason, ...], index: npt.NDArray[np.int32]) -> None:
    claimed = np.array([_OWN_KINDS.get((reason.kind, reason.answer), STATED["nothing"]) for reason in distinct], dtype=np.int8)
    wrong = np.argwhere(claimed[index] != policy.stated)
    if len(wrong):
        j, f = wrong[0]
        raise DataError(
            f"the reason for item {policy.items[j].id!r} and friend {policy.friends[f]!r} does not agree with what the user said "
            f"({_SAID[int(policy.stated[j, f])] or 'nothing'}); the document was edited or damaged, export it again"
        )


def _read_item(row: dict[str, Any], where: str) -> ProfileItem:
    item, en, zh = (expect(row.get(key), str, f"{where}: {key!r}") for key in ("id", "en", "zh"))
    sensitivity, cost_ratio = (expect(row.get(key), float, f"{where}: {key!r}") for key in ("sensitivity", "cost_ratio"))
    return ProfileItem(item, sensitivity, en, zh, cost_ratio)


def _read_columns(
    row: dict[str, Any], item: str, n_friends: int, n_reasons: int
) -> tuple[list[float], list[int], list[int], list[Decision]]:
    columns = {
        key: expect(row.get(key), list, f"{key!r} of item {item!r}") for key in ("probability", "stated", "reason", "decision")
    }
    for key, column in columns.items():
        if len(column) != n_friends:
            raise DataError(
                f"{key!r} of item {item!r} has {len(column)} entries for {n_friends} friends; the document is damaged"
            )
    for value in columns["stated"]:
        if value is not None and (type(value) is not str or value not in _NUMBERS):
            raise DataError(f"'stated' of item {item!r} holds {value!r}; it must be one of null, 'allow', 'deny', 'not sure'")
    for value in columns["reason"]:
        if not 0 <= expect(value, int, f"a reason number of item {item!r}") < n_reasons:
            raise DataError(f"'reason' of item {item!r} holds {value}, but there are {n_reasons} reasons, counted from 0")
    return (
        [expect(value, float, f"a probability of item {item!r}") for value in columns["probability"]],
        [_NUMBERS[value] for value in columns["stated"]],
        columns["reason"],
        [read_decision(value, f"a decision of item {item!r}") for value in columns["decision"]],
    )


def _read_reason(value: object, items: Mapping[str, ProfileItem], where: str) -> Reason:
    row = expect(value, dict, where)
    item, kind, answer = (expect(row.get(key), str, f"{where}: {key!r}") for key in ("item", "kind", "answer"))
    if item not in items:
        raise DataError(f"{where} is about item {item!r}, which the policy does not have; the document is damaged")
    circle = None
    if row.get("circle") is not None:
        names = _texts(row["circle"], f"{where}: 'circle'")
        if len(names) != 2:
            raise DataError(f"{where}: 'circle' has {len(names)} names; it needs the English and the Chinese one")
        circle = (names[0], names[1])
    return Reason(kind, items[item], "", answer, circle, _texts(row.get("friends"), f"{where}: 'friends'"))


def _texts(value: object, where: str) -> tuple[str, ...]:
    return tuple(expect(text, str, f"an entry of {where}") for text in expect(value, list, where))

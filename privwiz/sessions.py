"""A wizard's state as a JSON document: written once, read by every later version that knows its format."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from privwiz.answers import Answer, Entry
from privwiz.corrections import Correction, read_correction, write_correction
from privwiz.errors import DataError
from privwiz.items import ProfileItem
from privwiz.prior import Prior
from privwiz.screens import KINDS
from privwiz.strict_json import expect, read_json

__all__ = ["CUSTOM", "Session", "fingerprint", "read_session", "write_session"]

FORMAT = "privwiz.wizard/1"
CUSTOM = "custom"
"""Stands for a classifier that the caller made and has to pass again."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a wizard needs besides the network.

    Parameters
    ----------
    ego : str
    items : tuple of ProfileItem
    seed : int
    strategy, classifier : str
    prior : str
        `fingerprint` of the prior.
    circles : mapping
        `privwiz.circles.Circles.to_dict`.
    log : tuple of Entry
    corrections : tuple of Correction
        What the user said of the circles, in order; the circles are as corrected.
    """

    ego: str
    items: tuple[ProfileItem, ...]
    seed: int
    strategy: str
    classifier: str
    prior: str
    circles: Mapping[str, Any]
    log: tuple[Entry, ...]
    corrections: tuple[Correction, ...] = ()


@lru_cache(maxsize=8)
def fingerprint(prior: Prior) -> str:
    """Return a digest that two priors share only if they are the same."""
    return hashlib.sha256(prior.to_json().encode()).hexdigest()


def write_session(session: Session) -> str:
    """Write a session; `read_session` is the inverse. Each group of friends is listed once, however many answers are about it."""
    groups: dict[tuple[str, ...], int] = {}
    for answer in (answer for entry in session.log for answer in entry.answers):
        groups.setdefault(answer.friends, len(groups))
    log = [
        {
            "kind": entry.kind,
            "answers": [
                {"item": answer.item, "group": groups[answer.friends], "value": answer.value, "each": answer.each}
                for answer in entry.answers
            ],
        }
        for entry in session.log
    ]
    document = {
        "format": FORMAT,
        "ego": session.ego,
        "items": [asdict(item) for item in session.items],
        "seed": session.seed,
        "strategy": session.strategy,
        "classifier": session.classifier,
        "prior": session.prior,
        "circles": session.circles,
        "corrections": [write_correction(correction) for correction in session.corrections],
        "groups": list(groups),
        "log": log,
    }
    return json.dumps(document, ensure_ascii=False)


def read_session(text: str) -> Session:
    """Read what `write_session` wrote.

    Raises
    ------
    DataError
        If the text is damaged, or of another format or version.
    """
    data = read_json(text, FORMAT)
    try:
        groups = [
            tuple(expect(friend, str, "a friend") for friend in expect(group, list, "a group"))
            for group in expect(data["groups"], list, "groups")
        ]
        return Session(
            ego=expect(data["ego"], str, "ego"),
            items=tuple(_item(item) for item in expect(data["items"], list, "items")),
            seed=expect(data["seed"], int, "seed"),
            strategy=expect(data["strategy"], str, "strategy"),
            classifier=expect(data["classifier"], str, "classifier"),
            prior=expect(data["prior"], str, "prior"),
            circles=expect(data["circles"], dict, "circles"),
            log=tuple(_entry(entry, groups) for entry in expect(data["log"], list, "log")),
            corrections=tuple(read_correction(one) for one in expect(data.get("corrections", []), list, "corrections")),
        )
    except (KeyError, IndexError, TypeError) as error:
        raise DataError(f"the saved wizard is damaged ({type(error).__name__}: {error}); start again or restore a copy") from None


def _item(data: Mapping[str, Any]) -> ProfileItem:
    return ProfileItem(
        id=expect(data["id"], str, "the id of an item"),
        sensitivity=expect(data["sensitivity"], float, "a sensitivity"),
        en=expect(data["en"], str, "the name of an item"),
        zh=expect(data["zh"], str, "the name of an item"),
        cost_ratio=expect(data["cost_ratio"], float, "a cost ratio"),
    )


def _entry(data: Mapping[str, Any], groups: Sequence[tuple[str, ...]]) -> Entry:
    kind = expect(data["kind"], str, "the kind of an entry")
    if kind not in (*KINDS, "label", "undo"):
        raise DataError(f"the log has an entry of kind {kind!r}, which this version does not know; use a newer privwiz")
    return Entry(kind, tuple(_answer(answer, groups) for answer in expect(data["answers"], list, "answers")))


def _answer(data: Mapping[str, Any], groups: Sequence[tuple[str, ...]]) -> Answer:
    number = expect(data["group"], int, "the group of an answer")
    if number < 0:
        raise DataError(f"the group of an answer is {number}; the saved wizard is damaged, start again or restore a copy")
    value = data["value"]
    if value is not None and not isinstance(value, str):
        value = expect(value, float, "an answer")
    each = data["each"]
    if not isinstance(each, bool):
        raise DataError(f"'each' of an answer is {each!r:.40}; it must be true or false")
    return Answer(expect(data["item"], str, "the item of an answer"), groups[number], value, each)

"""Users kept in memory, to look at the page while there is no service."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from privwiz.readers import read_ego_network
from privwiz.wizard import Wizard
from privwiz_api.page.cases import Case

ROOT = Path(__file__).parents[3] / "sample_graphs" / "town"


@dataclass
class Kept:
    wizard: Wizard
    settings: Any = None
    before: list[Any] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)


KEPT: dict[tuple[str, str], Kept] = {}


def start(tenant, user):
    network = read_ego_network(ROOT / "edges.csv", user, ROOT / "profiles.csv")
    KEPT[tenant, user] = Kept(Wizard(network))


def read(owner) -> Case:
    kept = KEPT[owner.tenant, owner.user]
    return Case(owner, kept.wizard, kept.settings)


def once(owner, key):
    kept = KEPT[owner.tenant, owner.user]
    if key in kept.keys:
        return None
    kept.keys.add(key)
    return kept


def answer(case, key, screen, answers):
    kept = once(case.owner, key)
    if kept:
        kept.wizard.answer(screen, answers)


def label(case, key, choices):
    kept = once(case.owner, key)
    if kept:
        for item, friends, decision in choices:
            kept.wizard.label(item, friends, decision)


def undo(case, key):
    kept = once(case.owner, key)
    if kept:
        kept.wizard.undo()


def accept(case, key, table):
    kept = once(case.owner, key)
    if kept:
        kept.before.append(kept.settings)
        kept.settings = table


def take_back(case, key):
    kept = once(case.owner, key)
    if kept and kept.before:
        kept.settings = kept.before.pop()


def correct(case, key, correction):
    kept = once(case.owner, key)


def erase(case, key):
    KEPT.pop((case.owner.tenant, case.owner.user))

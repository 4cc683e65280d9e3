"""privwiz: a few answers, a whole access-control policy, with reasons."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from privwiz.circles import Circle, Circles, find_circles
    from privwiz.decisions import Decision
    from privwiz.errors import DataError, MissingExtra, PrivwizError, SumRefused, UnknownFriend, UnknownItem
    from privwiz.graphs import EgoNetwork, ego_network
    from privwiz.items import CATALOGUE, ProfileItem
    from privwiz.policy import Policy, Suggestion
    from privwiz.prior import KernelScales, Prior
    from privwiz.readers import read_ego_network, read_graph, read_snap_ego_network
    from privwiz.screens import Screen, Toggle
    from privwiz.wizard import Progress, Wizard

__all__ = [
    "CATALOGUE",
    "Circle",
    "Circles",
    "DataError",
    "Decision",
    "EgoNetwork",
    "KernelScales",
    "MissingExtra",
    "Policy",
    "Prior",
    "PrivwizError",
    "ProfileItem",
    "Progress",
    "Screen",
    "Suggestion",
    "SumRefused",
    "Toggle",
    "UnknownFriend",
    "UnknownItem",
    "Wizard",
    "ego_network",
    "find_circles",
    "read_ego_network",
    "read_graph",
    "read_snap_ego_network",
]

_HOMES = {
    "circles": ("Circle", "Circles", "find_circles"),
    "decisions": ("Decision",),
    "errors": ("DataError", "MissingExtra", "PrivwizError", "SumRefused", "UnknownFriend", "UnknownItem"),
    "graphs": ("EgoNetwork", "ego_network"),
    "items": ("CATALOGUE", "ProfileItem"),
    "policy": ("Policy", "Suggestion"),
    "prior": ("KernelScales", "Prior"),
    "readers": ("read_ego_network", "read_graph", "read_snap_ego_network"),
    "screens": ("Screen", "Toggle"),
    "wizard": ("Progress", "Wizard"),
}
"""Module -> the names that come from it; it is loaded when one of them is first asked for, so that commands start at once."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        for home, names in _HOMES.items():
            if name in (home, *names):
                module = import_module(f"privwiz.{home}")
                return module if name == home else globals().setdefault(name, getattr(module, name))
        raise AttributeError(f"module 'privwiz' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

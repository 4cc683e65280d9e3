"""privwiz: a few answers, a whole access-control policy, with reasons."""

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

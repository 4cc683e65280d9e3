"""A whole social graph, simple and undirected, as the readers make it: add users and ties, and every rule is kept."""

from collections.abc import Mapping

import networkx as nx

from privwiz.errors import DataError
from privwiz.profiles import check_id, normal_profile

__all__ = ["add_profile", "add_tie", "add_user"]


def add_user(graph: nx.Graph, user: str, attributes: Mapping[str, object]) -> None:
    """Add a user who is not there yet, with a profile.

    Raises
    ------
    DataError
        If the id is empty or there already, or the attributes are no profile.
    """
    check_id(user)
    if user in graph:
        raise DataError(f"the id {user!r} is there already; give every user another")
    graph.add_nodes_from([(user, normal_profile(attributes, user))])


def add_profile(graph: nx.Graph, user: str, attributes: Mapping[str, object]) -> None:
    """Add values to the profile of a user who is there.

    >>> graph = nx.Graph()
    >>> add_user(graph, "bo", {"school": "PKU"})
    >>> add_profile(graph, "bo", {"school": "MIT", "gender": "m"})
    >>> graph.nodes["bo"]
    {'school': ('MIT', 'PKU'), 'gender': ('m',)}
    """
    known = graph.nodes[user]
    for name, values in normal_profile(attributes, user).items():
        known[name] = tuple(sorted({*known.get(name, ()), *values}))


def add_tie(graph: nx.Graph, first: str, second: str, weight: float | None = None) -> None:
    """Add a tie, and its users if they are new; of repeats the strongest counts, None as 1; a self-tie adds only its user."""
    if first == second:
        graph.add_node(first)
        return
    tie = graph.get_edge_data(first, second)
    if tie is None:
        graph.add_edges_from([(first, second, {} if weight is None else {"weight": weight})])
    elif weight is not None or "weight" in tie:
        tie["weight"] = max(tie.get("weight", 1.0), 1.0 if weight is None else weight)

"""Users of an existing graph who can be simulated: their networks, and the circles that their decisions are drawn from."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import networkx as nx

from privwiz.circles import RESOLUTIONS, find_circles
from privwiz.errors import DataError
from privwiz.files import FilePath, source_name
from privwiz.graphs import EgoNetwork, ego_network
from privwiz.readers import read_ego_network, read_graph, read_snap_egos
from privwiz.snap import read_snap_circles

__all__ = ["FEWEST_FRIENDS", "MEDIUM_LEVEL", "Decider", "Population", "read_population"]

FEWEST_FRIENDS = 10
"""Users of a graph file with fewer friends are simulated only if they are named: most have too few to tell circles apart."""

MEDIUM_LEVEL = 2
"""Position in `privwiz.circles.RESOLUTIONS` of the groups that stand in for circles made by hand."""

_SMALLEST_CIRCLE = 2


class Decider(NamedTuple):
    """A user whose decisions can be simulated.

    Parameters
    ----------
    network : EgoNetwork
    circles : tuple of tuple of str
        What the decisions are to be drawn from; friends only.
    strangers : tuple of str
        Who stands in the user's own circles without being a friend, sorted; left out of ``circles``.
    by_hand : bool
        Whether the user made the circles; else they were found in the network, as a wizard finds them.
    """

    network: EgoNetwork
    circles: tuple[tuple[str, ...], ...]
    strangers: tuple[str, ...]
    by_hand: bool


@dataclass(frozen=True, eq=False, slots=True)
class Population:
    """The users of an existing graph.

    Parameters
    ----------
    path : path
        A SNAP folder or a graph file.
    users : tuple of str
        Who is simulated where nobody is named: all egos of a SNAP folder, or all users of a graph file who have at least
        `FEWEST_FRIENDS` friends.
    graph : networkx.Graph, optional
        What the graph file holds; None for a SNAP folder.

    Examples
    --------
    >>> graph = nx.relabel_nodes(nx.karate_club_graph(), str)
    >>> decider = Population("karate.graphml", ("0", "33"), graph).decider("0")
    >>> len(decider.circles), decider.by_hand
    (2, False)
    """

    path: FilePath
    users: tuple[str, ...]
    graph: nx.Graph | None = None

    def decider(self, user: str, seed: int = 0) -> Decider:
        """Return a user with the circles that decisions are drawn from.

        These are the circles that the user made by hand, where the SNAP folder has them and at least one holds two friends;
        else the groups that `find_circles` finds at `MEDIUM_LEVEL`.

        Parameters
        ----------
        user : str
            Any user of the graph, not only those in ``users``.
        seed : int, default 0
            Equal seeds find equal groups.

        Raises
        ------
        DataError
            If there is no such user, or the user's files are missing or damaged.
        """
        network = self._network(user)
        made = self._made_by_hand(user)
        friends = set(network.friends)
        circles = tuple(tuple(member for member in circle if member in friends) for circle in made)
        strangers = tuple(sorted({member for circle in made for member in circle} - friends))
        if any(len(circle) >= _SMALLEST_CIRCLE for circle in circles):
            return Decider(network, circles, strangers, by_hand=True)
        found = find_circles(network, seed=seed, resolutions=RESOLUTIONS[MEDIUM_LEVEL : MEDIUM_LEVEL + 1])
        return Decider(network, tuple(circle.members for circle in found), strangers, by_hand=False)

    def _network(self, user: str) -> EgoNetwork:
        if self.graph is None:
            return read_ego_network(self.path, user)
        try:
            return ego_network(self.graph, user)
        except DataError as error:
            raise DataError(str(error), source=source_name(self.path)) from None

    def _made_by_hand(self, user: str) -> Iterable[tuple[str, ...]]:
        if self.graph is not None or not Path(self.path, f"{user}.circles").exists():
            return ()
        return read_snap_circles(self.path, user)


def read_population(path: FilePath, profiles: FilePath | None = None) -> Population:
    """Read who the users of a graph are; the networks of a SNAP folder are read one by one, when they are asked for.

    Parameters
    ----------
    path, profiles : path
        As `privwiz.readers.read_ego_network` takes them.

    Raises
    ------
    DataError
        If a file cannot be read, is damaged or has another form; a folder holds no ego network, or profiles are given beside it.
    MissingExtra
        If a Parquet file is to be read and pyarrow is not installed.
    """
    if Path(path).is_dir():
        return Population(path, read_snap_egos(path, profiles))
    graph = read_graph(path, profiles)
    return Population(path, tuple(user for user, friends in graph.degree if friends >= FEWEST_FRIENDS), graph)

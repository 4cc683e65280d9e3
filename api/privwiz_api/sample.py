"""A sample community to try the service on: a few people of a folder with edges.csv and profiles.csv."""

from pathlib import Path
from typing import Any

from privwiz.graphs import ego_network
from privwiz.readers import read_graph
from privwiz_api.changes import Change, Request, networked
from privwiz_api.documents import document_of
from privwiz_api.service import Service
from privwiz_api.states import State
from privwiz_api.tokens import Caller

__all__ = ["TENANT", "load_sample"]

TENANT = "sample"
PEOPLE = 8


def load_sample(service: Service, folder: Path, user: str = "ada") -> str:
    """Put a user and some of the user's friends into the database, unless they are there; return the user's id.

    Raises
    ------
    DataError
        If the folder's tables cannot be read, or the user is not among the people.
    """
    graph = read_graph(folder / "edges.csv", folder / "profiles.csv")
    network = ego_network(graph, user)
    for person in (user, *network.friends[: PEOPLE - 1]):
        if service.states.version(TENANT, person) is None:
            _put(service, person, document_of(ego_network(graph, person)))
    return user


def _put(service: Service, person: str, document: dict[str, Any]) -> None:
    caller = Caller(TENANT, "sample", frozenset({"sns"}))
    request = Request(caller=caller, user=person, id="sample", action="network.put", key=None, digest="")

    def plan(state: State | None) -> Change:
        return networked(service.states, TENANT, person, state, document)

    service.changes.make(request, plan)

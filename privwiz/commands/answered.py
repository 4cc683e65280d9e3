"""Tables of answers, and the networks of the users who gave them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from privwiz.decisions import Decision
from privwiz.errors import DataError, UnknownItem
from privwiz.files import source_name
from privwiz.items import ProfileItem, is_among

if TYPE_CHECKING:
    from privwiz.graphs import EgoNetwork
    from privwiz.tables import Table

__all__ = ["Said", "about_items", "answers_by_user", "each_cell_once", "networks", "read_answers"]

COLUMNS = ("user", "item", "friend", "decision")


class Said(NamedTuple):
    """One row of the answers."""

    row: int
    item: str
    friend: str
    decision: str


def read_answers(path: str) -> "Table":
    """Read a table of answers; every value is filled."""
    from privwiz.tables import read_table

    return read_table(path, COLUMNS).check_filled(*COLUMNS)


def answers_by_user(table: "Table") -> Mapping[str, list[Said]]:
    """Return each user's rows, users and rows in the order of the table."""
    said: dict[str, list[Said]] = {}
    for row, (user, item, friend, decision) in enumerate(table.rows(*COLUMNS)):
        said.setdefault(user, []).append(Said(row, item, friend, decision))
    return said


def about_items(table: "Table", said: Sequence[Said], items: Sequence[ProfileItem]) -> list[Said]:
    """Return one user's rows about these items, without those about others of the catalogue.

    Raises
    ------
    DataError
        With its line, at an item that nobody knows.
    """
    about, ids = [], [item.id for item in items]
    for answer in said:
        try:
            if is_among(answer.item, ids):
                about.append(answer)
        except UnknownItem as error:
            raise table.error(answer.row, str(error)) from None
    return about


def each_cell_once(table: "Table", said: Sequence[Said]) -> Iterator[Said]:
    """Yield the first row about each cell of one user.

    Raises
    ------
    DataError
        With its line, at a decision that is not known or that contradicts an earlier one.
    """
    first: dict[tuple[str, str], Said] = {}
    for answer in said:
        before = first.setdefault((answer.item, answer.friend), answer)
        if answer.decision not in set(Decision):
            raise table.error(answer.row, f"decision {answer.decision!r:.40} is not known; use allow, deny or ask")
        if before.decision != answer.decision:
            line = table.lines[before.row]
            wrong = f"{answer.decision!r} contradicts {before.decision!r} in line {line}; keep one of the two"
            raise table.error(answer.row, wrong)
        if before is answer:
            yield answer


def networks(graph: str, profiles: str | None) -> "Callable[[str], EgoNetwork]":
    """Return what gives a user's ego network; a graph file is read once."""
    from privwiz.graphs import ego_network
    from privwiz.readers import read_ego_network, read_graph

    if Path(graph).is_dir():
        return lambda user: read_ego_network(graph, user, profiles)
    whole = read_graph(graph, profiles)

    def network_of(user: str) -> "EgoNetwork":
        try:
            return ego_network(whole, user)
        except DataError as error:
            raise DataError(str(error), source=source_name(graph)) from None

    return network_of

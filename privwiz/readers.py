"""Social graphs and ego networks from files: edge lists with profile tables, GraphML, node-link JSON, SNAP folders."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import networkx as nx

from privwiz.errors import DataError
from privwiz.files import STANDARD, FilePath, ending, read_text, source_name
from privwiz.graphml import read_graphml
from privwiz.graphs import EgoNetwork, ego_network
from privwiz.snap import read_snap_circles, read_snap_ego_network, snap_egos
from privwiz.social import add_profile, add_tie, add_user
from privwiz.tables import iter_tables, text_of
from privwiz.ties import tie_weight
from privwiz.words import list_some

__all__ = ["read_ego_network", "read_graph", "read_snap_circles", "read_snap_ego_network", "read_snap_egos"]


def read_graph(path: FilePath, profiles: FilePath | None = None) -> nx.Graph:
    """Read a social graph from a file, by its ending, or an edge list in CSV from standard input.

    Parameters
    ----------
    path : path
        ``.csv`` or ``.parquet``: an edge list with the columns ``source``, ``target`` and, if wanted, ``weight``; ``"-"`` is one
        in CSV from standard input. ``.graphml``: GraphML. ``.json``: node-link data as `networkx.node_link_data` writes it, with
        ``edges`` or ``links``.
    profiles : path, optional
        A table with the columns ``user``, ``field`` and ``value``, a row for each value; an empty value says nothing. It adds to
        the attributes that the graph brings. Rows about users who are not in the graph are passed over.

    Returns
    -------
    networkx.Graph
        Simple and undirected, all ids text. Node attributes are profiles (field -> values). Of repeated ties the strongest
        counts; a self-tie adds only its user. Edges have ``weight`` where the file states one.

    Raises
    ------
    DataError
        If a file cannot be read, is damaged or has another form; with file and, where there is one, line.
    MissingExtra
        If a Parquet file is to be read and pyarrow is not installed.
    """
    forms = {".csv": _read_edges, ".parquet": _read_edges, ".graphml": read_graphml, ".json": _read_node_link}
    form = _read_edges if path == STANDARD else forms.get(ending(path))
    if form is None:
        wrong = f"ends in {ending(path)!r}; a graph ends in '.csv', '.parquet', '.graphml' or '.json', or is a SNAP folder"
        raise DataError(wrong, source=source_name(path))
    graph = form(path)
    if profiles is not None:
        _add_profiles(graph, profiles)
    return graph


def read_ego_network(path: FilePath, ego: str | None = None, profiles: FilePath | None = None) -> EgoNetwork:
    """Read one user's ego network: from a SNAP folder if ``path`` is a directory, else out of the graph in a file.

    Parameters
    ----------
    path, profiles : path
        As `read_graph` takes them; a SNAP folder brings its own profiles.
    ego : str, optional
        The user. May be left out if there is only one: one ``.edges`` file in the folder, one user in the graph.

    Raises
    ------
    DataError
        As `read_graph` and `read_snap_ego_network`, and if the user is not there or must be named.
    """
    if not Path(path).is_dir():
        graph = read_graph(path, profiles)
        return ego_network(graph, _choose(ego, graph, source_name(path)))
    return read_snap_ego_network(path, _choose(ego, read_snap_egos(path, profiles), source_name(path)))


def read_snap_egos(path: FilePath, profiles: FilePath | None = None) -> tuple[str, ...]:
    """Return the egos of a SNAP folder, sorted.

    Parameters
    ----------
    path : path
        The folder.
    profiles : path, optional
        What was given as a table of profiles.

    Raises
    ------
    DataError
        If there is no ego network in the folder, or there is a table of profiles: the folder brings its own.
    """
    egos = snap_egos(path)
    if not egos:
        raise DataError(
            "a directory without .edges files; give a graph file or a SNAP ego-network folder", source=source_name(path)
        )
    if profiles is not None:
        raise DataError("a SNAP folder brings its own profiles; leave the profile table out", source=source_name(path))
    return egos


def _choose(ego: str | None, users: Iterable[str], source: str) -> str:
    known = dict.fromkeys(users)
    if ego is None and len(known) == 1:
        return next(iter(known))
    if ego is not None and ego in known:
        return ego
    listed = f"the users are {list_some(sorted(known), 5)}" if known else "there is no user in it"
    raise DataError(f"{'the user must be named' if ego is None else f'there is no user {ego!r}'}; {listed}", source=source)


def _read_edges(path: FilePath) -> nx.Graph:
    graph = nx.Graph()
    for piece in iter_tables(path, ("source", "target"), ("weight",)):
        piece.check_filled("source", "target")
        for row, (source, target, weight) in enumerate(piece.rows()):
            try:
                add_tie(graph, source, target, tie_weight(weight))
            except DataError as error:
                raise piece.error(row, str(error)) from None
    return graph


def _add_profiles(graph: nx.Graph, path: FilePath) -> None:
    found: dict[str, dict[str, list[str]]] = {}
    for piece in iter_tables(path, ("user", "field", "value")):
        piece.check_filled("user", "field")
        for user, name, value in piece.rows():
            if user in graph:
                found.setdefault(user, {}).setdefault(name, []).append(value)
    for user, attributes in found.items():
        add_profile(graph, user, attributes)


def _read_node_link(path: FilePath) -> nx.Graph:
    source, graph = source_name(path), nx.Graph()
    document = _read_json(path)
    lists = [document[name] for name in ("nodes", "edges", "links") if name in document] if isinstance(document, dict) else []
    if len(lists) != 2 or "nodes" not in document or not all(isinstance(entries, list) for entries in lists):
        wrong = (
            "not node-link JSON; it needs a list 'nodes' and a list 'edges' (or 'links'), as networkx.node_link_data writes it"
        )
        raise DataError(wrong, source=source)
    nodes, edges = lists
    for k, node in enumerate(nodes):
        try:
            (user,) = _ids(node, "id")
            add_user(graph, user, {name: value for name, value in node.items() if name != "id"})
        except DataError as error:
            raise DataError(f"nodes[{k}]: {error}", source=source) from None
    place = "edges" if "edges" in document else "links"
    for k, edge in enumerate(edges):
        try:
            source_id, target_id = _ids(edge, "source", "target")
            _check_known(graph, source_id, target_id)
            add_tie(graph, source_id, target_id, tie_weight(edge.get("weight")))
        except DataError as error:
            raise DataError(f"{place}[{k}]: {error}", source=source) from None
    return graph


def _read_json(path: FilePath) -> Any:
    text, source = read_text(path), source_name(path)
    try:
        document = json.loads(text)
        if "\\u" in text:
            json.dumps(document, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON ({error.msg}); write the file again", source=source, line=error.lineno) from None
    except UnicodeEncodeError:
        raise DataError("half a character (a lone surrogate such as \\ud800); correct it", source=source) from None
    except (ValueError, RecursionError) as error:
        what = "lists in lists without end" if isinstance(error, RecursionError) else "a number of thousands of digits"
        raise DataError(f"not usable JSON ({what}); write the file again", source=source) from None
    return document


def _ids(entry: object, *names: str) -> list[str]:
    if not isinstance(entry, dict):
        raise DataError(f"{entry!r:.80} is not an object; write it as {{{', '.join(f'{name!r}: ...' for name in names)}}}")
    for name in names:
        value = entry.get(name)
        if name not in entry:
            raise DataError(f"{name!r} is missing; add it")
        if (
            isinstance(value, bool)
            or not isinstance(value, str | int | float)
            or (isinstance(value, float) and not math.isfinite(value))
        ):
            raise DataError(f"{name!r} is {value!r:.80}; an id is text or a number")
    return [text_of(entry[name]) for name in names]


def _check_known(graph: nx.Graph, *users: str) -> None:
    for user in users:
        if user not in graph:
            raise DataError(f"{user!r} is not the id of a node; add the node")

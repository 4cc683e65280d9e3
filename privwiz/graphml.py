"""GraphML: users with their attributes and weighted ties, read with the line of whatever is wrong.

U. Brandes et al., "GraphML Progress Report: Structural Layer Proposal", Graph Drawing 2001, doi:10.1007/3-540-45848-4_59
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from xml.parsers import expat

import networkx as nx

from privwiz.errors import DataError
from privwiz.files import FilePath, reading, source_name
from privwiz.social import add_tie, add_user
from privwiz.ties import tie_weight

__all__ = ["read_graphml"]

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_TYPES: dict[str, Callable[[str], object]] = {
    "boolean": lambda text: _BOOLEANS[text.lower()],
    "int": int,
    "long": int,
    "float": float,
    "double": float,
}


def read_graphml(path: FilePath) -> nx.Graph:
    """Read a GraphML file as a simple undirected graph; node attributes become profiles, the edge attribute ``weight`` is kept.

    Nodes of nested graphs count like others; values that are blank or XML themselves (drawing
    instructions of editors) are passed over.

    Raises
    ------
    DataError
        If the file is not XML or not GraphML, or names something that it does not define; with the line.
    """
    reader = _Reader(source_name(path))
    try:
        with reading(path) as file:
            reader.parser.ParseFile(file)
    except expat.ExpatError as error:
        wrong = f"not XML ({expat.ErrorString(error.code)}); write the file again as GraphML"
        raise DataError(wrong, source=source_name(path), line=error.lineno) from None
    return reader.graph()


@dataclass(slots=True)
class _Key:
    """What a ``<key>`` declares: an attribute's name and type, which elements have it, and its value where none is given."""

    name: str
    kind: str
    domain: str
    default: object = None


@dataclass(slots=True)
class _Part:
    """An open element: the ids it names (of a node, a key, both ends of an edge) and the values of its ``<data>``."""

    tag: str
    line: int
    ids: tuple[str, ...] = ()
    data: dict[str, object] = field(default_factory=dict)


class _Reader:
    """Follows the events of the XML parser; ``open`` are the open elements, ``users`` and ``ties`` those that were complete."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.characters
        self.keys: dict[str, _Key] = {}
        self.open: list[_Part] = []
        self.users: dict[str, _Part] = {}
        self.ties: list[_Part] = []
        self.graphs = 0
        self.text: list[str] | None = None

    def error(self, message: str, line: int | None = None) -> DataError:
        return DataError(message, source=self.source, line=line or self.parser.CurrentLineNumber)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(" ")[2]
        part = _Part(tag, self.parser.CurrentLineNumber)
        if not self.open and tag != "graphml":
            raise self.error(f"begins with <{tag}>; a GraphML file begins with <graphml>")
        if tag == "node":
            part.ids = self.needed(tag, attributes, "id")
        elif tag == "edge":
            part.ids = self.needed(tag, attributes, "source", "target")
        elif tag == "hyperedge":
            raise self.error("a <hyperedge> ties more than two; write it as edges")
        elif tag == "key":
            part.ids = self.needed(tag, attributes, "id")
            name = attributes.get("attr.name") or part.ids[0]
            self.keys[part.ids[0]] = _Key(name, attributes.get("attr.type", "string"), attributes.get("for", "all"))
        elif tag == "data":
            part.ids = self.needed(tag, attributes, "key")
            if part.ids[0] not in self.keys:
                raise self.error(f"<data> names the key {part.ids[0]!r}; declare it by a <key>")
        elif tag == "graph" and not any(outer.tag == "graph" for outer in self.open):
            self.graphs += 1
        self.text = [] if tag in {"data", "default"} else None
        self.open.append(part)

    def needed(self, tag: str, attributes: dict[str, str], *names: str) -> tuple[str, ...]:
        missing = [name for name in names if not attributes.get(name)]
        if missing:
            raise self.error(f"<{tag}> without {missing[0]!r}; give every {tag} one")
        return tuple(attributes[name] for name in names)

    def characters(self, text: str) -> None:
        if self.text is not None:
            self.text.append(text)

    def end(self, _: str) -> None:
        part, text, self.text = self.open.pop(), self.text, None
        if part.tag == "data" and text is not None:
            key = self.keys[part.ids[0]]
            self.open[-1].data[key.name] = self.value(key, "".join(text), part.line)
        elif part.tag == "default" and text is not None and self.open[-1].tag == "key":
            key = self.keys[self.open[-1].ids[0]]
            key.default = self.value(key, "".join(text), part.line)
        elif part.tag == "edge":
            self.ties.append(part)
        elif part.tag == "node":
            if part.ids[0] in self.users:
                raise self.error(f"the id {part.ids[0]!r} is there already; give every node another", part.line)
            self.users[part.ids[0]] = part

    def value(self, key: _Key, text: str, line: int) -> object:
        if not text.strip():
            return None
        try:
            return _TYPES.get(key.kind, str)(text.strip() if key.kind in _TYPES else text)
        except (ValueError, KeyError):
            raise self.error(
                f"{text!r:.80} is not of type {key.kind!r}, which {key.name!r} has; correct one of them", line
            ) from None

    def graph(self) -> nx.Graph:
        if self.graphs != 1:
            raise DataError(f"holds {self.graphs} graphs; keep one <graph> in a file", source=self.source)
        graph = nx.Graph()
        defaults = {
            domain: {
                key.name: key.default for key in self.keys.values() if key.domain in {domain, "all"} and key.default is not None
            }
            for domain in ("node", "edge")
        }
        for user, part in self.users.items():
            add_user(graph, user, {**defaults["node"], **part.data})
        for part in self.ties:
            first, second = part.ids
            for user in part.ids:
                if user not in self.users:
                    raise self.error(f"an edge names {user!r}, which is not a node; add a <node>", part.line)
            try:
                add_tie(graph, first, second, tie_weight({**defaults["edge"], **part.data}.get("weight")))
            except DataError as error:
                raise self.error(str(error), part.line) from None
        return graph

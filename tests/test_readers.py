"""Reading graphs and ego networks: every form means the same, real networks are whole, and every defect has its exact message."""

import json
from itertools import pairwise
from pathlib import Path

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet as pq

from privwiz.errors import DataError
from privwiz.graphs import ego_network
from privwiz.profiles import FIELDS
from privwiz.readers import read_ego_network, read_graph, read_snap_circles, read_snap_ego_network
from privwiz.tables import write_table

LAWS = settings(max_examples=40)

EGOS = {"0": 347, "107": 1045, "348": 227, "414": 159, "686": 170, "698": 66, "1684": 792, "1912": 755, "3437": 547, "3980": 59}

# What XML 1.0 can hold, without the line ends that it normalises.
names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\ufffe\uffff"), min_size=1, max_size=4
)


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path, monkeypatch):
    """Every test works in its own empty folder, so that messages show short names."""
    monkeypatch.chdir(tmp_path)


@st.composite
def graphs(draw):
    """Draw a graph as `read_graph` returns them, in which everybody has a tie."""
    people = draw(st.lists(names, min_size=2, max_size=7, unique=True))
    weighted = draw(st.booleans())
    graph = nx.Graph()
    for a, b in pairwise(people):
        graph.add_edge(a, b, **({"weight": draw(st.floats(1e-9, 1e9))} if weighted else {}))
    for person in people:
        fields = draw(st.dictionaries(names, st.frozensets(names, min_size=1, max_size=3), max_size=2))
        graph.nodes[person].update({field: tuple(sorted(values)) for field, values in fields.items()})
    return graph


def put(name, data):
    """Write a text or binary file, with its folder, and return its name."""
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return name


def holds(graph):
    """Return all that a graph holds, in a form that ``==`` compares."""
    ties = {frozenset(ends): data for *ends, data in graph.edges(data=True)}
    return type(graph), dict(graph.nodes(data=True)), ties


def snap(**changed):
    """Write a small sound SNAP folder, with some of its files changed (None: missing)."""
    files = {
        "edges": "2 3\n3 2\n",
        "feat": "2 1 0\n3 0 1\n",
        "egofeat": "1 1\n",
        "featnames": "0 education;school;id;anonymized feature 5\n1 gender;anonymized feature 77\n",
        "circles": "circle0\t3\t2\ncircle1\n",
    }
    for ending, text in {**files, **changed}.items():
        if text is not None:
            put(f"snap/1.{ending}", text)


def content(network):
    """Return all that an ego network holds, in a form that ``==`` compares."""
    arrays = [None if a is None else a.tolist() for a in (network.indptr, network.indices, network.weights, network.ego_weights)]
    return network.ego, network.friends, arrays, network.profiles, network.ego_profile


# -- every form means the same


@given(graphs())
@LAWS
def test_tables_round_trip(tmp_path_factory, graph):
    """A graph written as edge list and profile table, CSV or Parquet, reads as it was."""
    folder = tmp_path_factory.mktemp("graph")
    edges = list(graph.edges(data="weight"))
    rows = [(user, field, value) for user, data in graph.nodes(data=True) for field, values in data.items() for value in values]
    for ending in (".csv", ".parquet"):
        write_table(
            folder / f"e{ending}",
            {"source": [a for a, _, _ in edges], "target": [b for _, b, _ in edges], "weight": [weight for *_, weight in edges]},
        )
        write_table(folder / f"p{ending}", {name: [row[k] for row in rows] for k, name in enumerate(("user", "field", "value"))})
        assert holds(read_graph(folder / f"e{ending}", folder / f"p{ending}")) == holds(graph)


@given(graphs(), st.booleans())
@LAWS
def test_node_link_round_trip(tmp_path_factory, graph, old):
    """A graph written by networkx as node-link JSON, with ``edges`` or the older ``links``, reads as it was."""
    path = tmp_path_factory.mktemp("graph") / "g.json"
    safe = nx.Graph(graph)
    for data in safe.nodes.values():
        data.pop("id", None)  # a field of this name has no place in node-link data
    path.write_text(json.dumps(nx.node_link_data(safe, edges="links" if old else "edges")), encoding="utf-8")
    assert holds(read_graph(path)) == holds(safe)


@given(graphs(), st.booleans())
@LAWS
def test_graphml_round_trip(tmp_path_factory, graph, pretty):
    """A graph written by networkx as GraphML reads as it was."""
    path = tmp_path_factory.mktemp("graph") / "g.graphml"
    plain = nx.Graph(graph)
    for data in (*plain.nodes.values(), *graph.nodes.values()):
        data.update({field: values[0] for field, values in data.items() if values[0].strip()})
        for field in [field for field, values in data.items() if not isinstance(values, str)]:
            del data[field]
    nx.write_graphml_xml(plain, path, prettyprint=pretty)
    for data in graph.nodes.values():
        data.update({field: (value,) for field, value in data.items()})
    assert holds(read_graph(path)) == holds(graph)


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".json", ".graphml"])
def test_repeats_self_ties_and_directions(ending):
    """In every form, of repeated ties the strongest counts (1 if it states none) and a self-tie adds only its user."""
    ties = [
        ("a", "b", 0.5),
        ("b", "a", 0.25),
        ("a", "c", 0.5),
        ("c", "a", None),
        ("d", "d", 3),
        ("b", "c", None),
        ("c", "b", None),
    ]
    graph = nx.MultiDiGraph()
    for a, b, weight in ties:
        graph.add_edge(a, b, **({} if weight is None else {"weight": weight}))
    if ending == ".json":
        put("g.json", json.dumps(nx.node_link_data(graph, edges="edges")))
    elif ending == ".graphml":
        nx.write_graphml_xml(graph, "g.graphml")
    else:
        write_table(f"g{ending}", {name: [tie[k] for tie in ties] for k, name in enumerate(("source", "target", "weight"))})
    expected = nx.Graph([("a", "b", {"weight": 0.5}), ("a", "c", {"weight": 1.0}), ("b", "c")])
    expected.add_node("d")
    assert holds(read_graph(f"g{ending}")) == holds(expected)


def test_what_profile_tables_add():
    """Rows add up to several values, empty values say nothing, strangers are passed over, the file's own attributes stay."""
    put("g.json", '{"nodes": [{"id": 1, "school": "PKU"}, {"id": 2}], "links": [{"source": 1, "target": 2}]}')
    put("p.csv", "value,field,user,since\nMIT,school,1,x\nPKU,school,1,x\n,town,1,x\nf,gender,2,x\nX,school,9,x\n")
    graph = read_graph("g.json", "p.csv")
    assert dict(graph.nodes(data=True)) == {"1": {"school": ("MIT", "PKU")}, "2": {"gender": ("f",)}}


def test_ids_stay_as_they_are():
    """Leading spaces, composed and decomposed letters, other alphabets and very long ids are kept; so are line ends in quotes."""
    odd = [" a", "a", "\u00e9", "e\u0301", "王芳", "🧙", "x" * 100_000, 'say "hi", bo', "two\nlines"]
    write_table("g.csv", {"source": odd, "target": ["me"] * len(odd)})
    assert set(read_ego_network("g.csv", "me").friends) == set(odd)


def test_files_of_other_systems():
    """A byte order mark, CRLF line ends, blank lines and a missing last line end change nothing."""
    put("g.csv", b"\xef\xbb\xbfsource,target\r\na,b\r\n\r\nb,c")
    put("p.csv", b"\xef\xbb\xbfuser,field,value\r\na,school,\xe5\x8c\x97\xe4\xba\xac\r\n")
    graph = read_graph("g.csv", "p.csv")
    assert (set(graph.edges), graph.nodes["a"]) == ({("a", "b"), ("b", "c")}, {"school": ("北京",)})
    put("g.json", b'\xef\xbb\xbf{"nodes": [],\r\n"edges": []}\r\n')
    assert len(read_graph("g.json")) == 0


def test_graphml_of_other_writers():
    """Defaults, types, prefixes, nested graphs, editors' drawings and other encodings are understood."""
    text = """<?xml version="1.0" encoding="ISO-8859-1"?>
    <g:graphml xmlns:g="http://graphml.graphdrawing.org/xmlns" xmlns:y="http://www.yworks.com/xml/graphml">
      <g:desc>made by hand</g:desc>
      <g:key id="t" for="node" attr.name="town" attr.type="string"><g:desc>where</g:desc><g:default>K\xf6ln</g:default></g:key>
      <g:key id="y" for="node" attr.name="year" attr.type="int"/> <g:key id="v" for="all" attr.name="vip" attr.type="boolean"/>
      <g:key id="w" for="edge" attr.name="weight" attr.type="double"><g:default>2</g:default></g:key>
      <g:key id="n" for="node" yfiles.type="nodegraphics"/>
      <g:graph edgedefault="undirected">
        <g:node id="a"><g:data key="y"> 1990 </g:data><g:data key="v">TRUE</g:data>
          <g:port name="x"><g:data key="t">no</g:data></g:port></g:node>
        <g:node id="b"><g:data key="t">Bonn</g:data><g:data key="y"></g:data>
          <g:data key="n"><y:Shape><y:Label>B</y:Label></y:Shape></g:data>
          <g:graph edgedefault="directed"><g:node id="c"/>
            <g:edge source="c" target="a"><g:data key="w">5</g:data></g:edge></g:graph>
        </g:node>
        <g:edge source="a" target="b"/>
      </g:graph>
    </g:graphml>"""
    put("g.graphml", text.encode("latin-1"))
    graph = read_graph("g.graphml")
    assert dict(graph.nodes(data=True)) == {
        "c": {"town": ("Köln",)},
        "a": {"town": ("Köln",), "vip": ("true",), "year": ("1990",)},
        "b": {"town": ("Bonn",)},
    }
    assert {frozenset((a, b)): weight for a, b, weight in graph.edges(data="weight")} == {frozenset("ab"): 2, frozenset("ac"): 5}


# -- SNAP folders


def test_a_snap_folder_in_small():
    """Rows become profiles of named fields, ties count once, and the circles are read only when asked for."""
    snap()
    network = read_snap_ego_network("snap", "1")
    assert content(network) == (
        "1",
        ("2", "3"),
        [[0, 1, 2], [1, 0], None, None],
        {"2": {"school": ("5",)}, "3": {"gender": ("77",)}},
        {"school": ("5",), "gender": ("77",)},
    )
    assert read_snap_circles("snap", "1") == (("2", "3"),)


def test_circles_are_no_part_of_a_snap_network():
    """Without ``.circles`` the network is the same; who asks for the circles is told that the file is missing."""
    snap()
    before = content(read_snap_ego_network("snap", "1"))
    Path("snap/1.circles").unlink()
    assert content(read_snap_ego_network("snap", "1")) == before
    with pytest.raises(DataError) as caught:
        read_snap_circles("snap", "1")
    assert str(caught.value) == "snap/1.circles: no such file; check the path"


def test_odd_but_sound_snap_folders():
    """Friends without row have no profile; self-ties, ties to the user and blank lines add nothing; files may be empty."""
    snap(edges="\r\n2 2\r\n1 2\r\n3 4\r\n3 4\r\n", feat="2 1 0\r\n\r\n3 0 0\r\n")
    network = read_snap_ego_network("snap", "1")
    assert (network.friends, network.profiles["4"], network.degree.tolist()) == (("2", "3", "4"), {}, [0, 1, 1])
    snap(edges="", feat="")
    assert read_snap_ego_network("snap", "1").n == 0
    snap(edges="", feat="2\n", featnames="", egofeat="")
    assert read_snap_ego_network("snap", "1").profiles == {"2": {}}


def test_fields_outside_the_canonical_ones_have_plain_names():
    """Every feature of the ten networks keeps a field: a canonical one, or its own name without ``id``."""
    featnames = [
        "work;start_date;anonymized feature 1",
        "education;degree;id;anonymized feature 2",
        "birthday;anonymized feature 3",
    ]
    snap(featnames="".join(f"{k} {name}\n" for k, name in enumerate(featnames)), feat="2 1 1 1\n3 0 0 0\n", egofeat="0 0 0")
    expected = {"birthday": ("3",), "education_degree": ("2",), "work_start_date": ("1",)}
    assert read_snap_ego_network("snap", "1").profiles["2"] == expected


@pytest.mark.parametrize("ego", EGOS)
def test_real_networks_are_whole(ego_facebook, ego):
    """Each of the ten networks has the friends, ties, features and circles that its files list, counted in the plainest way."""
    network = read_snap_ego_network(ego_facebook, ego)
    rows = [line.split() for line in (ego_facebook / f"{ego}.feat").read_text().splitlines()]
    ties = {frozenset(line.split()) for line in (ego_facebook / f"{ego}.edges").read_text().splitlines() if line}
    assert network.n == EGOS[ego]
    assert network.friends == tuple(sorted(row[0] for row in rows))
    assert {frozenset(pair) for pair in network.graph.edges} == ties
    for name, *flags in rows:
        assert sum(map(len, network.profiles[name].values())) == flags.count("1")
    assert set(FIELDS) & set(network.fields)
    circles = read_snap_circles(ego_facebook, ego)
    assert {friend for circle in circles for friend in circle} <= set(network.friends)


def test_features_are_comparable_across_real_networks(ego_facebook):
    """A friend who is in two networks of the ten has the same gender value in both: values mean the same across egos."""
    seen = {}
    both = 0
    for ego in EGOS:
        network = read_snap_ego_network(ego_facebook, ego)
        for friend, gender in zip(network.friends, network.values("gender"), strict=True):
            both += friend in seen and bool(gender) and bool(seen[friend])
            assert not gender or not seen.get(friend) or gender == seen[friend]
            seen[friend] = gender or seen.get(friend, ())
    assert both > 0


def test_a_real_network_out_of_a_graph(ego_facebook):
    """The networkx graph of a real network, with its ego tied to all, gives the network back."""
    network = read_snap_ego_network(ego_facebook, "348")
    graph = nx.Graph(network.graph)
    graph.add_node("348", **network.ego_profile)
    graph.add_edges_from(("348", friend) for friend in network.friends)
    assert content(ego_network(graph, "348")) == content(network)


# -- one ego network from a file


def test_the_ego_may_be_left_out_where_there_is_one():
    """A folder with one ego and a graph with one user need no name."""
    snap()
    put("g.csv", "source,target\nme,me\n")
    assert read_ego_network("snap").ego == "1"
    assert read_ego_network("g.csv").ego == "me"


def test_an_ego_network_out_of_a_file():
    """`read_ego_network` is `read_graph` followed by `ego_network`."""
    put("g.csv", "source,target,weight\nme,a,1\nb,me,2\na,b,3\nb,far,9\n")
    put("p.csv", "user,field,value\na,school,PKU\nme,school,PKU\n")
    network = read_ego_network("g.csv", "me", profiles="p.csv")
    assert content(network) == content(ego_network(read_graph("g.csv", "p.csv"), "me"))
    assert (network.ego_weights.tolist(), network.weights.tolist(), network.values("school")) == ([1, 2], [3, 3], (("PKU",), ()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("g.csv",), "g.csv: the user must be named; the users are a, b, c, d, e ..."),
        (("g.csv", "z"), "g.csv: there is no user 'z'; the users are a, b, c, d, e ..."),
        (("empty.csv",), "empty.csv: the user must be named; there is no user in it"),
        (("snap", "2"), "snap: there is no user '2'; the users are 1"),
        (("snap", "1", "p.csv"), "snap: a SNAP folder brings its own profiles; leave the profile table out"),
        (("folder",), "folder: a directory without .edges files; give a graph file or a SNAP ego-network folder"),
        (("missing",), "missing: ends in ''; a graph ends in '.csv', '.parquet', '.graphml' or '.json', or is a SNAP folder"),
        (("missing.csv",), "missing.csv: no such file; check the path"),
    ],
)
def test_egos_that_are_not_there(tmp_path, arguments, message):
    """An ego that must be named or is not there is refused with some of the users that are."""
    put("g.csv", "source,target\na,b\nc,d\ne,f\n")
    put("empty.csv", "source,target\n")
    (tmp_path / "folder").mkdir()
    snap()
    with pytest.raises(DataError) as caught:
        read_ego_network(*arguments)
    assert str(caught.value) == message


# -- the table of bad files

RULE = "a weight is a number from 1e-100 to 1e+100"
NODE_LINK = (
    "g.json: not node-link JSON; it needs a list 'nodes' and a list 'edges' (or 'links'), as networkx.node_link_data writes it"
)
NODES = '{"nodes": [{"id": "a"}, {"id": "b"}], "edges": '
KEYS = '<graphml>\n<key id="w" for="edge" attr.name="weight"/><key id="n" attr.name="age" attr.type="int"/>\n<graph>\n'

BAD_GRAPHS = [
    # edge lists
    ("g.csv", "", "g.csv: empty; its first line must name the columns source, target"),
    ("g.csv", "a,b\nb,c\n", "g.csv, line 1: columns 'source', 'target' are missing (found 'a', 'b'); name them in the header"),
    (
        "g.csv",
        "source,target\na,b\nc",
        "g.csv, line 3: 1 values for 2 columns; separate values by commas and quote a value that holds one",
    ),
    ("g.csv", "source,target\na,b\n,c\n", "g.csv, line 3: 'source' is empty; every row needs one"),
    ("g.csv", "source,target\na,\n", "g.csv, line 2: 'target' is empty; every row needs one"),
    ("g.csv", "source,target,weight\na,b,1\na,c,nan\n", f"g.csv, line 3: the tie has weight 'nan'; {RULE}"),
    ("g.csv", "source,target,weight\na,b,inf\n", f"g.csv, line 2: the tie has weight 'inf'; {RULE}"),
    ("g.csv", "source,target,weight\na,b,0\n", f"g.csv, line 2: the tie has weight '0'; {RULE}"),
    ("g.csv", "source,target,weight\na,b,-2\n", f"g.csv, line 2: the tie has weight '-2'; {RULE}"),
    ("g.csv", 'source,target,weight\na,b,"1,5"\n', f"g.csv, line 2: the tie has weight '1,5'; {RULE}"),
    ("g.csv", b"source,target\nJos\xe9,b\n", "g.csv, line 2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
    ("g.csv", b"PK\x03\x04\0\0", "g.csv, line 1: a zero byte: not a text file; save it as UTF-8"),
    (
        "g.parquet",
        b"PAR1",
        "g.parquet: not a Parquet file, or damaged; write it again",
    ),
    ("g.txt", "a b\n", "g.txt: ends in '.txt'; a graph ends in '.csv', '.parquet', '.graphml' or '.json', or is a SNAP folder"),
    ("g.csv", None, "g.csv: no such file; check the path"),
    ("g.graphml", None, "g.graphml: no such file; check the path"),
    ("g.json", None, "g.json: no such file; check the path"),
    ("folder.graphml", "folder", "folder.graphml: a directory; give a file"),
    ("folder.json", "folder", "folder.json: a directory; give a file"),
    # node-link JSON
    ("g.json", "", "g.json, line 1: not JSON (Expecting value); write the file again"),
    ("g.json", '{"nodes": [\n{"id": "a"},\n', "g.json, line 3: not JSON (Expecting value); write the file again"),
    ("g.json", b'{"nodes": ["\xff"]}', "g.json, line 1: byte 0xff is not UTF-8; save the file as UTF-8"),
    (
        "g.json",
        "[" * 100_000,
        "g.json: not usable JSON (lists in lists without end); write the file again",
    ),
    (
        "g.json",
        f'{{"nodes": [{{"id": {"9" * 5000}}}], "edges": []}}',
        "g.json: not usable JSON (a number of thousands of digits); write the file again",
    ),
    (
        "g.json",
        '{"nodes": [{"id": "\\ud800"}], "edges": []}',
        "g.json: half a character (a lone surrogate such as \\ud800); correct it",
    ),
    ("g.json", "[1, 2]", NODE_LINK),
    ("g.json", '{"nodes": []}', NODE_LINK),
    ("g.json", '{"edges": [], "links": []}', NODE_LINK),
    ("g.json", '{"nodes": [], "edges": [], "links": []}', NODE_LINK),
    ("g.json", '{"nodes": {}, "edges": []}', NODE_LINK),
    ("g.json", '{"nodes": ["a"], "edges": []}', "g.json: nodes[0]: 'a' is not an object; write it as {'id': ...}"),
    ("g.json", '{"nodes": [{"name": "a"}], "edges": []}', "g.json: nodes[0]: 'id' is missing; add it"),
    ("g.json", '{"nodes": [{"id": null}], "edges": []}', "g.json: nodes[0]: 'id' is None; an id is text or a number"),
    ("g.json", '{"nodes": [{"id": NaN}], "edges": []}', "g.json: nodes[0]: 'id' is nan; an id is text or a number"),
    ("g.json", '{"nodes": [{"id": true}], "edges": []}', "g.json: nodes[0]: 'id' is True; an id is text or a number"),
    ("g.json", '{"nodes": [{"id": ""}], "edges": []}', "g.json: nodes[0]: an id is empty; give every user an id"),
    (
        "g.json",
        '{"nodes": [{"id": 1}, {"id": "1"}], "edges": []}',
        "g.json: nodes[1]: the id '1' is there already; give every user another",
    ),
    (
        "g.json",
        '{"nodes": [{"id": 1, "job": {"at": "PKU"}}], "edges": []}',
        "g.json: nodes[0]: field 'job' in the profile of '1' holds {'at': 'PKU'}; give text, numbers or a list of these",
    ),
    (
        "g.json",
        NODES + '[["a", "b"]]}',
        "g.json: edges[0]: ['a', 'b'] is not an object; write it as {'source': ..., 'target': ...}",
    ),
    ("g.json", NODES + '[{"source": "a"}]}', "g.json: edges[0]: 'target' is missing; add it"),
    (
        "g.json",
        NODES.replace("edges", "links") + '[{"source": "a", "target": "z"}]}',
        "g.json: links[0]: 'z' is not the id of a node; add the node",
    ),
    ("g.json", NODES + '[{"source": "a", "target": "b", "weight": -1}]}', f"g.json: edges[0]: the tie has weight -1; {RULE}"),
    ("g.json", NODES + '[{"source": "a", "target": "b", "weight": [1]}]}', f"g.json: edges[0]: the tie has weight [1]; {RULE}"),
    # GraphML
    ("g.graphml", "", "g.graphml, line 1: not XML (no element found); write the file again as GraphML"),
    ("g.graphml", "source,target\na,b\n", "g.graphml, line 1: not XML (syntax error); write the file again as GraphML"),
    (
        "g.graphml",
        "<graphml>\n<graph>\n<node id='a'/>",
        "g.graphml, line 3: not XML (no element found); write the file again as GraphML",
    ),
    (
        "g.graphml",
        b"<graphml>\n<graph id='\xff'/></graphml>",
        "g.graphml, line 2: not XML (not well-formed (invalid token)); write the file again as GraphML",
    ),
    ("g.graphml", "<html>\n</html>", "g.graphml, line 1: begins with <html>; a GraphML file begins with <graphml>"),
    ("g.graphml", "<graphml/>", "g.graphml: holds 0 graphs; keep one <graph> in a file"),
    ("g.graphml", "<graphml><graph/><graph/></graphml>", "g.graphml: holds 2 graphs; keep one <graph> in a file"),
    ("g.graphml", "<graphml><graph>\n<node/></graph></graphml>", "g.graphml, line 2: <node> without 'id'; give every node one"),
    (
        "g.graphml",
        "<graphml><graph>\n<node id='a'/>\n<node id='a'/></graph></graphml>",
        "g.graphml, line 3: the id 'a' is there already; give every node another",
    ),
    (
        "g.graphml",
        "<graphml><graph><node id='a'/>\n<edge source='a'/></graph></graphml>",
        "g.graphml, line 2: <edge> without 'target'; give every edge one",
    ),
    (
        "g.graphml",
        "<graphml><graph><node id='a'/>\n<edge source='a' target='z'/></graph></graphml>",
        "g.graphml, line 2: an edge names 'z', which is not a node; add a <node>",
    ),
    (
        "g.graphml",
        "<graphml><graph>\n<hyperedge/></graph></graphml>",
        "g.graphml, line 2: a <hyperedge> ties more than two; write it as edges",
    ),
    (
        "g.graphml",
        "<graphml><graph><node id='a'>\n<data key='q'>1</data></node></graph></graphml>",
        "g.graphml, line 2: <data> names the key 'q'; declare it by a <key>",
    ),
    (
        "g.graphml",
        f"{KEYS}<node id='a'><data key='n'>old</data></node></graph></graphml>",
        "g.graphml, line 4: 'old' is not of type 'int', which 'age' has; correct one of them",
    ),
    (
        "g.graphml",
        f"{KEYS}<node id='a'/><node id='b'/>\n<edge source='a' target='b'><data key='w'>0</data></edge></graph></graphml>",
        f"g.graphml, line 5: the tie has weight '0'; {RULE}",
    ),
]


@pytest.mark.parametrize(("name", "data", "message"), BAD_GRAPHS)
def test_graphs_that_cannot_be_read(tmp_path, name, data, message):
    """Each bad graph file is a `DataError` with exactly this message: the file, the line, what is wrong and what to do."""
    if data == "folder":
        (tmp_path / name).mkdir()
    elif data is not None:
        put(name, data)
    with pytest.raises(DataError) as caught:
        read_graph(name)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("p.csv", "", "p.csv: empty; its first line must name the columns user, field, value"),
        (
            "p.csv",
            "user,school\na,PKU\n",
            "p.csv, line 1: columns 'field', 'value' are missing (found 'user', 'school'); name them in the header",
        ),
        ("p.csv", "user,field,value\na,,PKU\n", "p.csv, line 2: 'field' is empty; every row needs one"),
        ("p.csv", "user,field,value\na,x,y\n,school,PKU\n", "p.csv, line 3: 'user' is empty; every row needs one"),
        (
            "p.csv",
            'user,field,value\na,"x,y\n',
            "p.csv, line 2: not valid CSV (unexpected end of data); close every quotation mark, end lines with LF or CRLF",
        ),
        ("p.json", "{}", "p.json: ends in '.json'; a table ends in '.csv' or '.parquet'"),
        ("p.csv", None, "p.csv: no such file; check the path"),
    ],
)
def test_profile_tables_that_cannot_be_read(name, data, message):
    """Each bad profile table is a `DataError` with exactly this message, in which its own name stands."""
    put("g.csv", "source,target\na,b\n")
    if data is not None:
        put(name, data)
    with pytest.raises(DataError) as caught:
        read_graph("g.csv", name)
    assert str(caught.value) == message


def test_parquet_weights_that_are_none():
    """A weight in a Parquet file that is no weight is refused with its row; a null states none."""
    columns = {"source": ["a", "b"], "target": ["b", "c"], "weight": pa.array([None, np.nan])}
    pq.write_table(pa.table(columns), "g.parquet")
    with pytest.raises(DataError) as caught:
        read_graph("g.parquet")
    assert str(caught.value) == f"g.parquet, line 2: the tie has weight 'nan'; {RULE}"


@pytest.mark.parametrize(
    ("ego", "changed", "message"),
    [
        ("1", {"edges": None}, "snap/1.edges: no such file; check the path"),
        ("1", {"feat": None}, "snap/1.feat: no such file; check the path"),
        ("1", {"egofeat": None}, "snap/1.egofeat: no such file; check the path"),
        ("1", {"featnames": None}, "snap/1.featnames: no such file; check the path"),
        ("2", {}, "snap/2.featnames: no such file; check the path"),
        ("../snap/1", {}, "'../snap/1' is not the name of an ego; give the part of the file names before '.edges'"),
        ("", {}, "'' is not the name of an ego; give the part of the file names before '.edges'"),
        ("..", {}, "'..' is not the name of an ego; give the part of the file names before '.edges'"),
        ("1", {"edges": "2 3\n3"}, "snap/1.edges, line 2: 1 ids; a tie names two, separated by a space"),
        ("1", {"edges": "2 3 1\n"}, "snap/1.edges, line 1: 3 ids; a tie names two, separated by a space"),
        ("1", {"edges": b"2 3\n\xff"}, "snap/1.edges, line 2: byte 0xff is not UTF-8; save the file as UTF-8"),
        ("1", {"feat": "2 1 0\n3 0"}, "snap/1.feat, line 2: 1 features where .featnames has 2; write one 0 or 1 for each"),
        ("1", {"feat": "2 1 0 1\n"}, "snap/1.feat, line 1: 3 features where .featnames has 2; write one 0 or 1 for each"),
        ("1", {"feat": "2 1 yes\n"}, "snap/1.feat, line 1: feature 'yes' is neither 0 nor 1"),
        ("1", {"feat": "2 1 0\n\n2 1 0\n"}, "snap/1.feat, line 3: '2' has a row already; delete this row"),
        ("1", {"feat": "1 1 0\n"}, "snap/1.feat, line 1: '1' is the user, whose features stand in .egofeat; delete this row"),
        ("1", {"egofeat": ""}, "snap/1.egofeat: 0 rows; it must hold one, the features of the user '1'"),
        ("1", {"egofeat": "1 0\n1 0\n"}, "snap/1.egofeat: 2 rows; it must hold one, the features of the user '1'"),
        ("1", {"egofeat": "1 2\n"}, "snap/1.egofeat, line 1: feature '2' is neither 0 nor 1"),
        (
            "1",
            {"featnames": "1 gender;5\n"},
            "snap/1.featnames, line 1: not '0 FIELD;VALUE'; number the features from 0, one a line",
        ),
        (
            "1",
            {"featnames": "0 gender;5\n1 school"},
            "snap/1.featnames, line 2: not '1 FIELD;VALUE'; number the features from 0, one a line",
        ),
        (
            "1",
            {"featnames": "0 gender;\n"},
            "snap/1.featnames, line 1: not '0 FIELD;VALUE'; number the features from 0, one a line",
        ),
    ],
)
def test_snap_folders_that_cannot_be_read(ego, changed, message):
    """Each damaged SNAP folder is a `DataError` with exactly this message: the file, the line, what is wrong and what to do."""
    snap(**changed)
    with pytest.raises(DataError) as caught:
        read_snap_ego_network("snap", ego)
    assert str(caught.value) == message


@given(st.binary(max_size=40), st.integers(0, 200), st.sampled_from(["edges", "feat", "egofeat", "featnames"]))
@LAWS
def test_damaged_files_raise_nothing_else(tmp_path_factory, noise, place, ending):
    """Random bytes written over a good file of any form are read or are a `DataError`; no other exception leaves a reader."""
    folder = tmp_path_factory.mktemp("damaged")
    tie = "<node id='a'/><node id='b'><data key='n'>7</data></node><edge source='a' target='b'><data key='w'>3</data></edge>"
    good = {
        "g.graphml": f"{KEYS}{tie}</graph></graphml>",
        "g.json": NODES + '[{"source": "a", "target": "b", "weight": 2}]}',
        "g.csv": "source,target,weight\na,b,1\nb,c,2\n",
        "1.edges": "2 3\n",
        "1.feat": "2 1 0\n3 0 1\n",
        "1.egofeat": "1 1\n",
        "1.featnames": "0 gender;5\n1 school;6\n",
    }
    for name, text in good.items():
        data = text.encode()
        damaged = data[:place] + noise + data[place + len(noise) :]
        (folder / name).write_bytes(damaged if name in {"g.graphml", "g.json", "g.csv", f"1.{ending}"} else data)
    for read in (*(lambda name=name: read_graph(folder / name) for name in list(good)[:3]), lambda: read_ego_network(folder)):
        try:
            read()
        except DataError as error:
            assert str(error).startswith(str(folder))  # noqa: PT017 - either outcome is right

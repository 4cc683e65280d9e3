"""The sample networks are what their command makes, and what their README says."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

from privwiz.graphs import FIELDS
from privwiz.items import CATALOGUE
from privwiz.readers import read_ego_network, read_graph, read_snap_circles
from privwiz.samples import write_samples
from privwiz.tables import read_table

SAMPLES = Path(__file__).parents[1] / "sample_graphs"
TOWN = SAMPLES / "town"
DECISIONS = ("user", "item", "friend", "decision")


def files(folder):
    """Return path and content of every file below ``folder``, except the README."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "README.md")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_the_command_makes_the_samples_again(tmp_path):
    """``python -m privwiz.samples`` writes every sample file bit for bit as it is kept."""
    subprocess.run([sys.executable, "-W", "error", "-m", "privwiz.samples", tmp_path], check=True)
    assert files(tmp_path) == files(SAMPLES)


def test_the_check_sees_a_change(tmp_path):
    """Negative control: one changed byte in one file is seen."""
    write_samples(tmp_path)
    edges = tmp_path / "town" / "edges.csv"
    edges.write_bytes(edges.read_bytes().replace(b"ada", b"adb", 1))
    assert files(tmp_path) != files(SAMPLES)


def test_the_samples_are_small():
    """All sample files together stay below two megabytes."""
    assert sum(map(len, files(SAMPLES).values())) < 2_000_000


def test_ada_is_in_the_town():
    """The main user has about 230 friends, in a network of about 500 people, with profiles for all."""
    graph = read_graph(TOWN / "edges.csv", TOWN / "profiles.csv")
    network = read_ego_network(TOWN / "edges.csv", "ada", TOWN / "profiles.csv")
    assert len(graph) == 490
    assert network.n == 229
    assert network.ego_profile["name"] == ("Ada Lin",)
    assert set(network.fields) == {"name", *FIELDS}


def test_policies_and_answers_are_whole():
    """Six users have a decision for every item and friend, and ten answers for each item, which agree with the policy."""
    graph = read_graph(TOWN / "edges.csv")
    policies = {row[:3]: row[3] for row in read_table(TOWN / "policies.csv", DECISIONS).rows()}
    answers = {row[:3]: row[3] for row in read_table(TOWN / "answers.csv", DECISIONS).rows()}
    users = list(dict.fromkeys(user for user, *_ in policies))
    assert users[0] == "ada"
    assert sorted(graph.degree(user) for user in users) == [25, 50, 80, 110, 150, 229]
    assert set(policies) == {(user, item.id, friend) for user in users for item in CATALOGUE for friend in graph[user]}
    assert answers.items() <= policies.items()
    assert len(answers) == 10 * len(CATALOGUE) * len(users)


@pytest.mark.parametrize("name", ["small.graphml", "small.json"])
def test_small_samples_hold_the_same_graph(name):
    """GraphML and JSON hold the same people and ties, with names in Latin letters and Chinese characters."""
    graph = read_graph(SAMPLES / name)
    assert len(graph) == 27
    assert "ada" in graph
    names = {name for profile in graph.nodes.values() for name in profile["name"]}
    assert {name.isascii() for name in names} == {True, False}


def test_the_snap_folder_is_one_ego_network():
    """The SNAP folder holds one user with 100 friends and hand-made circles."""
    network = read_ego_network(SAMPLES / "snap")
    assert (network.ego, network.n) == ("0", 100)
    assert len(read_snap_circles(SAMPLES / "snap", "0")) == 13


def test_the_readme_is_true():
    """The examples in the README of the samples do what it says."""
    text = (SAMPLES / "README.md").read_text(encoding="utf-8").replace("sample_graphs/", f"{SAMPLES}/")
    examples = "\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    test = doctest.DocTestParser().get_doctest(examples, {}, "README.md", None, None)
    assert doctest.DocTestRunner().run(test) == doctest.TestResults(failed=0, attempted=5)

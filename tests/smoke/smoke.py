"""What users call, from the installed package, without extras and development tools: prints "smoke test passed".

Continuous integration runs it in an empty folder with only the wheel installed; tests/test_smoke.py runs it in the working copy.
"""

import csv
import importlib.util
import json
import tempfile
from pathlib import Path

import networkx as nx

from privwiz import Decision, Policy, Prior, Wizard, ego_network, find_circles, read_snap_ego_network
from privwiz.errors import MissingExtra, PrivwizError, UnknownFriend

ITEMS = ["phone", "birthday"]


def little_town() -> nx.Graph:
    """Return a graph: alice knows six schoolmates who all know each other, six such colleagues, and bob, who knows only her."""
    graph = nx.Graph()
    graph.add_node("alice", school="PKU", employer="mill")
    for group, field, value in (("s", "school", "PKU"), ("c", "employer", "mill")):
        members = [f"{group}{i}" for i in range(6)]
        graph.add_nodes_from(members, **{field: value})
        graph.add_edges_from((a, b) for a in members for b in members if a < b)
        graph.add_edges_from(("alice", member) for member in members)
    graph.add_edge("alice", "bob")
    return graph


def snap_folder(folder: Path) -> Path:
    """Write a SNAP ego-network folder of one user, 1, with three friends; return it."""
    folder.mkdir()
    (folder / "1.edges").write_text("2 3\n3 2\n")
    (folder / "1.feat").write_text("2 1 0\n3 1 0\n4 0 1\n")
    (folder / "1.egofeat").write_text("1 0\n")
    (folder / "1.featnames").write_text("0 gender;anonymized feature 77\n1 gender;anonymized feature 78\n")
    return folder


def answer_screens(wizard: Wizard, count: int) -> None:
    """Confirm ``count`` screens, leaving every toggle as the wizard guessed it."""
    for _ in range(count):
        screen = wizard.next_screen()
        if screen is None:
            return
        assert screen.kind in {"audience", "circle", "circles", "item", "friend", "cell"}
        assert all(toggle.text("en") and toggle.text("zh") for toggle in screen.toggles)
        wizard.answer(screen, [toggle.guess for toggle in screen.toggles])


def wizard_flow(folder: Path) -> None:
    """Go from a graph to a policy, through every call of the wizard."""
    graph = little_town()
    network = ego_network(graph, "alice")
    assert len(network.friends) == 13
    assert {len(circle.members) for circle in find_circles(network)} >= {6}

    wizard = Wizard(network, items=ITEMS, prior=Prior.default(), seed=0)
    answer_screens(wizard, 3)
    screen = wizard.next_screen(kinds={"cell"}, items=["phone"])
    assert screen is None or [toggle.item for toggle in screen.toggles] == ["phone"]

    before = wizard.policy()["phone", "bob"].decision
    wizard.label("phone", "bob", "deny")
    assert wizard.policy()["phone", "bob"].decision is Decision.DENY
    wizard.undo()
    assert wizard.policy()["phone", "bob"].decision is before
    wizard.label("phone", "bob", "allow")

    suggestions = wizard.add_friend("carol", ties=["bob"], profile={"school": "PKU"})
    assert set(suggestions) == set(ITEMS)

    policy = wizard.policy()
    assert policy["phone", "bob"].decision is Decision.ALLOW
    assert policy["phone", "carol"].reason.text("en")
    assert policy["phone", "carol"].reason.text("zh")
    assert len(policy.probabilities("phone")) == 14
    check_exports(policy, folder)

    again = Wizard.from_json(wizard.to_json(), wizard.network)
    assert again.policy().to_json() == policy.to_json()
    assert Wizard.from_json(wizard.to_json(), network).policy()["phone", "bob"].decision is Decision.ALLOW


def check_exports(policy: Policy, folder: Path) -> None:
    """Write the policy in every format that needs no extra; Parquet must name the missing one."""
    assert Policy.from_json(policy.to_json()).to_json() == policy.to_json()
    policy.to_csv(folder / "policy.csv")
    with (folder / "policy.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) == ["user", "item", "friend", "decision", "probability", "reason"]
    assert json.dumps(policy.to_openfga())
    assert "permit" in policy.to_cedar()
    if importlib.util.find_spec("pyarrow") is None:
        message = failure(MissingExtra, lambda: policy.to_parquet(folder / "policy.parquet"))
        assert "privwiz[parquet]" in message


def failure(expected: type[PrivwizError], call) -> str:
    """Return the message of the error that ``call`` must raise."""
    try:
        call()
    except expected as error:
        return str(error)
    raise AssertionError(f"no {expected.__name__}")


def main() -> None:
    """Run everything in a temporary folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wizard_flow(folder)
        network = read_snap_ego_network(snap_folder(folder / "snap"), "1")
        assert network.friends == ("2", "3", "4")
        wizard = Wizard(network, items=["phone"])
        assert "nobody" in failure(UnknownFriend, lambda: wizard.label("phone", "nobody", "deny"))
        print("smoke test passed")


if __name__ == "__main__":
    main()

"""From graph to policy, as a user of the library goes; and on the ten real networks."""

import networkx as nx
import numpy as np
import pytest

from privwiz import Decision, Policy, Prior, Wizard, ego_network, find_circles, read_snap_ego_network
from privwiz.answers import AUDIENCE_SHARES, CIRCLE_CUTS
from privwiz.simulate import sample_answers, simulate_policy
from privwiz.snap import read_snap_circles

EGOS = ("0", "107", "348", "414", "686", "698", "1684", "1912", "3437", "3980")


def truthful(screen, truth):
    """Answer every toggle as a simulated user who knows the truth and counts well."""
    row = {item.id: k for k, item in enumerate(truth.items)}
    position = {friend: k for k, friend in enumerate(truth.friends)}
    answers = []
    for toggle in screen.toggles:
        share = truth.allow[row[toggle.item], [position[friend] for friend in toggle.friends]].mean()
        if not toggle.choices:
            answers.append(min(AUDIENCE_SHARES, key=lambda word: abs(AUDIENCE_SHARES[word] - share)))
        elif len(toggle.friends) == 1:
            answers.append("allow" if share else "deny")
        else:
            answers.append(toggle.choices[int(np.searchsorted(CIRCLE_CUTS, share))])
    return answers


def check_full(policy, network, items):
    """Check that a policy has every cell, each with decision, probability, and a reason in both languages."""
    cells = list(policy)
    assert [(cell.item, cell.friend) for cell in cells] == [(item.id, friend) for item in items for friend in network.friends]
    assert all(0 <= cell.probability <= 1 and cell.decision in set(Decision) for cell in cells)
    assert all(cell.reason.text("en") and cell.reason.text("zh") for cell in cells)


def test_from_graph_to_policy(tmp_path):
    """A graph, a few answers, and there is a policy with reasons that can be kept, exported, and gone on with."""
    graph = nx.Graph()
    graph.add_node("alice", school="PKU")
    for club, school in (("a", "PKU"), ("b", "MIT")):
        friends = [f"{club}{k}" for k in range(6)]
        graph.add_nodes_from(friends, school=school)
        graph.add_edges_from((one, other) for one in friends for other in [*friends, "alice"] if one < other or other == "alice")
    network = ego_network(graph, "alice")
    assert {circle.name for circle in find_circles(network)} == {"PKU", "MIT"}

    wizard = Wizard(network, items=["phone", "birthday"], seed=0)
    screen = wizard.next_screen()
    assert screen.text() == "How many of your friends may see each of these?"
    wizard.answer(screen, ["half", "everybody"])
    screen = wizard.next_screen({"circle"}, least_gain=0)
    assert screen.text() in ("What may “PKU” (a0, a1 and 4 others) see?", "What may “MIT” (b0, b1 and 4 others) see?")
    wizard.answer(screen, ["all", None])
    wizard.label("phone", ["b0", "b1"], "deny")

    policy = wizard.policy()
    check_full(policy, network, wizard.items)
    asked, other = ("a", "b") if "PKU" in screen.text() else ("b", "a")
    assert policy["phone", f"{asked}5"].probability > policy["phone", f"{other}5"].probability
    assert policy["phone", "b0"].decision is Decision.DENY
    assert not policy.view_as("b0")["phone"]
    assert Policy.from_json(policy.to_json()).to_json() == policy.to_json()
    policy.to_csv(tmp_path / "policy.csv")

    suggestions = wizard.add_friend("carol", ties=["a0", "a1", "a2"], profile={"school": "PKU"})
    assert set(suggestions) == {"phone", "birthday"}
    again = Wizard.from_json(wizard.to_json(), wizard.network)
    assert again.policy().diff(wizard.policy()).changes == ()


def test_the_lines_of_the_design(tmp_path):
    """What users were promised runs line by line as it was promised, with three items for its three answers."""
    graph = nx.relabel_nodes(nx.karate_club_graph(), {0: "alice", 1: "bob"})
    network = ego_network(graph, "alice")
    found = find_circles(network)
    assert all({"id", "level", "members", "name"} <= set(dir(circle)) for circle in found)
    wizard = Wizard(network, items=["phone", "birthday", "photos"], prior=Prior.default(), seed=0)

    screen = wizard.next_screen()
    assert screen.kind == "audience"
    for toggle in screen.toggles:
        assert (toggle.friends, toggle.choices) == (network.friends, ())
        assert 0 <= toggle.guess <= 1
        assert toggle.text("en")
        assert toggle.text("zh")
    wizard.answer(screen, ["allow", None, "deny"])
    wizard.label("phone", "bob", "deny")
    wizard.undo()
    policy = wizard.policy()
    suggestion = policy["phone", "bob"]
    assert (suggestion.item, suggestion.friend) == ("phone", "bob")
    assert suggestion.decision in set(Decision)
    assert suggestion.probability == policy.probabilities("phone")[network.friends.index("bob")]
    assert suggestion.reason.text("zh")
    assert set(wizard.add_friend("carol", ties=["bob"], profile={"school": "PKU"})) == {"phone", "birthday", "photos"}
    assert Wizard.from_json(wizard.to_json(), network).policy().to_json() == policy.to_json()
    assert policy.to_json()
    policy.to_csv(tmp_path / "policy.csv")
    assert isinstance(policy.to_openfga(), list)
    assert isinstance(policy.to_cedar(), str)


def accuracy(policy, truth, cells):
    """Share of these cells where the likelier of allow and deny is the truth."""
    return ((policy.probability > 0.5) == truth.allow)[cells].mean()


@pytest.fixture(scope="module", params=EGOS)
def real(request, ego_facebook):
    """Return a real network and a simulated policy of its user, by the user's hand-made circles."""
    network = read_snap_ego_network(ego_facebook, request.param)
    return network, simulate_policy(network, read_snap_circles(ego_facebook, request.param), "mixed", seed=1)


def test_ten_screens_on_a_real_network(real):
    """Ten truthful screens give a full policy: few wrong allows, far better than the prior and each item's true majority."""
    network, truth = real
    wizard = Wizard(network, seed=0)
    untaught = wizard.policy()
    for _ in range(10):
        screen = wizard.next_screen(least_gain=0)
        wizard.answer(screen, truthful(screen, truth))
    policy = wizard.policy()
    check_full(policy, network, truth.items)
    cells = policy.stated == 0
    reached = accuracy(policy, truth, cells)
    majority = (truth.allow == (truth.allow.mean(axis=1) > 0.5)[:, None])[cells].mean()
    assert reached > accuracy(untaught, truth, cells) + 0.05
    assert reached > majority - 0.01
    assert (policy.shown & ~truth.allow)[cells].sum() < 0.2 * policy.shown[cells].sum()


def test_ten_answers_per_item_on_a_real_network(real):
    """Ten of the user's own answers per item give a full policy that is better than the prior and keeps every answer."""
    network, truth = real
    wizard = Wizard(network, seed=0)
    untaught = wizard.policy()
    for item, friend, decision in sample_answers(truth, 10):
        wizard.label(item, friend, decision)
    policy = wizard.policy()
    check_full(policy, network, truth.items)
    assert all(policy.decision(item, friend) is decision for item, friend, decision in sample_answers(truth, 10))
    cells = policy.stated == 0
    assert accuracy(policy, truth, cells) > accuracy(untaught, truth, cells)

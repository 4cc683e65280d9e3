import json
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from privwiz.errors import DataError
from privwiz.items import ProfileItem, profile_items
from privwiz.policy import Policy
from privwiz.reasons import ANSWERS, Reason

names = st.text(min_size=1, max_size=8)
SCHEMA = json.loads(files("privwiz").joinpath("schemas/policy.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


@st.composite
def policies(draw):
    """Draw a policy with any names, costs, probabilities, answers and reasons."""
    ids = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    items = tuple(ProfileItem(i, draw(st.floats(0, 1)), draw(st.text()), draw(st.text()), draw(st.floats(1, 1e9))) for i in ids)
    friends = tuple(draw(st.lists(names, max_size=5, unique=True)))
    shape = (len(items), len(friends))
    called = friends if draw(st.booleans()) else tuple(draw(st.lists(st.text(), min_size=len(friends), max_size=len(friends))))
    cells = [(j, f) for j in range(shape[0]) for f in range(shape[1])]
    model = {}
    for j, f in cells:
        kind = draw(st.sampled_from(["circle", "friends", "audience", "prior"]))
        answer = draw(st.sampled_from(ANSWERS[kind]))
        circle = draw(st.tuples(st.text(), st.text())) if kind == "circle" else None
        nearest = tuple(draw(st.lists(names, min_size=1, max_size=3))) if kind == "friends" else ()
        model[j, f] = Reason(kind, draw(st.sampled_from(items)), called[f], answer, circle, nearest)
    probability = np.array(draw(st.lists(st.floats(0, 1), min_size=len(cells), max_size=len(cells)))).reshape(shape)
    stated = np.array(draw(st.lists(st.sampled_from([0, 0, 1, -1, 2]), min_size=len(cells), max_size=len(cells))), dtype=np.int8)
    return Policy(draw(names), items, friends, probability, stated.reshape(shape), lambda j, f: model[j, f], called)


def example():
    """Return a small policy that has every kind of reason."""
    items = profile_items(["phone", "email"])
    friends = ("ann", "bob", "carol")
    model = [
        [Reason("circle", items[0], "ann", "most", ("Work", "同事")), None, Reason("audience", items[0], "carol", "few")],
        [Reason("friends", items[0], "ann", "allow", friends=("bob",)), None, Reason("prior", items[1], "carol")],
    ]
    probability = np.array([[0.9, 0.2, 0.6], [0.95, 0.9, 0.1]])
    return Policy("alice", items, friends, probability, np.array([[0, 1, 0], [0, 2, 0]]), lambda j, f: model[j][f])


@given(policies())
def test_a_policy_survives_json(policy):
    """A policy reads back with the same cells, reasons and text, whatever the names; indented or not."""
    text = policy.to_json()
    again = Policy.from_json(text)
    assert list(again) == list(policy)
    assert (again.ego, again.items, again.friends, again.names) == (policy.ego, policy.items, policy.friends, policy.names)
    assert again.stated.tolist() == policy.stated.tolist()
    assert again.to_json() == text
    assert Policy.from_json(policy.to_json(indent=2)).to_json() == text


@given(policies())
def test_the_json_fits_the_published_schema(policy):
    """What is written is what the schema in the package describes."""
    VALIDATOR.validate(json.loads(policy.to_json()))


def test_the_schema_notices_damage():
    """Negative control: the schema itself is valid, and refuses unknown decisions, missing keys and reasons with a wrong part."""
    Draft202012Validator.check_schema(SCHEMA)
    for damage in (
        lambda d: d["items"][0]["decision"].__setitem__(0, "yes"),
        lambda d: d.pop("ego"),
        lambda d: d["reasons"][0].update(circle=None),
        lambda d: d["items"][0]["probability"].__setitem__(0, 1.5),
        lambda d: d.update(format="privwiz.policy/2"),
    ):
        document = json.loads(example().to_json())
        VALIDATOR.validate(document)
        damage(document)
        with pytest.raises(ValidationError):
            VALIDATOR.validate(document)


def test_the_document_is_compact():
    """Friends stand once, reasons that differ only in the friend stand once, and Chinese is not escaped."""
    items = profile_items()
    friends = tuple(f"friend{i}" for i in range(100))
    shape = (len(items), len(friends))
    policy = Policy(
        "alice", items, friends, np.full(shape, 0.9), np.zeros(shape), lambda j, f: Reason("prior", items[j], friends[f])
    )
    text = policy.to_json()
    assert text.count("friend42") == 1
    assert len(json.loads(text)["reasons"]) == len(items)
    assert "电话号码" in text
    assert len(text) < 25 * len(policy)


def test_unknown_keys_are_ignored():
    """A later program may add keys: readers of this version pass over them."""
    document = json.loads(example().to_json())
    document["written_by"] = "somebody else"
    document["items"][0]["icon"] = "📱"
    assert Policy.from_json(json.dumps(document)).to_json() == example().to_json()


def test_whole_numbers_are_numbers():
    """Other programs write 1.0 as 1: that is the same probability."""
    document = json.loads(example().to_json())
    document["items"][0]["probability"][0] = 1
    assert Policy.from_json(json.dumps(document)).probability[0, 0] == 1


def item(document, j=0):
    """Return one item of the document."""
    return document["items"][j]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: d.update(format="privwiz.policy/2"), "'privwiz.policy/2', but this privwiz reads version 1; export it again"),
        (lambda d: d.update(format="privwiz.prior/1"), "a document of format 'privwiz.policy/1' is needed here"),
        (lambda d: d.pop("format"), "'format' is missing; it must be a text"),
        (lambda d: d.pop("ego"), "'ego' is missing; it must be a text"),
        (lambda d: d.update(ego=""), "'' is not a name"),
        (lambda d: d.update(friends="ann"), "'friends' is 'ann'; it must be a list"),
        (lambda d: d["friends"].__setitem__(0, 3), "an entry of 'friends' is 3; it must be a text"),
        (lambda d: d["friends"].__setitem__(0, "bob"), "friend 'bob' comes twice"),
        (lambda d: d["friends"].__setitem__(0, "\ud800"), "half a character"),
        (lambda d: d["friends"].append("dan"), "'probability' of item 'phone' has 3 entries for 4 friends"),
        (lambda d: d.update(names=["Ann"]), "1 names for 3 friends; give each friend a name, or none at all"),
        (lambda d: d.update(names="Ann"), "'names' is 'Ann'; it must be a list"),
        (lambda d: d.update(items={}), "'items' is {}; it must be a list"),
        (lambda d: d.update(items=[], reasons=[]), "no profile items"),
        (lambda d: d["items"].append(7), r"'items'\[2\] is 7; it must be an object"),
        (lambda d: d["items"].append(item(d)), "profile items named twice: phone"),
        (lambda d: item(d).pop("en"), r"'items'\[0\]: 'en' is missing; it must be a text"),
        (lambda d: item(d).update(cost_ratio=0.5), "cost ratio of item 'phone' is 0.5"),
        (lambda d: item(d).update(cost_ratio="5"), r"'items'\[0\]: 'cost_ratio' is '5'; it must be a number"),
        (lambda d: item(d).update(cost_ratio=True), "'cost_ratio' is True; it must be a number"),
        (lambda d: item(d).update(sensitivity=2), "sensitivity of item 'phone' is 2"),
        (lambda d: item(d).pop("decision"), "'decision' of item 'phone' is missing; it must be a list"),
        (lambda d: item(d)["stated"].pop(), "'stated' of item 'phone' has 2 entries for 3 friends"),
        (lambda d: item(d)["stated"].__setitem__(0, "maybe"), "'stated' of item 'phone' holds 'maybe'"),
        (lambda d: item(d)["stated"].__setitem__(0, []), r"'stated' of item 'phone' holds \[\]"),
        (lambda d: item(d)["probability"].__setitem__(0, 1.5), "the probability of item 'phone' for friend 'ann' is 1.5"),
        (lambda d: item(d)["probability"].__setitem__(0, None), "a probability of item 'phone' is missing"),
        (lambda d: item(d).update(probability=[True, 0.2, 0.6]), "a probability of item 'phone' is True; it must be a number"),
        (lambda d: item(d)["probability"].__setitem__(0, 10**400), "a probability of item 'phone' is 1000"),
        (lambda d: item(d)["reason"].__setitem__(0, 99), "'reason' of item 'phone' holds 99, but there are 6 reasons"),
        (lambda d: item(d)["reason"].__setitem__(0, -1), "'reason' of item 'phone' holds -1"),
        (lambda d: item(d)["reason"].__setitem__(0, 0.0), "a reason number of item 'phone' is 0.0; it must be a whole number"),
        (lambda d: item(d)["decision"].__setitem__(0, "yes"), "a decision of item 'phone' is 'yes'; a decision is one of"),
        (lambda d: d.update(reasons=None), "'reasons' is missing; it must be a list"),
        (lambda d: d["reasons"][0].update(kind="guess"), "kind 'guess' cannot rest on the answer 'most'"),
        (lambda d: d["reasons"][0].update(item="shoes"), r"'reasons'\[0\] is about item 'shoes', which the policy does not have"),
        (lambda d: d["reasons"][0].update(circle=["Work"]), r"'reasons'\[0\]: 'circle' has 1 names"),
        (lambda d: d["reasons"][0].update(circle=None), "has the wrong parts: circle None"),
        (lambda d: d["reasons"][0].pop("friends"), r"'reasons'\[0\]: 'friends' is missing"),
    ],
)
def test_a_damaged_policy_is_refused(damage, message):
    """Every damage to a stored policy is a `DataError` that says where and what."""
    document = json.loads(example().to_json())
    damage(document)
    with pytest.raises(DataError, match=message):
        Policy.from_json(json.dumps(document))


@pytest.mark.parametrize(
    ("tampering", "message"),
    [
        (
            lambda d: item(d)["decision"].__setitem__(2, "allow"),
            "decision for item 'phone' and friend 'carol' is 'allow', but .* give 'ask'; the document was edited or damaged",
        ),
        (lambda d: item(d)["decision"].__setitem__(0, "deny"), "friend 'ann' is 'deny', but .* give 'allow'"),
        (lambda d: item(d)["probability"].__setitem__(2, 0.99), "is 'ask', but .* give 'allow'"),
        (lambda d: item(d).update(cost_ratio=1), "friend 'carol' is 'ask', but .* give 'allow'"),
        (lambda d: item(d)["stated"].__setitem__(2, "allow"), r"friend 'carol' does not agree with what the user said \(allow\)"),
        (lambda d: item(d)["stated"].__setitem__(1, None), r"friend 'bob' does not agree with what the user said \(nothing\)"),
        (lambda d: item(d)["reason"].__setitem__(0, item(d)["reason"][1]), r"friend 'ann' does not agree .* \(nothing\)"),
        (lambda d: item(d, 1)["stated"].__setitem__(1, "deny"), r"friend 'bob' does not agree with what the user said \(deny\)"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(tampering, message):
    """A stored decision or reason that does not follow from the rest is refused: above all an allow that nothing supports."""
    document = json.loads(example().to_json())
    tampering(document)
    with pytest.raises(DataError, match=message):
        Policy.from_json(json.dumps(document))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a JSON document"),
        ("\ufeff{}", "not a JSON document"),
        (example().to_json()[:-40], "not a JSON document .* damaged or cut off"),
        ("null", "the document is missing; it must be an object"),
        ("[" * 100_000, "not a JSON document"),
        ('{"a":' + "1" * 5000 + "}", "not a JSON document"),
        (example().to_json().replace("0.9,", "NaN,", 1), "NaN is not a number that a file of ours can hold"),
        (example().to_json().replace("0.9,", "1e999,", 1), "for friend 'ann' is inf; it must lie in"),
        (example().to_json().replace('"ego":', '"ego":"mallory","ego":', 1), "the key 'ego' comes twice in one object"),
    ],
)
def test_a_text_that_is_no_document_is_refused(text, message):
    """Cut, empty, too deep, ambiguous or non-standard JSON is a `DataError`, never a traceback of the parser."""
    with pytest.raises(DataError, match=message):
        Policy.from_json(text)


@given(policies(), st.data())
def test_no_edit_of_one_decision_gets_through(policy, data):
    """Whatever stored decision is changed, the document is refused."""
    document = json.loads(policy.to_json())
    if not policy.friends:
        return
    j = data.draw(st.integers(0, len(policy.items) - 1))
    f = data.draw(st.integers(0, len(policy.friends) - 1))
    column = document["items"][j]["decision"]
    column[f] = data.draw(st.sampled_from([word for word in ("allow", "deny", "ask") if word != column[f]]))
    with pytest.raises(DataError, match="the document was edited or damaged"):
        Policy.from_json(json.dumps(document))


def test_a_reason_about_a_strange_item_is_not_written():
    """A reason about an item that the policy does not have could not be read back, and is refused before it is written."""
    (phone,), (email,) = profile_items(["phone"]), profile_items(["email"])
    policy = Policy("alice", (phone,), ("bob",), [[0.9]], [[0]], lambda _j, _f: Reason("prior", email, "bob"))
    with pytest.raises(DataError, match="a reason is about item 'email', which the policy of 'alice' does not have"):
        policy.to_json()

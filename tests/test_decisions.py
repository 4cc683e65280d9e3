import json
from fractions import Fraction
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from privwiz.decisions import STATED, Change, Decision, PolicyDiff, decide, threshold
from privwiz.errors import DataError
from privwiz.items import ProfileItem
from privwiz.words import LANGUAGES

ALLOW, DENY, ASK = Decision.ALLOW, Decision.DENY, Decision.ASK

costs = st.floats(1, 1e300) | st.sampled_from([1.0, 2.0, 3.0, 5.0, 10.0, 7.0, 1e16])
tables = st.dictionaries(st.tuples(st.sampled_from("ab"), st.sampled_from("wxyz")), st.sampled_from(Decision))
named = st.dictionaries(st.tuples(st.text(min_size=1), st.text(min_size=1)), st.sampled_from(Decision), max_size=5)


def decide_one(cost, probability, said="nothing"):
    """Return the decision of a single cell."""
    item = ProfileItem("phone", 0.5, "phone", "电话", cost)
    return decide((item,), np.array([[probability]]), np.array([[STATED[said]]], dtype=np.int8))[0, 0]


@given(costs)
def test_the_threshold_is_the_next_float_at_or_above_the_exact_one(cost):
    """The threshold is c / (1 + c) computed exactly and rounded up, so that rounding never allows."""
    exact = Fraction(cost) / (1 + Fraction(cost))
    limit = threshold(cost)
    assert Fraction(limit) >= exact
    assert Fraction(float(np.nextafter(limit, 0))) < exact


@given(costs, st.floats(0, 1))
def test_allow_needs_the_lower_expected_cost(cost, probability):
    """A cell is allowed only if a wrong allow costs less in expectation than a wrong deny, in exact arithmetic."""
    if decide_one(cost, probability) is ALLOW:
        assert Fraction(cost) * (1 - Fraction(probability)) < Fraction(probability)


@pytest.mark.parametrize("cost", [1.0, 2.0, 3.0, 5.0, 10.0, 49.0, 1e15, 1e16])
def test_exactly_at_the_threshold_the_user_is_asked(cost):
    """The threshold itself is not enough for allow; one float above it is, unless the threshold is already certainty."""
    limit = threshold(cost)
    assert decide_one(cost, limit) is ASK
    if limit < 1:
        assert decide_one(cost, float(np.nextafter(limit, 1))) is ALLOW


@pytest.mark.parametrize(
    ("probability", "decision"),
    [(0.0, DENY), (0.4999999, DENY), (0.5, ASK), (0.83, ASK), (5 / 6, ASK), (0.84, ALLOW), (1.0, ALLOW), (float("nan"), DENY)],
)
def test_the_three_stretches_of_probability(probability, decision):
    """At 5:1, deny below 1/2, ask from there to 5/6, allow above; what cannot be compared is denied."""
    assert decide_one(5.0, probability) is decision


@given(costs, st.floats(0, 1))
def test_the_own_answer_always_wins(cost, probability):
    """Whatever the model believes, allow is allow, deny is deny, and not sure asks."""
    assert decide_one(cost, probability, "allow") is ALLOW
    assert decide_one(cost, probability, "deny") is DENY
    assert decide_one(cost, probability, "not sure") is ASK


@given(st.floats(0, 1), costs, costs, st.sampled_from(list(STATED)))
def test_a_higher_cost_ratio_never_adds_an_allow(probability, one, other, said):
    """What is not allowed at some cost of a wrong allow is not allowed at a higher one."""
    lower, higher = sorted((one, other))
    if decide_one(higher, probability, said) is ALLOW:
        assert decide_one(lower, probability, said) is ALLOW


@given(st.floats(0, 1), st.floats(0, 1), costs)
def test_a_higher_probability_never_takes_an_allow_away(one, other, cost):
    """Decisions go deny, ask, allow as the probability grows."""
    order = [DENY, ASK, ALLOW]
    lower, higher = sorted((one, other))
    assert order.index(decide_one(cost, lower)) <= order.index(decide_one(cost, higher))


@pytest.mark.parametrize("cost", [0.99, 0.0, -1.0, float("inf"), float("nan")])
def test_a_cost_ratio_must_be_a_finite_number_from_1_up(cost):
    """A ratio that would prefer wrong allows, or that is no number, has no threshold."""
    with pytest.raises(DataError, match="it must be a finite number from 1 up"):
        threshold(cost)


def test_decisions_are_decisions_and_not_texts():
    """The cells hold `Decision` itself, so that comparing by identity is safe."""
    items = (ProfileItem("phone", 0.5, "phone", "电话"),)
    row = decide(items, np.array([[0.1, 0.6, 0.9]]), np.zeros((1, 3), dtype=np.int8))[0]
    assert [type(decision) for decision in row] == [Decision] * 3


def test_a_decision_reads_as_words():
    """Each decision says what it means for the friend, in both languages."""
    assert [decision.text() for decision in Decision] == ["shown", "hidden", "hidden until you decide"]
    assert [decision.text("zh") for decision in Decision] == ["可见", "不可见", "暂不可见，等您决定"]


@given(tables, tables)
def test_applying_a_difference_gives_the_other_table(before, after):
    """``diff(a, b)`` applied to a gives b, and its inverse applied to b gives a."""
    diff = PolicyDiff.between("alice", before, after)
    assert diff.apply(before) == after
    assert diff.inverse().apply(after) == before
    assert diff.inverse() == PolicyDiff.between("alice", after, before)
    assert diff.inverse().inverse() == diff


@given(tables)
def test_equal_tables_have_no_difference(table):
    """The difference of a table and itself is empty and says so."""
    diff = PolicyDiff.between("alice", table, dict(table))
    assert diff.changes == ()
    assert diff.text() == "Nothing changes."
    assert diff.text("zh") == "没有变化。"


@given(tables, tables, tables)
def test_a_difference_is_never_applied_to_a_table_that_has_changed_since(before, after, present):
    """Apply works exactly where every cell it changes is as it was, and never touches the table it was given."""
    diff = PolicyDiff.between("alice", before, after)
    untouched = dict(present)
    if all(present.get((change.item, change.friend)) == change.before for change in diff.changes):
        changed = diff.apply(present)
        assert all(changed.get((change.item, change.friend)) == change.after for change in diff.changes)
    else:
        with pytest.raises(DataError, match="make the diff again from the present policy"):
            diff.apply(present)
    assert present == untouched


@given(tables, tables)
def test_counts_are_what_friends_notice(before, after):
    """Shown, hidden and asked count the cells that become visible, stop being visible, and start to wait."""
    counts = PolicyDiff.between("alice", before, after).counts
    seen, sees = ({cell for cell, decision in table.items() if decision is ALLOW} for table in (before, after))
    waited, waits = ({cell for cell, decision in table.items() if decision is ASK} for table in (before, after))
    assert counts == (len(sees - seen), len(seen - sees), len(waits - waited))


@given(named, named)
def test_a_difference_survives_json(before, after):
    """A difference reads back equal from its JSON, whatever the names, and its JSON fits the published schema."""
    diff = PolicyDiff.between("alice", before, after)
    assert PolicyDiff.from_json(diff.to_json()) == diff
    assert PolicyDiff.from_json(diff.to_json(indent=2)) == diff
    schema = json.loads(files("privwiz").joinpath("schemas/policy-diff.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(diff.to_json()))


def test_changes_are_sorted_however_they_come():
    """Changes are kept by item, then friend."""
    changes = (Change("phone", "bob", ASK, ALLOW), Change("email", "zoe", None, DENY), Change("phone", "ann", ALLOW, None))
    assert [change[:2] for change in PolicyDiff("alice", changes).changes] == [
        ("email", "zoe"),
        ("phone", "ann"),
        ("phone", "bob"),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ((Change("phone", "bob", ASK, ASK),), "the change of item 'phone' for friend 'bob' changes nothing"),
        ((Change("phone", "bob", None, None),), "changes nothing"),
        ((Change("phone", "bob", ASK, ALLOW), Change("phone", "bob", ASK, DENY)), "'phone' for friend 'bob' comes twice"),
    ],
)
def test_a_difference_that_is_none_is_refused(changes, message):
    """A change must change something, and a cell changes once."""
    with pytest.raises(DataError, match=message):
        PolicyDiff("alice", changes)


def test_a_difference_says_who_gains_and_who_loses():
    """The summary counts what friends notice and names them per item, in both languages."""
    before = {("phone", "ann"): ASK, ("phone", "bob"): ALLOW, ("email", "ann"): DENY, ("shoe_size", "bob"): DENY}
    after = {("phone", "ann"): ALLOW, ("phone", "bob"): ASK, ("email", "ann"): ALLOW, ("shoe_size", "bob"): ASK}
    diff = PolicyDiff.between("alice", before, after)
    assert diff.text() == (
        "2 newly shown, 1 no longer shown, 2 newly waiting for your decision.\n"
        "e-mail address: newly shown to ann\n"
        "phone number: newly shown to ann\n"
        "phone number: no longer shown to bob"
    )
    assert diff.text("zh") == (
        "新增可见 2 处；不再可见 1 处；等您决定 2 处。\n电子邮箱：新增可见：ann\n电话号码：新增可见：ann\n电话号码：不再可见：bob"
    )
    assert diff.text(names={"bob": "Bo"}).endswith("phone number: no longer shown to Bo")
    assert all("{" not in diff.text(language) for language in LANGUAGES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "this is not a JSON document"),
        ("[]", "the document is \\[\\]; it must be an object"),
        ('{"format":"privwiz.policy/1","ego":"a","changes":[]}', "a document of format 'privwiz.policy-diff/1' is needed here"),
        ('{"format":"privwiz.policy-diff/2","ego":"a","changes":[]}', "this privwiz reads version 1; export it again"),
        ('{"format":"privwiz.policy-diff/1","changes":[]}', "'ego' is missing; it must be a text"),
        ('{"format":"privwiz.policy-diff/1","ego":"a"}', "'changes' is missing; it must be a list"),
        ('{"format":"privwiz.policy-diff/1","ego":"a","changes":[["x","y","ask"]]}', r"'changes'\[0\] has 3 parts"),
        (
            '{"format":"privwiz.policy-diff/1","ego":"a","changes":[[1,"y","ask","deny"]]}',
            r"'changes'\[0\] is 1; it must be a text",
        ),
        (
            '{"format":"privwiz.policy-diff/1","ego":"a","changes":[["x","y","ask","yes"]]}',
            r"'changes'\[0\] is 'yes'; a decision is one of allow, deny, ask",
        ),
        (
            '{"format":"privwiz.policy-diff/1","ego":"a","changes":[["x","y",true,"ask"]]}',
            r"'changes'\[0\] is True; it must be a text",
        ),
        ('{"format":"privwiz.policy-diff/1","ego":"a","ego":"b","changes":[]}', "the key 'ego' comes twice in one object"),
    ],
)
def test_a_damaged_difference_is_refused(text, message):
    """Every damage to a stored difference is a `DataError` that says what is wrong."""
    with pytest.raises(DataError, match=message):
        PolicyDiff.from_json(text)

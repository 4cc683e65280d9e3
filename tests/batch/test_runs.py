"""Policies of many users at once: what a run writes, from good tables and bad ones."""

import json
import shutil
from dataclasses import replace

import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from privwiz import Wizard
from privwiz.batch import Resources, label_many
from privwiz.items import profile_items
from privwiz.prior import Prior
from privwiz.readers import read_ego_network
from privwiz.tables import read_table, write_table


def one_by_one(town, answers, reasons=None):
    """Return the same policies from the library's wizard, user by user."""
    items = profile_items(town.items)
    place = {item.id: number for number, item in enumerate(items)}
    rows = []
    for user in sorted({answer[0] for answer in answers}):
        wizard = Wizard(read_ego_network(town.folder / "edges.parquet", user, town.folder / "profiles.parquet"), items)
        for _, item, friend, decision in sorted(
            (row for row in answers if row[0] == user), key=lambda row: (place[row[1]], row[2])
        ):
            wizard.label(item, friend, decision)
        for cell in wizard.policy():
            reason = () if reasons is None else (cell.reason.text(reasons),)
            rows.append((user, cell.item, cell.friend, cell.decision.value, cell.probability, *reason))
    return rows


def test_policies_are_those_of_the_wizard(town, tmp_path, cells):
    """Every cell of a run over many users is, to the last bit, what the library's wizard says about that user alone."""
    run = label_many(town.tables(), tmp_path / "out", town.labelling())
    answers = town.answers()
    assert cells(run.folder) == one_by_one(town, answers)
    assert run.report.outcomes == {"labelled": 12, "failed": 0}


def test_reasons_are_those_of_the_wizard(town, tmp_path, cells):
    """With reasons, every cell has the reason that the wizard gives, in the language asked for."""
    answers = town.answers()
    user = answers[0][0]
    run = label_many(town.tables(users=[user]), tmp_path / "out", town.labelling(reasons="zh"))
    assert cells(run.folder) == one_by_one(town, [row for row in answers if row[0] == user], "zh")


def test_the_number_of_processes_changes_nothing(town, tmp_path, files):
    """One process and two write the same bytes, and leave nothing but the result."""
    one = label_many(town.tables(), tmp_path / "one", town.labelling(), resources=Resources(1, 5)).folder
    two = label_many(town.tables(), tmp_path / "two", town.labelling(), resources=Resources(2, 5)).folder
    assert files(one) == files(two)
    parts = [f"part-{number:06}.parquet" for number in range(3)]
    expected = [*(f"policies/{part}" for part in parts), *(f"users/{part}" for part in parts)]
    assert sorted(files(one)) == ["errors.csv", *expected[:3], "rejected.csv", *expected[3:]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_the_nested_layout_says_the_same_in_less_space(town, tmp_path, cells):
    """One row for each user and item has the friends, the decisions, and the probabilities in whole per cents."""
    flat = label_many(town.tables(), tmp_path / "flat", town.labelling())
    nested = label_many(town.tables(), tmp_path / "nested", town.labelling(), layout="nested")
    rows = [
        (row["user"], row["item"], *cell)
        for row in pq.read_table(nested.folder / "policies").to_pylist()
        for cell in zip(row["friends"], row["decisions"], row["percents"], strict=True)
    ]
    assert rows == [(*cell[:4], round(100 * cell[4])) for cell in cells(flat.folder)]


def test_a_part_is_written_few_users_at_a_time(town, tmp_path, monkeypatch):
    """How many policies are held in memory together changes no row of the result, in either layout."""
    for layout in ("flat", "nested"):
        one = label_many(town.tables(), tmp_path / f"one-{layout}", town.labelling(), layout=layout).folder
        monkeypatch.setattr("privwiz.policy_parts._CELLS", 100)
        few = label_many(town.tables(), tmp_path / f"few-{layout}", town.labelling(), layout=layout).folder
        monkeypatch.undo()
        assert pq.read_table(few / "policies").equals(pq.read_table(one / "policies"))
        assert pq.read_metadata(few / "policies" / "part-000000.parquet").num_row_groups > 3


def test_the_command_says_what_it_did(town, tmp_path, cells, run):
    """The command labels into a folder, tells its steps on standard error, and the page and the counts agree."""
    text = run("label", *town.options(), "--out", tmp_path / "out")
    assert f"12 users labelled; {tmp_path}/out/report.html says more" in text
    assert "12 of 12 users" in text
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    counted = {(item, decision): count for item, decision, count in report["decisions"]}
    found = [(item, decision) for _, item, _, decision, _ in cells(tmp_path / "out")]
    assert counted == {(item, decision): found.count((item, decision)) for item, decision in counted}
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "Policies of 12 users" in page
    assert "http" not in page


def test_one_user_is_counted_in_the_singular(town, tmp_path, run):
    """Of one user, the command and the page say "1 user"."""
    text = run("label", *town.options(users=1), "--out", tmp_path / "out")
    assert "1 of 1 user, " in text
    assert f"1 user labelled; {tmp_path}/out/report.html says more" in text
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert all(part in page for part in ("Policies of 1 user<", "1 user: 1 labelled", " with 1 process,"))


def test_users_can_be_drawn_by_chance(town, tmp_path, cells, files, run):
    """``--users N`` labels N of those who answered: with equal seeds the same ones."""
    for name in ("one", "two"):
        run("label", *town.options(users=4), "--out", tmp_path / name)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert len({user for user, *_ in cells(tmp_path / "one")}) == 4


def test_a_user_who_contradicts_itself_gets_no_policy(town, tmp_path, cells, run, write_answers):
    """What cannot be read as allow or deny fails its user, for guessing could show what it hides; all others are labelled."""
    answers = town.answers()
    users = sorted({row[0] for row in answers})
    other = {"allow": "deny", "deny": "allow"}
    changed = [(*row[:3], "dney") if row[0] == users[0] else row for row in answers]
    changed += [(*row[:3], other[row[3]]) for row in answers if row[0] == users[1]][:1]
    changed += [row for row in answers if row[0] == users[2]][:2]
    changed += [(*changed[-1][:1], "email", changed[-1][2], "deny"), (users[2], "phone", users[2], "allow")]
    write_answers(tmp_path / "answers.csv", changed)
    text = run("label", *town.options(answers=tmp_path / "answers.csv"), "--out", tmp_path / "out", code=1)
    assert f"Error: no policy for 2 users; see {tmp_path}/out/errors.csv" in text
    errors = dict(read_table(tmp_path / "out" / "errors.csv", ("user", "error")).rows())
    assert list(errors) == users[:2]
    assert errors[users[0]].endswith("is 'dney'; use allow, deny or ask")
    assert errors[users[1]].endswith("are allow and deny; keep one of the two")
    rejected = read_table(tmp_path / "out" / "rejected.csv", ("line", "reason", "row"))
    assert sorted(rejected["reason"]) == [
        "names somebody who is not a friend of the user",
        "names something that is not among the items",
        "says again what an earlier row says",
        "says again what an earlier row says",
    ]
    rest = [row for row in answers if row[0] not in users[:2]]
    assert cells(tmp_path / "out") == one_by_one(town, rest)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda answer: (*answer[:3], ""), "is ''; use allow, deny or ask"),
        (lambda answer: (answer[0], "phoen", *answer[2:]), "'phoen' is not one of the profile items"),
        (lambda answer: (answer[0], "", *answer[2:]), "'' is not one of the profile items"),
        (lambda answer: (*answer[:2], f"{answer[2]} ", answer[3]), "from somebody who is not in the graph; find the row"),
        (lambda answer: (*answer[:2], "", "dney"), "from somebody who is not in the graph; find the row"),
    ],
)
def test_a_denial_that_cannot_be_read_fails_its_user(town, tmp_path, change, error, cells, run, write_answers):
    """No slip in an answer that hides something makes it as if nothing were said: its user gets no policy, the others do."""
    answers = town.answers()
    denied = next(row for row in answers if row[3] == "deny")
    write_answers(tmp_path / "answers.csv", [change(row) if row == denied else row for row in answers])
    run("label", *town.options(answers=tmp_path / "answers.csv"), "--out", tmp_path / "out", code=1)
    (failed,) = read_table(tmp_path / "out" / "errors.csv", ("user", "error")).rows()
    assert failed[0] == denied[0]
    assert error in failed[1]
    assert {user for user, *_ in cells(tmp_path / "out")} == {row[0] for row in answers} - {denied[0]}


def test_a_user_with_too_many_friends_is_counted(town, tmp_path, run):
    """Who has more friends than the limit fails with both numbers; users that are not there fail too."""
    write_table(tmp_path / "users.csv", {"user": ["ada", "nobody", "zoë"]})
    run("label", *town.options(users=tmp_path / "users.csv", most_friends=3), "--out", tmp_path / "out", code=1)
    errors = dict(read_table(tmp_path / "out" / "errors.csv", ("user", "error")).rows())
    assert errors["nobody"] == errors["zoë"] == "is not in the graph"
    assert errors["ada"].endswith(" friends; users with more than 3 are not labelled")


def test_only_who_changed_is_labelled_again(town, tmp_path, cells, write_answers):
    """After one answer has changed, a run since the last labels that user alone, as a run from nothing does."""
    answers = town.answers()
    label_many(town.tables(), tmp_path / "monday", town.labelling())
    write_answers(tmp_path / "answers.parquet", answers[1:])
    changed = {"answers": tmp_path / "answers.parquet"}
    whole = label_many(town.tables(**changed), tmp_path / "whole", town.labelling())
    tuesday = label_many(town.tables(since=tmp_path / "monday", **changed), tmp_path / "tuesday", town.labelling())
    assert tuesday.report.outcomes == {"labelled": 1, "unchanged": 11, "failed": 0}
    assert cells(tuesday.folder) == [row for row in cells(whole.folder) if row[0] == answers[0][0]]
    wednesday = label_many(town.tables(since=tmp_path / "tuesday", **changed), tmp_path / "wednesday", town.labelling())
    assert wednesday.report.outcomes == {"unchanged": 12, "failed": 0}
    assert cells(wednesday.folder) == []


def test_who_has_withdrawn_everything_is_labelled_without_it(town, tmp_path, write_answers):
    """Where no answer at all is left, the users of the earlier run get policies that rest on none."""
    monday = label_many(town.tables(), tmp_path / "monday", town.labelling())
    write_answers(tmp_path / "answers.parquet", [])
    given = town.tables(answers=tmp_path / "answers.parquet", since=tmp_path / "monday")
    tuesday = label_many(given, tmp_path / "tuesday", town.labelling())
    assert tuesday.report.outcomes == {"labelled": monday.report.outcomes["labelled"], "failed": 0}
    assert {row["answers"] for row in pq.read_table(tuesday.folder / "users").to_pylist()} == {0}


def test_large_numbers_in_profiles_are_no_ids(town, tmp_path):
    """A number too large to be exact is refused where it names somebody, and is a value like any other in a profile."""
    people = read_table(town.folder / "profiles.parquet", ("user",))["user"][:2]
    pq.write_table(pa.table({"user": people, "field": ["salary"] * 2, "value": [2.0**60] * 2}), tmp_path / "profiles.parquet")
    given = town.tables(profiles=tmp_path / "profiles.parquet")
    assert label_many(given, tmp_path / "out", town.labelling()).report.outcomes["labelled"] > 0


def test_who_failed_is_not_taken_for_unchanged(town, tmp_path, write_answers):
    """A user who could not be labelled fails in every later run until it can be, however little has changed."""
    answers = town.answers()
    write_answers(tmp_path / "answers.parquet", [*answers, (*answers[0][:3], "dney")])
    changed = town.tables(answers=tmp_path / "answers.parquet", users=[answers[0][0]])
    monday = label_many(changed, tmp_path / "monday", town.labelling())
    tuesday = label_many(replace(changed, since=tmp_path / "monday"), tmp_path / "tuesday", town.labelling())
    assert monday.report.outcomes == tuesday.report.outcomes == {"failed": 1}


def test_who_withdrew_every_answer_or_left_is_not_forgotten(town, tmp_path, cells, write_answers):
    """A run since another labels those of its users who have no answers left, and says who of them is no longer in the graph."""
    answers = town.answers()
    edges = read_table(town.folder / "edges.parquet", ("source", "target", "weight"))
    users = sorted({row[0] for row in answers})
    gone, silent = users[0], next(user for user in users[1:] if {user, users[0]} not in map(set, edges.rows("source", "target")))
    label_many(town.tables(), tmp_path / "monday", town.labelling())
    rows = [row for row in edges.rows() if gone not in row]
    write_table(tmp_path / "edges.parquet", {name: [row[k] for row in rows] for k, name in enumerate(edges.columns)})
    write_answers(tmp_path / "answers.parquet", [row for row in answers if not {gone, silent} & {row[0], row[2]}])
    changed = {name: tmp_path / f"{name}.parquet" for name in ("edges", "answers")}
    tuesday = label_many(town.tables(since=tmp_path / "monday", **changed), tmp_path / "tuesday", town.labelling())
    assert tuesday.report.errors == [(gone, "is not in the graph")]
    alone = label_many(town.tables(users=[silent], **changed), tmp_path / "alone", town.labelling())
    assert [row for row in cells(tuesday.folder) if row[0] == silent] == cells(alone.folder)
    assert sum(tuesday.report.outcomes.values()) == len(users)


def test_a_suggestion_or_another_layout_does_not_count_as_an_earlier_policy(town, tmp_path):
    """After a run that wrote new cells only, or in another layout, nobody is unchanged."""
    answers = town.answers()
    write_table(tmp_path / "new.csv", {"source": [answers[0][0]], "target": [answers[0][2]]})
    user = town.tables(users=[answers[0][0]])
    suggested = label_many(town.tables(new=tmp_path / "new.csv"), tmp_path / "suggested", town.labelling())
    since = label_many(replace(user, since=suggested.folder), tmp_path / "since", town.labelling())
    assert since.report.outcomes == {"labelled": 1, "failed": 0}
    nested = label_many(replace(user, since=since.folder), tmp_path / "nested", town.labelling(), layout="nested")
    assert nested.report.outcomes == {"labelled": 1, "failed": 0}


def test_another_version_changes_everybody(town, monkeypatch):
    """What another version of the library labelled counts as changed, and a run that it began does not go on."""
    before = town.labelling().fingerprint
    monkeypatch.setattr("privwiz.case.version", lambda _: "0.0.0")
    assert town.labelling().fingerprint != before


@pytest.mark.parametrize("change", [{"seed": 1}, {"items": profile_items(["phone"])}, {"prior": Prior.flat()}, {"reasons": "en"}])
def test_another_way_to_label_changes_everybody(town, tmp_path, change):
    """With another seed, other items, another prior or reasons, no user counts as unchanged."""
    label_many(town.tables(users=2), tmp_path / "monday", town.labelling())
    run = label_many(town.tables(users=2, since=tmp_path / "monday"), tmp_path / "tuesday", town.labelling(**change))
    assert run.report.outcomes["unchanged"] == 0


def test_new_friends_get_what_a_whole_run_would_give_them(town, tmp_path, cells, run):
    """A suggestion is the cell of the new friend in the policy of the graph with the friendship, for both ends of it."""
    edges = read_table(town.folder / "edges.parquet", ("source", "target", "weight"))
    friends = {frozenset(pair) for pair in edges.rows("source", "target")}
    new = next(user for user in sorted(set(edges["target"])) if frozenset(("ada", user)) not in friends and user != "ada")
    write_table(tmp_path / "new.csv", {"source": ["ada"], "target": [new], "weight": [1]})
    run("suggest", *town.options(new=tmp_path / "new.csv"), "--out", tmp_path / "out")
    write_table(
        tmp_path / "all.parquet",
        {name: [*edges[name], last] for name, last in (("source", "ada"), ("target", new), ("weight", "1"))},
    )
    write_table(tmp_path / "users.csv", {"user": ["ada", new]})
    run("label", *town.options(graph=tmp_path / "all.parquet", users=tmp_path / "users.csv"), "--out", tmp_path / "whole")
    expected = [row for row in cells(tmp_path / "whole") if {row[0], row[2]} == {"ada", new}]
    assert cells(tmp_path / "out") == expected
    assert len(expected) == 2 * len(town.items)


def corrupt(town, path):
    """Return the options of a run on a file that lacks its end."""
    path.write_bytes((town.folder / "edges.parquet").read_bytes()[:-10])
    return town.options(graph=path)


def written(option, columns):
    """Return what writes a table in the place of one of the town's, and returns the options of a run on it."""

    def write(town, path):
        pq.write_table(pa.table(columns), path)
        return town.options(**{option: path})

    return write


def empty_folder(town, path):
    """Return the options of a run on a folder with nothing in it."""
    path.mkdir()
    return town.options(graph=path)


def beside(name):
    """Return what makes a folder of answers with something in it that is no Parquet file, and returns the options of a run."""

    def make(town, path):
        (path / "day=2").mkdir(parents=True)
        shutil.copy(town.folder / "answers.parquet", path / "day=2")
        (path / "day=2" / name).symlink_to(town.folder)
        return town.options(answers=path)

    return make


def nobody(town, path):
    """Return the options of a run over the users of a table in which there are none."""
    write_table(f"{path}.csv", {"user": []})
    return town.options(users=f"{path}.csv")


def earlier(columns):
    """Return what makes a folder of an earlier run with this table of users, or no table, and returns the options of a run."""

    def make(town, path):
        for name in ("policies", "users"):
            (path / name).mkdir(parents=True)
            (path / name / "part-0.parquet").touch()
        (path / "report.json").touch()
        if columns is not None:
            pq.write_table(pa.table(columns), path / "users" / "part-0.parquet")
        return town.options(since=path)

    return make


VAGUE = "a floating-point number too large to be exact; store ids as whole numbers or text"


NO_ANSWERS = {name: pa.array([], pa.string()) for name in ("user", "item", "friend", "decision")}


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (corrupt, "{bad}: not a Parquet file, or damaged; write it again"),
        (
            written("answers", {"user": ["ada"], "item": ["phone"], "decision": ["deny"]}),
            "{bad}: column 'friend' is missing (found 'user', 'item', 'decision'); name it in the header",
        ),
        (
            written("graph", {"source": [["ada"]], "target": ["bo"]}),
            "{bad}: column 'source' holds list<element: string> that is not text; store text or numbers",
        ),
        (
            written("graph", {"source": pa.array([], pa.string()), "target": pa.array([], pa.string())}),
            "{bad}: no ties in it; give an edge list with a row for each tie",
        ),
        (
            written("graph", {"source": [""], "target": [""]}),
            "{bad}: no ties in it; give an edge list with a row for each tie",
        ),
        (
            lambda town, _: [*town.options(), "--user", "\udcff"],
            r"an id of a user holds '\udcff', half a character (a lone surrogate); correct it",
        ),
        (
            earlier({"user": ["ada"]}),
            "{bad}/users/part-0.parquet: column 'fingerprint' is missing (found 'user'); name it in the header",
        ),
        (earlier(None), "{bad}/users/part-0.parquet: not a Parquet file, or damaged; write it again"),
        (written("answers", NO_ANSWERS), "{bad}: no answers in it that could be used; add rows, or name users"),
        (lambda town, path: town.options(profiles=path), "{bad}: no such file; check the path"),
        (
            written("answers", {"user": [2.0**53], "item": ["phone"], "friend": ["ada"], "decision": ["deny"]}),
            f"{{bad}}: column 'user' holds 9007199254740992.0, {VAGUE}",
        ),
        (
            written("answers", {"user": pa.array([2**24], pa.float32()), **dict.fromkeys(("item", "friend", "decision"), ["a"])}),
            f"{{bad}}: column 'user' holds 16777216.0, {VAGUE}",
        ),
        (beside("more.parq"), "{bad}/day=2/more.parq: is no .parquet file; rename it, or move it out of the folder of the table"),
        (beside("linked"), "{bad}/day=2/linked: is no .parquet file; rename it, or move it out of the folder of the table"),
        (nobody, "{bad}.csv: no users in it; add rows, or leave --users out to label everybody who answered"),
        (empty_folder, "{bad}: a directory without .parquet files; give a table or a folder of Parquet files"),
        (lambda town, _: town.options(answers="-"), "--answers - can be read only once, and many users take more; give a file"),
        (
            lambda town, _: town.options(classifier="tree"),
            "many users are labelled by the library's own model only; leave --classifier tree out, or give a file",
        ),
        (
            lambda town, _: [*town.options(), "--resume"],
            "{tmp}/out: there is no unfinished run in {tmp}/out.unfinished; leave --resume out",
        ),
        (
            lambda town, path: town.options(since=path.parent),
            "{tmp}: holds no finished run; give the folder that an earlier run wrote",
        ),
    ],
)
def test_bad_input_is_told_in_one_line(town, tmp_path, prepare, message, run):
    """What cannot be used is told with its place and the way out, exit code 1, and nothing is left behind."""
    bad = tmp_path / "bad.parquet"
    text = run("label", *prepare(town, bad), "--out", tmp_path / "out", code=1)
    assert text.splitlines()[-1] == f"Error: {message.format(tmp=tmp_path, bad=bad)}"
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.unfinished").exists()


@pytest.mark.parametrize(
    ("out", "message"),
    [("n" * 250, "File name too long; check the path and its permissions"), ("/proc/x", "check the path and its permissions")],
)
def test_a_folder_that_cannot_be_made_is_told(town, tmp_path, out, message, run):
    """Where the system makes no folder of that name, the command says why in one line."""
    text = run("label", *town.options(), "--out", tmp_path / out, code=1)
    assert text.startswith("Error: ")
    assert text.endswith(f"{message}\n")


def test_new_ties_cannot_come_from_standard_input(town, tmp_path, run):
    """A table that is read more than once has to be a file: the new ties too."""
    text = run("suggest", *town.options(new="-"), "--out", tmp_path / "out", code=1)
    assert text == "Error: --new - can be read only once, and many users take more; give a file\n"


@pytest.mark.parametrize("table", ["graph", "profiles", "answers"])
def test_a_table_that_is_not_there_is_told_before_any_work(town, tmp_path, table, run):
    """Nothing is read and sorted before it is known that every table is there."""
    path = tmp_path / "nope.csv"
    assert (
        run("label", *town.options(**{table: path}), "--out", tmp_path / "out", code=1)
        == f"Error: {path}: no such file; check the path\n"
    )


def test_an_earlier_run_that_is_none_is_told_before_any_work(town, tmp_path, run):
    """Nothing is read and sorted before it is known that ``--since`` names a finished run."""
    text = run("label", *town.options(since=tmp_path), "--out", tmp_path / "out", code=1)
    assert text == f"Error: {tmp_path}: holds no finished run; give the folder that an earlier run wrote\n"

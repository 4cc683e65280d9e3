import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from pyarrow import parquet as pq

from privwiz import Wizard
from privwiz.batch import BatchInput, Resources, label_many
from privwiz.case import Labelling
from privwiz.cli import main
from privwiz.community import simulate_community
from privwiz.community_files import write_community
from privwiz.errors import DataError
from privwiz.items import profile_items
from privwiz.prior import Prior
from privwiz.readers import read_ego_network
from privwiz.tables import read_table, write_table

ITEMS = ("phone", "birthday", "photos")


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """The tables of a town of 60 people, 12 of whom have answered."""
    folder = tmp_path_factory.mktemp("town")
    write_community(simulate_community(60, seed=3), folder, answers_per_item=4, ending=".parquet")
    answers = read_table(folder / "answers.parquet", ("user", "item", "friend", "decision"))
    rows = [row for row in answers.rows() if row[0] in sorted(set(answers["user"]))[::5] and row[1] in ITEMS]
    write_answers(folder / "answers.parquet", rows)
    return folder


class Leaving:
    """Watches a run, and interrupts it when this many users are done."""

    def __init__(self, users=0):
        self.users = users

    def say(self, _):
        """Hear what is being done."""

    def progress(self, done, _):
        """Hear how many users are done."""
        if done == self.users:
            raise KeyboardInterrupt


def write_answers(path, rows):
    """Write rows (user, item, friend, decision)."""
    names = ("user", "item", "friend", "decision")
    write_table(path, {name: [row[k] for row in rows] for k, name in enumerate(names)})


def tables(town, **changed):
    """Return the input of a run over the town."""
    return BatchInput(**{name: town / f"{name}.parquet" for name in ("edges", "answers", "profiles")} | changed)


def labelling(**changed):
    """Return how the town is labelled."""
    return Labelling(**{"items": profile_items(ITEMS), "prior": Prior.default()} | changed)


def files(folder):
    """Return every file of a run that has to be the same when the run is repeated, with its bytes."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: content for name, content in found.items() if not name.startswith("report.")}


def cells(folder):
    """Return the policies of a run as rows."""
    return [tuple(row.values()) for row in pq.read_table(folder / "policies").to_pylist()]


def one_by_one(town, answers, reasons=None):
    """Return the same policies from the library's wizard, user by user."""
    items = profile_items(ITEMS)
    place = {item.id: number for number, item in enumerate(items)}
    rows = []
    for user in sorted({answer[0] for answer in answers}):
        wizard = Wizard(read_ego_network(town / "edges.parquet", user, town / "profiles.parquet"), items)
        for _, item, friend, decision in sorted(
            (row for row in answers if row[0] == user), key=lambda row: (place[row[1]], row[2])
        ):
            wizard.label(item, friend, decision)
        for cell in wizard.policy():
            reason = () if reasons is None else (cell.reason.text(reasons),)
            rows.append((user, cell.item, cell.friend, cell.decision.value, cell.probability, *reason))
    return rows


def test_policies_are_those_of_the_wizard(town, tmp_path):
    """Every cell of a run over many users is, to the last bit, what the library's wizard says about that user alone."""
    run = label_many(tables(town), tmp_path / "out", labelling())
    answers = list(read_table(town / "answers.parquet", ("user", "item", "friend", "decision")).rows())
    assert cells(run.folder) == one_by_one(town, answers)
    assert run.report.outcomes == {"labelled": 12, "failed": 0}


def test_reasons_are_those_of_the_wizard(town, tmp_path):
    """With reasons, every cell has the reason that the wizard gives, in the language asked for."""
    answers = list(read_table(town / "answers.parquet", ("user", "item", "friend", "decision")).rows())
    user = answers[0][0]
    run = label_many(tables(town, users=[user]), tmp_path / "out", labelling(reasons="zh"))
    assert cells(run.folder) == one_by_one(town, [row for row in answers if row[0] == user], "zh")


def test_the_number_of_processes_changes_nothing(town, tmp_path):
    """One process and two write the same bytes, and leave nothing but the result."""
    one = label_many(tables(town), tmp_path / "one", labelling(), resources=Resources(1, 5)).folder
    two = label_many(tables(town), tmp_path / "two", labelling(), resources=Resources(2, 5)).folder
    assert files(one) == files(two)
    parts = [f"part-{number:06}.parquet" for number in range(3)]
    expected = [*(f"policies/{part}" for part in parts), *(f"users/{part}" for part in parts)]
    assert sorted(files(one)) == ["errors.csv", *expected[:3], "rejected.csv", *expected[3:]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_the_nested_layout_says_the_same_in_less_space(town, tmp_path):
    """One row for each user and item has the friends, the decisions, and the probabilities in whole per cents."""
    flat = label_many(tables(town), tmp_path / "flat", labelling())
    nested = label_many(tables(town), tmp_path / "nested", labelling(), layout="nested")
    rows = [
        (row["user"], row["item"], *cell)
        for row in pq.read_table(nested.folder / "policies").to_pylist()
        for cell in zip(row["friends"], row["decisions"], row["percents"], strict=True)
    ]
    assert rows == [(*cell[:4], round(100 * cell[4])) for cell in cells(flat.folder)]


def test_a_part_is_written_few_users_at_a_time(town, tmp_path, monkeypatch):
    """How many policies are held in memory together changes no row of the result, in either layout."""
    for layout in ("flat", "nested"):
        one = label_many(tables(town), tmp_path / f"one-{layout}", labelling(), layout=layout).folder
        monkeypatch.setattr("privwiz.policy_parts._CELLS", 100)
        few = label_many(tables(town), tmp_path / f"few-{layout}", labelling(), layout=layout).folder
        monkeypatch.undo()
        assert pq.read_table(few / "policies").equals(pq.read_table(one / "policies"))
        assert pq.read_metadata(few / "policies" / "part-000000.parquet").num_row_groups > 3


def run(*words, code=0):
    """Run the command line in this process; return what it prints."""
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == code, (done.exit_code, done.output, done.exception)
    return done.output


def options(town, **changed):
    """Return the options of a run over the town's tables."""
    paths = {name: town / f"{name}.parquet" for name in ("graph", "answers", "profiles")} | {"graph": town / "edges.parquet"}
    chosen = paths | {"items": ",".join(ITEMS), "workers": 1} | changed
    return [str(word) for name, value in chosen.items() for word in (f"--{name.replace('_', '-')}", value)]


def test_the_command_says_what_it_did(town, tmp_path):
    """The command labels into a folder, tells its steps on standard error, and the page and the counts agree."""
    text = run("label", *options(town), "--out", tmp_path / "out")
    assert f"12 users labelled; {tmp_path}/out/report.html says more" in text
    assert "12 of 12 users" in text
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    counted = {(item, decision): count for item, decision, count in report["decisions"]}
    found = [(item, decision) for _, item, _, decision, _ in cells(tmp_path / "out")]
    assert counted == {(item, decision): found.count((item, decision)) for item, decision in counted}
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "Policies of 12 users" in page
    assert "http" not in page


def test_one_user_is_counted_in_the_singular(town, tmp_path):
    """Of one user, the command and the page say "1 user"."""
    text = run("label", *options(town, users=1), "--out", tmp_path / "out")
    assert "1 of 1 user, " in text
    assert f"1 user labelled; {tmp_path}/out/report.html says more" in text
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert all(part in page for part in ("Policies of 1 user<", "1 user: 1 labelled", " with 1 process,"))


def test_users_can_be_drawn_by_chance(town, tmp_path):
    """``--users N`` labels N of those who answered: with equal seeds the same ones."""
    for name in ("one", "two"):
        run("label", *options(town, users=4), "--out", tmp_path / name)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert len({user for user, *_ in cells(tmp_path / "one")}) == 4


def test_a_user_who_contradicts_itself_gets_no_policy(town, tmp_path):
    """What cannot be read as allow or deny fails its user, for guessing could show what it hides; all others are labelled."""
    answers = list(read_table(town / "answers.parquet", ("user", "item", "friend", "decision")).rows())
    users = sorted({row[0] for row in answers})
    other = {"allow": "deny", "deny": "allow"}
    changed = [(*row[:3], "dney") if row[0] == users[0] else row for row in answers]
    changed += [(*row[:3], other[row[3]]) for row in answers if row[0] == users[1]][:1]
    changed += [row for row in answers if row[0] == users[2]][:2]
    changed += [(*changed[-1][:1], "email", changed[-1][2], "deny"), (users[2], "phone", users[2], "allow")]
    write_answers(tmp_path / "answers.csv", changed)
    text = run("label", *options(town, answers=tmp_path / "answers.csv"), "--out", tmp_path / "out", code=1)
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
def test_a_denial_that_cannot_be_read_fails_its_user(town, tmp_path, change, error):
    """No slip in an answer that hides something makes it as if nothing were said: its user gets no policy, the others do."""
    answers = list(read_table(town / "answers.parquet", ("user", "item", "friend", "decision")).rows())
    denied = next(row for row in answers if row[3] == "deny")
    write_answers(tmp_path / "answers.csv", [change(row) if row == denied else row for row in answers])
    run("label", *options(town, answers=tmp_path / "answers.csv"), "--out", tmp_path / "out", code=1)
    (failed,) = read_table(tmp_path / "out" / "errors.csv", ("user", "error")).rows()
    assert failed[0] == denied[0]
    assert error in failed[1]
    assert {user for user, *_ in cells(tmp_path / "out")} == {row[0] for row in answers} - {denied[0]}


def test_a_user_with_too_many_friends_is_counted(town, tmp_path):
    """Who has more friends than the limit fails with both numbers; users that are not there fail too."""
    write_table(tmp_path / "users.csv", {"user": ["ada", "nobody", "zoë"]})
    run("label", *options(town, users=tmp_path / "users.csv", most_friends=3), "--out", tmp_path / "out", code=1)
    errors = dict(read_table(tmp_path / "out" / "errors.csv", ("user", "error")).rows())
    assert errors["nobody"] == errors["zoë"] == "is not in the graph"
    assert errors["ada"].endswith(" friends; users with more than 3 are not labelled")


def test_only_who_changed_is_labelled_again(town, tmp_path):
    """After one answer has changed, a run since the last labels that user alone, as a run from nothing does."""
    answers = list(read_table(town / "answers.parquet", ("user", "item", "friend", "decision")).rows())
    label_many(tables(town), tmp_path / "monday", labelling())
    write_answers(tmp_path / "answers.parquet", answers[1:])
    changed = {"answers": tmp_path / "answers.parquet"}
    whole = label_many(tables(town, **changed), tmp_path / "whole", labelling())
    tuesday = label_many(tables(town, since=tmp_path / "monday", **changed), tmp_path / "tuesday", labelling())
    assert tuesday.report.outcomes == {"labelled": 1, "unchanged": 11, "failed": 0}
    assert cells(tuesday.folder) == [row for row in cells(whole.folder) if row[0] == answers[0][0]]
    wednesday = label_many(tables(town, since=tmp_path / "tuesday", **changed), tmp_path / "wednesday", labelling())
    assert wednesday.report.outcomes == {"unchanged": 12, "failed": 0}
    assert cells(wednesday.folder) == []


def test_who_has_withdrawn_everything_is_labelled_without_it(town, tmp_path):
    """Where no answer at all is left, the users of the earlier run get policies that rest on none."""
    monday = label_many(tables(town), tmp_path / "monday", labelling())
    write_answers(tmp_path / "answers.parquet", [])
    given = tables(town, answers=tmp_path / "answers.parquet", since=tmp_path / "monday")
    tuesday = label_many(given, tmp_path / "tuesday", labelling())
    assert tuesday.report.outcomes == {"labelled": monday.report.outcomes["labelled"], "failed": 0}
    assert {row["answers"] for row in pq.read_table(tuesday.folder / "users").to_pylist()} == {0}


def test_large_numbers_in_profiles_are_no_ids(town, tmp_path):
    """A number too large to be exact is refused where it names somebody, and is a value like any other in a profile."""
    people = read_table(town / "profiles.parquet", ("user",))["user"][:2]
    pq.write_table(pa.table({"user": people, "field": ["salary"] * 2, "value": [2.0**60] * 2}), tmp_path / "profiles.parquet")
    given = tables(town, profiles=tmp_path / "profiles.parquet")
    assert label_many(given, tmp_path / "out", labelling()).report.outcomes["labelled"] > 0


def test_who_failed_is_not_taken_for_unchanged(town, tmp_path):
    """A user who could not be labelled fails in every later run until it can be, however little has changed."""
    answers = list(read_table(town / "answers.parquet", ("user", "item", "friend", "decision")).rows())
    write_answers(tmp_path / "answers.parquet", [*answers, (*answers[0][:3], "dney")])
    changed = tables(town, answers=tmp_path / "answers.parquet", users=[answers[0][0]])
    monday = label_many(changed, tmp_path / "monday", labelling())
    tuesday = label_many(replace(changed, since=tmp_path / "monday"), tmp_path / "tuesday", labelling())
    assert monday.report.outcomes == tuesday.report.outcomes == {"failed": 1}


def test_who_withdrew_every_answer_or_left_is_not_forgotten(town, tmp_path):
    """A run since another labels those of its users who have no answers left, and says who of them is no longer in the graph."""
    answers = list(read_table(town / "answers.parquet", ("user", "item", "friend", "decision")).rows())
    edges = read_table(town / "edges.parquet", ("source", "target", "weight"))
    users = sorted({row[0] for row in answers})
    gone, silent = users[0], next(user for user in users[1:] if {user, users[0]} not in map(set, edges.rows("source", "target")))
    label_many(tables(town), tmp_path / "monday", labelling())
    rows = [row for row in edges.rows() if gone not in row]
    write_table(tmp_path / "edges.parquet", {name: [row[k] for row in rows] for k, name in enumerate(edges.columns)})
    write_answers(tmp_path / "answers.parquet", [row for row in answers if not {gone, silent} & {row[0], row[2]}])
    changed = {name: tmp_path / f"{name}.parquet" for name in ("edges", "answers")}
    tuesday = label_many(tables(town, since=tmp_path / "monday", **changed), tmp_path / "tuesday", labelling())
    assert tuesday.report.errors == [(gone, "is not in the graph")]
    alone = label_many(tables(town, users=[silent], **changed), tmp_path / "alone", labelling())
    assert [row for row in cells(tuesday.folder) if row[0] == silent] == cells(alone.folder)
    assert sum(tuesday.report.outcomes.values()) == len(users)


def test_a_suggestion_or_another_layout_does_not_count_as_an_earlier_policy(town, tmp_path):
    """After a run that wrote new cells only, or in another layout, or was not finished, nobody is unchanged."""
    answers = list(read_table(town / "answers.parquet", ("user", "item", "friend", "decision")).rows())
    write_table(tmp_path / "new.csv", {"source": [answers[0][0]], "target": [answers[0][2]]})
    user = tables(town, users=[answers[0][0]])
    suggested = label_many(tables(town, new=tmp_path / "new.csv"), tmp_path / "suggested", labelling())
    since = label_many(replace(user, since=suggested.folder), tmp_path / "since", labelling())
    assert since.report.outcomes == {"labelled": 1, "failed": 0}
    nested = label_many(replace(user, since=since.folder), tmp_path / "nested", labelling(), layout="nested")
    assert nested.report.outcomes == {"labelled": 1, "failed": 0}
    with pytest.raises(KeyboardInterrupt):
        label_many(user, tmp_path / "stopped", labelling(), resources=Resources(1, 1), watcher=Leaving(1))
    with pytest.raises(DataError, match="unfinished: holds no finished run; give the folder that an earlier run wrote"):
        label_many(replace(user, since=tmp_path / "stopped.unfinished"), tmp_path / "out", labelling())


def test_another_version_changes_everybody(monkeypatch):
    """What another version of the library labelled counts as changed, and a run that it began does not go on."""
    before = labelling().fingerprint
    monkeypatch.setattr("privwiz.case.version", lambda _: "0.0.0")
    assert labelling().fingerprint != before


@pytest.mark.parametrize("change", [{"seed": 1}, {"items": profile_items(["phone"])}, {"prior": Prior.flat()}, {"reasons": "en"}])
def test_another_way_to_label_changes_everybody(town, tmp_path, change):
    """With another seed, other items, another prior or reasons, no user counts as unchanged."""
    label_many(tables(town, users=2), tmp_path / "monday", labelling())
    run = label_many(tables(town, users=2, since=tmp_path / "monday"), tmp_path / "tuesday", labelling(**change))
    assert run.report.outcomes["unchanged"] == 0


def test_new_friends_get_what_a_whole_run_would_give_them(town, tmp_path):
    """A suggestion is the cell of the new friend in the policy of the graph with the friendship, for both ends of it."""
    edges = read_table(town / "edges.parquet", ("source", "target", "weight"))
    friends = {frozenset(pair) for pair in edges.rows("source", "target")}
    new = next(user for user in sorted(set(edges["target"])) if frozenset(("ada", user)) not in friends and user != "ada")
    write_table(tmp_path / "new.csv", {"source": ["ada"], "target": [new], "weight": [1]})
    run("suggest", *options(town, new=tmp_path / "new.csv"), "--out", tmp_path / "out")
    write_table(
        tmp_path / "all.parquet",
        {name: [*edges[name], last] for name, last in (("source", "ada"), ("target", new), ("weight", "1"))},
    )
    write_table(tmp_path / "users.csv", {"user": ["ada", new]})
    run("label", *options(town, graph=tmp_path / "all.parquet", users=tmp_path / "users.csv"), "--out", tmp_path / "whole")
    expected = [row for row in cells(tmp_path / "whole") if {row[0], row[2]} == {"ada", new}]
    assert cells(tmp_path / "out") == expected
    assert len(expected) == 2 * len(ITEMS)


KILLED = """
import os
import signal
import sys
from pathlib import Path
from privwiz.batch import BatchInput, Resources, label_many
from privwiz.case import Labelling
from privwiz.items import profile_items
from privwiz.prior import Prior

CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir")


def changes(event, arguments):
    if event == "open":
        return isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    return event in CHANGES


def die_at(step, out):
    left = step

    def watch(event, arguments):
        nonlocal left
        if left and changes(event, arguments) and str(arguments[0]).startswith(str(out)):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def label(town, out, workers):
    given = BatchInput(town / "edges.parquet", town / "answers.parquet", town / "profiles.parquet", users=3)
    labelling = Labelling(profile_items(["phone", "birthday", "photos"]), Prior.default())
    resume = Path(f"{out}.unfinished").exists()
    label_many(given, out, labelling, resources=Resources(workers, 2), resume=resume)


if __name__ == "__main__":
    town, folder, every, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    step = 1
    while True:
        out = folder / f"out{step}"
        child = os.fork()
        if not child:
            die_at(step, out)
            label(town, out, workers)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        print(step, out.exists(), flush=True)
        step += every
"""


def whole(folder):
    """Whether every table that can be seen in a folder can be read, but for those that say they are not finished."""
    for path in folder.rglob("*.parquet"):
        pq.read_table(path)
    return True


@pytest.mark.parametrize(("workers", "every"), [(1, 4), (2, 13)])
def test_a_killed_run_goes_on_to_the_same_result(town, tmp_path, workers, every):
    """Killed at any change of a file, a run shows no half-written file, and goes on to the very bytes of one without a fault."""
    (tmp_path / "run.py").write_text(KILLED, encoding="utf-8")
    expected = label_many(tables(town, users=3), tmp_path / "expected", labelling(), resources=Resources(1, 2)).folder
    command = [sys.executable, tmp_path / "run.py", town, tmp_path, str(every), str(workers)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    steps = [line.split() for line in done.stdout.splitlines()]
    assert len(steps) > 2
    for step, finished in steps:
        out = tmp_path / f"out{step}"
        left = tmp_path / f"out{step}.unfinished"
        assert out.exists() == (finished == "True")
        assert whole(left)
        again = partial(label_many, tables(town, users=3), out, labelling(), resources=Resources(1, 2), resume=left.exists())
        if out.exists():
            with pytest.raises(DataError, match="is there already"):
                again()
        else:
            again()
        assert files(out) == files(expected)
        assert not left.exists()


def test_an_interrupted_run_leaves_quietly_and_goes_on(town, tmp_path):
    """Ctrl-C ends the command with exit code 130 and no traceback, and ``--resume`` finishes the run."""
    command = [Path(sys.executable).with_name("privwiz"), "label", *options(town, workers=2), "--out", tmp_path / "out"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        for line in process.stderr:
            if "choosing" in line:
                break
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stderr.read()
    assert (process.returncode, "Traceback" in rest) == (130, False), rest
    assert "Interrupted. What is done is kept; the same command with --resume goes on." in rest
    assert "12 users labelled" in run("label", *options(town), "--out", tmp_path / "out", "--resume")
    assert files(tmp_path / "out") == files(label_many(tables(town), tmp_path / "expected", labelling()).folder)


def test_a_run_is_alone_in_its_folder(town, tmp_path):
    """While one process labels, another one of the same name is turned away and spoils nothing."""
    told = []

    class Other(Leaving):
        def progress(self, *_):
            with pytest.raises(DataError) as error:
                label_many(tables(town), tmp_path / "out", labelling(), resume=True)
            told.append(str(error.value))

    label_many(tables(town), tmp_path / "out", labelling(), watcher=Other())
    assert set(told) == {f"{tmp_path}/out: another process is at work in {tmp_path}/out.unfinished; let it end"}
    assert len({user for user, *_ in cells(tmp_path / "out")}) == 12


def test_what_a_dead_process_left_is_no_result(town, tmp_path):
    """A part that a process began and never finished is not in the result."""

    class Dying(Leaving):
        def progress(self, *_):
            (tmp_path / "out.unfinished" / "result" / "policies" / ".0123456789abcdef.tmp").write_bytes(b"PAR1")

    label_many(tables(town), tmp_path / "out", labelling(), watcher=Dying())
    assert [path.name for path in (tmp_path / "out" / "policies").iterdir()] == ["part-000000.parquet"]


def test_a_result_does_not_replace_what_has_appeared_meanwhile(town, tmp_path):
    """A folder that somebody made under the name of the result is kept; when it is moved, the run goes on and ends."""

    class Maker(Leaving):
        def progress(self, *_):
            (tmp_path / "out").mkdir(exist_ok=True)
            (tmp_path / "out" / "notes.txt").write_text("mine", encoding="utf-8")

    with pytest.raises(DataError, match="Directory not empty; what is done is kept: mend it and go on with --resume"):
        label_many(tables(town), tmp_path / "out", labelling(), watcher=Maker())
    assert (tmp_path / "out" / "notes.txt").read_text("utf-8") == "mine"
    (tmp_path / "out").rename(tmp_path / "mine")
    label_many(tables(town), tmp_path / "out", labelling(), resume=True)
    assert files(tmp_path / "out") == files(label_many(tables(town), tmp_path / "expected", labelling()).folder)


def emptied(path):
    """Make an array of the store look as after a power failure that took its last write: without rows."""
    kind = np.load(path, mmap_mode="r").dtype
    with path.open("r+b") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": (0,)}
        )


@pytest.mark.parametrize("damage", ["ties", "weights", "profiles", "answers", "lost"])
def test_a_torn_store_is_built_again(town, tmp_path, damage):
    """A run that goes on after its machine lost its power never takes missing ties, profiles or answers for there being none."""
    expected = label_many(tables(town, users=2), tmp_path / "expected", labelling()).folder
    with pytest.raises(KeyboardInterrupt):
        label_many(tables(town, users=2), tmp_path / "out", labelling(), watcher=Leaving())
    store = tmp_path / "out.unfinished" / "store"
    if damage == "lost":
        (store / "answers.npy").write_bytes(b"")
    else:
        emptied(store / f"{damage}.npy")
    label_many(tables(town, users=2), tmp_path / "out", labelling(), resume=True)
    assert files(tmp_path / "out") == files(expected)


def test_what_a_run_goes_on_with_is_on_the_disk_first(town, tmp_path, monkeypatch):
    """Before a run says that its store is built, or a part done, the system has written every file of it to the disk."""
    settled, sync = [], os.fsync

    def watch(descriptor):
        settled.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    with pytest.raises(KeyboardInterrupt):
        label_many(tables(town, users=2), tmp_path / "out", labelling(), watcher=Leaving())
    folder = tmp_path / "out.unfinished"
    assert {folder / "store", *(folder / "store").glob("*.*"), folder / "rejected-tables.csv"} <= set(settled)
    settled.clear()
    label_many(tables(town, users=2), tmp_path / "out", labelling(), resume=True)
    parts = {folder / "result" / "policies", folder / "result" / "users"}
    assert {folder / "rejected" / "000000.csv", *parts} <= set(settled)


def corrupt(town, path):
    """Return the options of a run on a file that lacks its end."""
    path.write_bytes((town / "edges.parquet").read_bytes()[:-10])
    return options(town, graph=path)


def written(option, columns):
    """Return what writes a table in the place of one of the town's, and returns the options of a run on it."""

    def write(town, path):
        pq.write_table(pa.table(columns), path)
        return options(town, **{option: path})

    return write


def empty_folder(town, path):
    """Return the options of a run on a folder with nothing in it."""
    path.mkdir()
    return options(town, graph=path)


def beside(name):
    """Return what makes a folder of answers with something in it that is no Parquet file, and returns the options of a run."""

    def make(town, path):
        (path / "day=2").mkdir(parents=True)
        shutil.copy(town / "answers.parquet", path / "day=2")
        (path / "day=2" / name).symlink_to(town)
        return options(town, answers=path)

    return make


def nobody(town, path):
    """Return the options of a run over the users of a table in which there are none."""
    write_table(f"{path}.csv", {"user": []})
    return options(town, users=f"{path}.csv")


def earlier(columns):
    """Return what makes a folder of an earlier run with this table of users, or no table, and returns the options of a run."""

    def make(town, path):
        for name in ("policies", "users"):
            (path / name).mkdir(parents=True)
            (path / name / "part-0.parquet").touch()
        (path / "report.json").touch()
        if columns is not None:
            pq.write_table(pa.table(columns), path / "users" / "part-0.parquet")
        return options(town, since=path)

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
            lambda town, _: [*options(town), "--user", "\udcff"],
            r"an id of a user holds '\udcff', half a character (a lone surrogate); correct it",
        ),
        (
            earlier({"user": ["ada"]}),
            "{bad}/users/part-0.parquet: column 'fingerprint' is missing (found 'user'); name it in the header",
        ),
        (earlier(None), "{bad}/users/part-0.parquet: not a Parquet file, or damaged; write it again"),
        (written("answers", NO_ANSWERS), "{bad}: no answers in it that could be used; add rows, or name users"),
        (lambda town, path: options(town, profiles=path), "{bad}: no such file; check the path"),
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
        (lambda town, _: options(town, answers="-"), "--answers - can be read only once, and many users take more; give a file"),
        (
            lambda town, _: options(town, classifier="tree"),
            "many users are labelled by the library's own model only; leave --classifier tree out, or give a file",
        ),
        (
            lambda town, _: [*options(town), "--resume"],
            "{tmp}/out: there is no unfinished run in {tmp}/out.unfinished; leave --resume out",
        ),
        (
            lambda town, path: options(town, since=path.parent),
            "{tmp}: holds no finished run; give the folder that an earlier run wrote",
        ),
    ],
)
def test_bad_input_is_told_in_one_line(town, tmp_path, prepare, message):
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
def test_a_folder_that_cannot_be_made_is_told(town, tmp_path, out, message):
    """Where the system makes no folder of that name, the command says why in one line."""
    text = run("label", *options(town), "--out", tmp_path / out, code=1)
    assert text.startswith("Error: ")
    assert text.endswith(f"{message}\n")


def test_new_ties_cannot_come_from_standard_input(town, tmp_path):
    """A table that is read more than once has to be a file: the new ties too."""
    text = run("suggest", *options(town, new="-"), "--out", tmp_path / "out", code=1)
    assert text == "Error: --new - can be read only once, and many users take more; give a file\n"


@pytest.mark.parametrize("table", ["graph", "profiles", "answers"])
def test_a_table_that_is_not_there_is_told_before_any_work(town, tmp_path, table):
    """Nothing is read and sorted before it is known that every table is there."""
    path = tmp_path / "nope.csv"
    assert (
        run("label", *options(town, **{table: path}), "--out", tmp_path / "out", code=1)
        == f"Error: {path}: no such file; check the path\n"
    )


def test_an_earlier_run_that_is_none_is_told_before_any_work(town, tmp_path):
    """Nothing is read and sorted before it is known that ``--since`` names a finished run."""
    text = run("label", *options(town, since=tmp_path), "--out", tmp_path / "out", code=1)
    assert text == f"Error: {tmp_path}: holds no finished run; give the folder that an earlier run wrote\n"


def test_a_folder_is_never_written_over(town, tmp_path):
    """A finished run stays, an unfinished one goes on with the same tables only; options for folders are refused with files."""
    run("label", *options(town, users=1), "--out", tmp_path / "out")
    again = run("label", *options(town), "--out", tmp_path / "out", code=1)
    assert again == f"Error: {tmp_path}/out: is there already; name a folder that is not\n"
    there = tmp_path / "next.unfinished"
    there.mkdir()
    (there / "notes.txt").write_text("mine", encoding="utf-8")
    foreign = run("label", *options(town), "--out", tmp_path / "next", "--resume", code=1)
    assert foreign == f"Error: {tmp_path}/next: {there} holds no run that could go on; delete that folder\n"
    (there / "notes.txt").unlink()
    with pytest.raises(KeyboardInterrupt):
        label_many(tables(town), tmp_path / "next", labelling(), watcher=Leaving())
    busy = run("label", *options(town), "--out", tmp_path / "next", code=1)
    assert busy == f"Error: {tmp_path}/next: an unfinished run is in {there}; go on with --resume, or delete that folder\n"
    other = run("label", *options(town, seed=1), "--out", tmp_path / "next", "--resume", code=1)
    assert "is of other tables or options; give those, or delete that folder" in other
    file = run("label", *options(town, layout="nested"), "--out", tmp_path / "out.csv", code=2)
    assert "--layout is for many users: give --out a folder, a name without an ending." in file


KEPT = "what is done is kept: mend it and go on with --resume"


def test_a_full_disk_keeps_what_is_done(town, tmp_path):
    """Where the system takes no more bytes, the command ends with the reason; with room again it goes on to the same result."""
    expected = label_many(tables(town), tmp_path / "expected", labelling()).folder
    limit = "ulimit -f 16; exec"  # blocks of 512 or 1024 bytes, as the shell counts
    command = [Path(sys.executable).with_name("privwiz"), "label", *options(town), "--out", tmp_path / "out"]
    done = subprocess.run(
        ["bash", "-c", f'trap "" XFSZ; {limit} "$@"', "bash", *command], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"Error: {tmp_path}/out: File too large; {KEPT}")
    assert not (tmp_path / "out").exists()
    assert "12 users labelled" in run("label", *options(town), "--out", tmp_path / "out", "--resume")
    assert files(tmp_path / "out") == files(expected)


FULL = """
import resource
import sys
from pathlib import Path
from privwiz.batch import BatchInput, Resources, label_many
from privwiz.case import Labelling
from privwiz.errors import DataError
from privwiz.items import profile_items
from privwiz.prior import Prior


class Disk:
    def say(self, text):
        pass

    def progress(self, done, total):
        if done == 6 and sys.argv[3] == "full":
            resource.setrlimit(resource.RLIMIT_FSIZE, (256, 256))


town, out = map(Path, sys.argv[1:3])
given = BatchInput(town / "edges.parquet", town / "answers.parquet", town / "profiles.parquet")
labelling = Labelling(profile_items(["phone", "birthday", "photos"]), Prior.default())
try:
    label_many(given, out, labelling, resources=Resources(1, 2), resume=sys.argv[3] == "room", watcher=Disk())
except DataError as error:
    sys.exit(str(error))
"""


def test_a_disk_that_fills_up_half_way_keeps_the_parts_that_are_done(town, tmp_path):
    """A part that does not fit is told, the parts before it stay, and with room again the run goes on to the same result."""
    expected = label_many(tables(town), tmp_path / "expected", labelling(), resources=Resources(1, 2)).folder
    (tmp_path / "run.py").write_text(FULL, encoding="utf-8")
    command = [sys.executable, tmp_path / "run.py", town, tmp_path / "out"]
    done = subprocess.run([*command, "full"], capture_output=True, text=True, check=False)
    part = tmp_path / "out.unfinished" / "result" / "policies" / "part-000003.parquet"
    assert (done.returncode, done.stderr.strip()) == (1, f"{part}: File too large; make room for it; {KEPT}")
    assert len(list((tmp_path / "out.unfinished" / "done").iterdir())) == 3
    subprocess.run([*command, "room"], check=True)
    assert files(tmp_path / "out") == files(expected)

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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
    changed += [(*changed[-1][:1], "shoe size", changed[-1][2], "deny"), (users[2], "phone", users[2], "allow")]
    write_answers(tmp_path / "answers.csv", changed)
    text = run("label", *options(town, answers=tmp_path / "answers.csv"), "--out", tmp_path / "out", code=1)
    assert f"Error: 2 users have no policy; see {tmp_path}/out/errors.csv" in text
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
import sys
from pathlib import Path
from privwiz.batch import BatchInput, Resources, label_many
from privwiz.case import Labelling
from privwiz.items import profile_items
from privwiz.prior import Prior

if __name__ == "__main__":
    town, out = map(Path, sys.argv[1:3])
    given = BatchInput(town / "edges.parquet", town / "answers.parquet", town / "profiles.parquet")
    labelling = Labelling(profile_items(["phone", "birthday", "photos"]), Prior.default())
    resume = Path(f"{out}.unfinished").exists()
    label_many(given, out, labelling, resources=Resources(int(sys.argv[3]), 2), resume=resume)
"""


def whole(folder):
    """Whether every Parquet file that can be seen in a folder can be read."""
    for path in folder.rglob("part-*.parquet"):
        pq.read_table(path)
    return True


def test_a_killed_run_goes_on_to_the_same_result(town, tmp_path):
    """Killed at any point, a run shows no half-written file, and goes on to the very bytes of a run without a fault.

    PRIVWIZ_KILLS says at how many points, spread over the run.
    """
    kills = int(os.environ.get("PRIVWIZ_KILLS", "3"))
    (tmp_path / "run.py").write_text(KILLED, encoding="utf-8")
    command = [sys.executable, tmp_path / "run.py", town, tmp_path / "out"]
    expected = label_many(tables(town), tmp_path / "expected", labelling(), resources=Resources(1, 2)).folder
    started = time.monotonic()
    subprocess.run([*command, "1"], check=True)
    seconds = time.monotonic() - started
    assert files(tmp_path / "out") == files(expected)
    for kill in range(kills):
        out = tmp_path / f"out{kill}"
        process = subprocess.Popen([*command[:-1], out, str(1 + kill % 2)])
        time.sleep(seconds * (0.5 + 0.5 * (kill + 0.5) / kills))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not out.exists() or files(out) == files(expected)
        assert whole(tmp_path / f"out{kill}.unfinished")
        if not out.exists():
            subprocess.run([*command[:-1], out, "1"], check=True)
        assert files(out) == files(expected)


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
    assert "12 users labelled" in run("label", *options(town), "--out", tmp_path / "out", "--resume")
    assert len(cells(tmp_path / "out")) > 0


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
        (written("answers", NO_ANSWERS), "{bad}: no answers in it that could be used; add rows, or name users"),
        (lambda town, path: options(town, profiles=path), "{bad}: no such file; check the path"),
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


@pytest.mark.parametrize("table", ["graph", "profiles", "answers"])
def test_a_table_that_is_not_there_is_told_before_any_work(town, tmp_path, table):
    """Nothing is read and sorted before it is known that every table is there."""
    path = tmp_path / "nope.csv"
    assert (
        run("label", *options(town, **{table: path}), "--out", tmp_path / "out", code=1)
        == f"Error: {path}: no such file; check the path\n"
    )


def test_a_folder_is_never_written_over(town, tmp_path):
    """A finished run stays, an unfinished one goes on with the same tables only; options for folders are refused with files."""
    run("label", *options(town, users=1), "--out", tmp_path / "out")
    again = run("label", *options(town), "--out", tmp_path / "out", code=1)
    assert again == f"Error: {tmp_path}/out: is there already; name a folder that is not\n"
    (tmp_path / "next.unfinished").mkdir()
    there = f"{tmp_path}/next.unfinished"
    busy = run("label", *options(town), "--out", tmp_path / "next", code=1)
    assert busy == f"Error: {tmp_path}/next: an unfinished run is in {there}; go on with --resume, or delete that folder\n"
    empty = run("label", *options(town), "--out", tmp_path / "next", "--resume", code=1)
    assert empty == f"Error: {tmp_path}/next: {there} holds no run that could go on; delete that folder\n"
    (tmp_path / "next.unfinished" / "plan.json").write_text("{}", encoding="utf-8")
    other = run("label", *options(town), "--out", tmp_path / "next", "--resume", code=1)
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
    part = tmp_path / "out.unfinished" / "policies" / "part-000003.parquet"
    assert (done.returncode, done.stderr.strip()) == (1, f"{part}: File too large; make room for it; {KEPT}")
    assert len(list((tmp_path / "out.unfinished" / "done").iterdir())) == 3
    subprocess.run([*command, "room"], check=True)
    assert files(tmp_path / "out") == files(expected)

"""The commands: what they print and write, and how they end. The talk of `privwiz ask` has its own file."""

import csv
import io
import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from privwiz import Policy, Wizard, read_ego_network
from privwiz.asking import STRATEGIES
from privwiz.audiences import Audience
from privwiz.case import MOST_FRIENDS
from privwiz.cli import main
from privwiz.commands import ask, circles, many, options, simulate
from privwiz.graphs import build_ego_network
from privwiz.metrics import ItemScore, summarise
from privwiz.policy_parts import LAYOUTS
from privwiz.population import FEWEST_FRIENDS, MEDIUM_LEVEL, read_population
from privwiz.regimes import REGIMES
from privwiz.screens import KINDS
from privwiz.simulate import sample_answers, simulate_policy
from privwiz.snap import read_snap_circles, read_snap_ego_network, snap_egos
from privwiz.tables import read_table

ROOT = Path(__file__).parents[1]
PRIVWIZ = Path(sys.executable).with_name("privwiz")
TOWN = ("--graph", "town/edges.csv", "--profiles", "town/profiles.csv")
SMALL_USER = "winnie.rowe"


@pytest.fixture(autouse=True)
def _beside_the_samples(tmp_path, monkeypatch):
    """Every test works in its own folder, with links to the sample networks."""
    monkeypatch.chdir(tmp_path)
    for name in ("town", "snap", "small.json", "small.graphml"):
        Path(name).symlink_to(ROOT / "sample_graphs" / name)


@pytest.fixture
def policy_file():
    """A policy of the sample user with the fewest friends, after a few answers, with the state of its wizard beside it."""
    wizard = Wizard(read_ego_network("town/edges.csv", SMALL_USER, "town/profiles.csv"), ["phone", "photos"])
    circle = max(wizard.circles, key=len)
    wizard.label("photos", circle, "allow")
    Path("old.json").write_text(Wizard(wizard.network, ["phone", "photos"]).policy().to_json(), encoding="utf-8")
    Path("state.json").write_text(wizard.to_json(), encoding="utf-8")
    Path("policy.json").write_text(wizard.policy().to_json(), encoding="utf-8")
    return "policy.json"


def run(*command, said=None):
    """Run a command in this process; it must succeed. Return what it printed on standard output."""
    result = CliRunner().invoke(main, [str(word) for word in command], input=said)
    assert result.exit_code == 0, result.output
    return result.stdout


def rows(text):
    """Return the rows of a table as dictionaries."""
    return list(csv.DictReader(io.StringIO(text)))


# The program


def test_the_installed_program():
    """The entry point runs and says the version of the distribution."""
    done = subprocess.run([PRIVWIZ, "--version"], capture_output=True, encoding="utf-8", check=True)
    assert (done.stdout, done.stderr) == (f"privwiz {version('privwiz')}\n", "")


def test_every_command_has_a_short_help():
    """The overview lists each command with a sentence."""
    overview = run("--help")
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command.short_help.endswith(".")
        assert f"  {name} " in overview


THREADS = """
import click
from threadpoolctl import threadpool_info
from privwiz.cli import main

@main.command()
def threads():
    import privwiz.batch, privwiz.wizard
    click.echo({library["num_threads"] for library in threadpool_info()})

main(["threads"])
"""


def test_commands_use_one_thread_of_linear_algebra():
    """More threads make the matrices of one user several times slower, those of libraries that a command loads later too."""
    threads = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, env=os.environ | threads, text=True, check=True)
    assert done.stdout == "{1}\n"


@pytest.mark.parametrize(
    "command", ["--help", "show policy.json --item phone", "label --graph g.csv --answers a.csv --out p.csv"]
)
def test_an_interrupt_while_libraries_are_loaded(command):
    """Ctrl-C before a command has loaded what it needs ends it with exit code 130 and no traceback."""
    Path("numpy.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n", encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([PRIVWIZ, *command.split()], capture_output=True, env=environment, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\n")


def test_a_table_through_pipes():
    """Answers from standard input become a policy on standard output, without anything else on it."""
    command = [PRIVWIZ, "label", "--graph", "snap", "--answers", "-", "--items", "phone", "--out", "-"]
    said = "user,item,friend,decision\n0,phone,5,deny\n0,phone,7,allow\n"
    done = subprocess.run(command, input=said, capture_output=True, encoding="utf-8", check=True)
    decisions = {row["friend"]: row["decision"] for row in rows(done.stdout)}
    assert (len(decisions), decisions["5"], decisions["7"], done.stderr) == (100, "deny", "allow", "")


def test_a_reader_that_goes_away():
    """When who reads the output stops reading, the command ends without a word."""
    circles = f"{PRIVWIZ} circles --graph town/edges.csv --user ada --level all --json - | head -1"
    done = subprocess.run(["/bin/sh", "-c", circles], capture_output=True, encoding="utf-8", check=True)
    assert (done.stdout, done.stderr) == ("{\n", "")


@pytest.mark.parametrize(
    "command", ["label --graph small.json --answers answers.csv --out -", "circles --graph small.json --user ada"]
)
def test_output_without_room(command):
    """A standard output that is full is told in a sentence."""
    Path("answers.csv").write_text("user,item,friend,decision\nada,phone,barney.calder,deny\n", encoding="utf-8")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([PRIVWIZ, *command.split()], stdout=full, stderr=subprocess.PIPE, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (1, "Error: standard output: No space left on device; make room for it\n")


def test_output_that_cannot_show_chinese():
    """On a terminal of another encoding what cannot be shown is written as an escape; nothing fails."""
    command = [PRIVWIZ, "circles", "--graph", "snap", "--lang", "zh"]
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, capture_output=True, env=environment, encoding="latin-1", check=True)
    assert done.stdout.startswith("\\u7f16\\u53f7")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell):
    """The completion script of each shell calls privwiz back."""
    assert f"_PRIVWIZ_COMPLETE={shell}_complete" in run("completion", shell)


def test_what_is_completed():
    """Called back by a shell, privwiz lists the options that begin with what was typed."""
    result = CliRunner(env={"_PRIVWIZ_COMPLETE": "bash_complete", "COMP_WORDS": "privwiz ask --k", "COMP_CWORD": "2"}).invoke(
        main, [], prog_name="privwiz"
    )
    assert result.output == "plain,--kinds\n"


def test_bash_takes_the_completion_script():
    """The script for bash is valid, and completes commands."""
    script = (
        run("completion", "bash")
        + '\nCOMP_WORDS=(privwiz circ); COMP_CWORD=1; _privwiz_completion privwiz; echo "${COMPREPLY[@]}"'
    )
    environment = os.environ | {"PATH": f"{PRIVWIZ.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, env=environment, encoding="utf-8", check=True)
    assert done.stdout == "circles\n"


def test_the_choices_are_those_of_the_library():
    """What the help offers, written down there so that it needs no library, is what the library knows."""
    assert ask.KINDS == KINDS
    assert set(ask.STRATEGIES) == set(STRATEGIES)
    assert tuple(REGIMES) == simulate.REGIMES
    assert simulate.FEWEST_FRIENDS == FEWEST_FRIENDS
    assert (many.LAYOUTS, many.MOST_FRIENDS) == (LAYOUTS, MOST_FRIENDS)
    assert f"`privwiz circles` finds at level {MEDIUM_LEVEL}." in " ".join(simulate.simulate.help.split())
    assert next(option.default for option in circles.circles.params if option.name == "level") == MEDIUM_LEVEL
    for name in options.CLASSIFIERS:
        assert Wizard(build_ego_network("me", ["you"], []), ["phone"], classifier=name).policy()


# Circles


def test_circles_as_a_table():
    """The table has a line per circle of the level, the largest first, and says how many friends are in one."""
    head, *lines, coverage = run("circles", *TOWN, "--user", "ada").splitlines()
    assert head.split()[:5] == ["id", "level", "resolution", "friends", "name"]
    sizes = [int(line.split()[3]) for line in lines]
    assert sizes == sorted(sizes, reverse=True)
    assert coverage == "226 of 229 friends are in a circle. 3 have no mutual friend."


def test_circles_of_all_levels_in_chinese():
    """All levels are shown with --level all; with --lang zh head, names and coverage are Chinese."""
    head, *lines, coverage = run("circles", *TOWN, "--user", "ada", "--level", "all", "--lang", "zh").splitlines()
    assert head.split() == ["编号", "层", "分辨率", "人数", "名称", "部分成员"]
    assert {line.split()[1] for line in lines} == set("012345")
    assert coverage == "229 位好友中有 226 位属于某个圈子。3 位没有共同好友。"


def test_circles_as_json():
    """The JSON document holds all members, and on standard output nothing else; equal seeds give equal documents."""
    text = run("circles", "--graph", "small.json", "--user", "ada", "--level", "all", "--json", "-", "--seed", 3)
    document = json.loads(text)
    assert (document["user"], document["friends"]["all"]) == ("ada", 24)
    assert all(len(circle["members"]) == circle["size"] >= 3 for circle in document["circles"])
    run("circles", "--graph", "small.json", "--user", "ada", "--level", "all", "--json", "again.json", "--seed", 3)
    assert Path("again.json").read_text(encoding="utf-8") == text


@pytest.mark.parametrize(("name", "start"), [("circles.svg", b"<?xml"), ("circles.png", b"\x89PNG")])
def test_a_picture_of_circles(name, start):
    """The picture is of the kind that its name says."""
    run("circles", "--graph", "small.graphml", "--user", "ada", "--picture", name)
    assert Path(name).read_bytes().startswith(start)


# Label


def test_label_many_users():
    """Every user of the answers gets a whole policy, in which what they said holds; how many rows that are is said."""
    chosen = [SMALL_USER, "edith.chandler"]
    options = [word for user in chosen for word in ("--user", user)]
    result = CliRunner().invoke(main, ["label", *TOWN, "--answers", "town/answers.csv", *options, "--out", "policies.csv"])
    found = {row[:3]: row[3] for row in read_table("policies.csv", ("user", "item", "friend", "decision")).rows()}
    said = {
        row[:3]: row[3]
        for row in read_table("town/answers.csv", ("user", "item", "friend", "decision")).rows()
        if row[0] in chosen
    }
    friends = sum(read_ego_network("town/edges.csv", user).n for user in chosen)
    assert len(found) == 12 * friends
    assert (result.stdout, result.stderr) == ("", f"wrote policies.csv: {12 * friends:,} rows\n")
    assert {cell: found[cell] for cell in said} == said


def test_one_row_is_counted_in_the_singular():
    """Of one row, the command says "1 row"."""
    Path("edges.csv").write_text("source,target\nme,ann\n", encoding="utf-8")
    Path("none.csv").write_text("user,item,friend,decision\n", encoding="utf-8")
    command = "label --graph edges.csv --answers none.csv --user me --items phone --out out.csv"
    assert CliRunner().invoke(main, command.split()).stderr == "wrote out.csv: 1 row\n"


@pytest.mark.parametrize("out", ["p.csv", "folder"])
def test_answers_about_other_items_are_left_out(out):
    """An answer about an item of the catalogue that is not labelled is counted, whatever else it says, and changes nothing."""
    kept = f"user,item,friend,decision\n{SMALL_USER},phone,ada,deny\n"
    Path("kept.csv").write_text(kept, encoding="utf-8")
    others = [f"{SMALL_USER},city,{rest}\n" for rest in ("ada,deny", "ada,allow", "nobody,deny", "ada,dney")]
    Path("said.csv").write_text(kept + "".join(others), encoding="utf-8")
    few = ["label", *TOWN, "--items", "phone"]
    result = CliRunner().invoke(main, [*few, "--answers", "said.csv", "--out", out])
    assert result.exit_code == 0
    assert ("4 rows could not be used" if out == "folder" else "Left out: 4 answers about items that are not") in result.stderr
    run(*few, "--answers", "kept.csv", "--out", f"only-{out}")
    tables = [Path(name, "policies", "part-000000.parquet") if out == "folder" else Path(name) for name in (out, f"only-{out}")]
    assert tables[0].read_bytes() == tables[1].read_bytes()


@pytest.mark.parametrize("out", ["p.csv", "folder"])
@pytest.mark.parametrize(("items", "item"), [("phone", "phnoe"), ("Phone", "phone"), ("phone_number", "phone")])
def test_an_answer_about_an_item_that_may_be_another_fails_its_user(items, item, out):
    """It may be about one that is labelled, under another name: what it hides is not to be lost."""
    Path("said.csv").write_text(f"user,item,friend,decision\n{SMALL_USER},{item},ada,deny\n", encoding="utf-8")
    result = CliRunner().invoke(main, ["label", *TOWN, "--items", items, "--answers", "said.csv", "--out", out])
    assert result.exit_code == 1
    said = Path(out, "errors.csv").read_text("utf-8") if out == "folder" else result.stderr
    assert f"'{item}' is not one of the profile items; the items are {items}" in said


def test_items_through_a_pipe():
    """A table of items comes from standard input as any other does."""
    Path("none.csv").write_text("user,item,friend,decision\n", encoding="utf-8")
    answers = ("--answers", "none.csv", "--user", SMALL_USER)
    printed = run("label", *TOWN, *answers, "--items", "-", "--out", "-", said="item,en\nshoes,shoe size\n")
    assert {row["item"] for row in rows(printed)} == {"shoes"}


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ("phnoe,city", ["'phnoe' is no item of the catalogue (did you mean 'phone'?)"]),
        ("-", ["'Photo' is no item of the catalogue (did you mean 'photos'?)"]),
        ("telephone", ["'telephone' is no item of the catalogue (did you mean 'phone'?)"]),
        ("shoe_size,hobbies", []),
        ("work,works", []),
    ],
)
def test_an_item_that_may_be_misspelt_is_named(items, said):
    """An item of one's own is taken, with a note if its bare name is near one of the catalogue that is not named as well."""
    Path("none.csv").write_text("user,item,friend,decision\n", encoding="utf-8")
    command = ["label", *TOWN, "--answers", "none.csv", "--user", SMALL_USER, "--items", items, "--out", "-"]
    result = CliRunner().invoke(main, command, input="item,en\nPhoto,\nadress,where I live\n")
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [f"Note: {each}; it is taken as an item of your own" for each in said]
    assert {row["item"] for row in rows(result.stdout)} == ({"Photo", "adress"} if items == "-" else set(items.split(",")))


def test_a_graph_through_a_pipe():
    """An edge list comes from standard input as from a file; nothing else can come from there then."""
    command = ("label", *TOWN[2:], "--answers", "town/answers.csv", "--user", SMALL_USER, "--out", "-")
    edges = Path(TOWN[1]).read_text("utf-8")
    assert run(*command, "--graph", "-", said=edges) == run(*command, *TOWN[:2])
    result = CliRunner().invoke(main, ["label", "--graph", "-", "--answers", "-", "--out", "-"], input=edges)
    assert result.exit_code == 2
    assert "Error: Only one of --graph and --answers can come from standard input." in result.stderr


def test_label_names_users_in_a_table_and_writes_parquet():
    """Users can come from a table; one who said nothing gets the policy that the prior gives; Parquet holds the same as CSV."""
    Path("users.csv").write_text(f"user\n{SMALL_USER}\nada\n", encoding="utf-8")
    Path("said.csv").write_text(f"user,item,friend,decision\n{SMALL_USER},phone,ada,ask\n", encoding="utf-8")
    options = (*TOWN, "--answers", "said.csv", "--users", "users.csv", "--items", "phone")
    for out in ("p.csv", "p.parquet"):
        run("label", *options, "--out", out)
    columns = ("user", "item", "friend", "decision", "reason")
    tables = [list(read_table(out, columns).rows()) for out in ("p.csv", "p.parquet")]
    assert tables[0] == tables[1]
    assert dict.fromkeys(row[0] for row in tables[0]) == dict.fromkeys((SMALL_USER, "ada"))
    assert (SMALL_USER, "phone", "ada", "ask", "You were not sure, so it stays hidden until you decide.") in tables[0]


def test_the_same_answer_twice_is_no_contradiction():
    """Repeating an answer is harmless; what was said holds."""
    said = "user,item,friend,decision\n0,phone,5,deny\n0,phone,5,deny\n"
    text = run("label", "--graph", "snap", "--answers", "-", "--items", "phone", "--out", "-", "--classifier", "knn", said=said)
    assert {row["friend"]: row["decision"] for row in rows(text)}["5"] == "deny"


def test_reasons_in_chinese():
    """With --lang zh the reasons are Chinese."""
    said = "user,item,friend,decision\n0,phone,5,deny\n"
    text = run("label", "--graph", "snap", "--answers", "-", "--items", "phone", "--out", "-", "--lang", "zh", said=said)
    assert {row["friend"]: row["reason"] for row in rows(text)}["5"] == "这是您自己设定的。"


def test_a_bad_user_is_not_lost_and_harms_nobody():
    """Who cannot be labelled is named with the reason and the exit code is 1; the policies of the others are written."""
    text = f"user,item,friend,decision\nada,phone,zoe,allow\n{SMALL_USER},phone,ada,deny\nnobody,phone,ada,deny\n"
    Path("said.csv").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(main, ["label", *TOWN, "--answers", "said.csv", "--items", "phone", "--out", "p.csv"])
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "Error: said.csv, line 2: 'zoe' is not a friend in this network; add the friend first or correct the name",
        "Error: town/edges.csv: 'nobody' is not in the graph; it has 490 users, such as 'wei.lin', 'mei.chen', 'jun.lin'",
        "Error: 2 of 3 users have no policy: ada, nobody; the policies of the others are in p.csv",
    ]
    assert {row["user"] for row in rows(Path("p.csv").read_text(encoding="utf-8"))} == {SMALL_USER}


# Evaluate

EVALUATE = ("evaluate", *TOWN, "--answers", "town/answers.csv", "--items", "phone,photos,city", "--compare", "naive-bayes")


def evaluate_some(*options, said=None):
    """Evaluate the two sample users with the fewest friends; return what is printed."""
    return run(*EVALUATE, "--user", "kate.garland", "--user", "cecily.penrose", *options, said=said)


def test_evaluate_prints_methods_and_metrics_with_intervals():
    """Every method has a column, every metric a line with its intervals below and a meaning; equal calls print the same."""
    text = evaluate_some()
    assert text == evaluate_some()
    assert "2 users, 60 answers." in text
    table, legend, notes = text.split("\n\n")[1:]
    head, *lines = table.splitlines()
    assert head.split() == ["privwiz", "no-prior", "majority", "naive-bayes"]
    assert [line[:22].strip() for line in lines[::2]] == [
        line[:22].strip() for line in legend.splitlines() if "%" in line or "↓" in line or "↑" in line
    ]
    assert all("-" in line for line in lines[1::2])
    assert "From 2 users" in notes
    assert max(map(len, text.splitlines())) < 100


def test_evaluate_writes_what_it_prints():
    """The JSON document holds all metrics and scores; the tables hold a row for each user, method and item."""
    text = evaluate_some("--out", "found.json")
    evaluate_some("--out", "found.parquet")
    document = json.loads(Path("found.json").read_text("utf-8"))
    assert document["format"] == "privwiz.evaluation/1"
    assert f"{100 * document['methods']['privwiz']['accuracy']['value']:.1f}" in text
    scores = [
        ItemScore(**{part.name: row[part.name] for part in fields(ItemScore)})
        for row in document["scores"]
        if row["method"] == "privwiz"
    ]
    assert summarise(replace(score, auc=math.nan) if score.auc is None else score for score in scores)["brier"] == pytest.approx(
        document["methods"]["privwiz"]["brier"]["value"]
    )
    names = ("user", "method", "item", "cells", "bin_allowed_10")
    written = list(read_table("found.parquet", names).rows())
    assert written == [
        (*(row[name] for name in names[:3]), str(row["cells"]), str(row["bin_allowed"][9])) for row in document["scores"]
    ]
    assert list(rows(evaluate_some("--out", "-"))[0])[:4] == ["user", "method", "item", "nontrivial"]


def test_evaluate_says_what_it_leaves_out():
    """Users and items with too few answers, answers "ask" and a single user are told; nothing of them enters the figures."""
    said = "".join(
        f"{user},{item},{friend},{decision}\n"
        for user, item, friend, decision in read_table("town/answers.csv", ("user", "item", "friend", "decision")).rows()
        if user == "kate.garland" and item in {"phone", "photos"}
    )
    extra = "kate.garland,city,bin.guo,allow\nkate.garland,wall,bin.guo,ask\nada,phone,wei.lin,deny\n"
    head = "user,item,friend,decision\n"
    options = ("evaluate", *TOWN, "--answers", "-", "--compare", "tree")
    text = run(*options, said=head + said + extra)
    assert "1 user, 20 answers." in text
    assert text.split("\n\n")[-1].splitlines() == [
        "No intervals: they say how much users differ, and there is only one.",
        "Left out: 1 user with answers about fewer than 5 friends (ada).",
        "Left out: 1 item of users, with fewer than 5 answers.",
        "Left out: 1 answer “ask”: nothing is right or wrong there.",
    ]


def test_evaluate_goes_on_after_a_bad_user():
    """Who cannot be evaluated is named with the reason and the exit code is 1; the figures of the others are printed."""
    said = Path("town/answers.csv").read_text("utf-8").splitlines()
    chosen = [line for line in said if line.startswith(("user,", "kate.garland,phone,"))]
    Path("said.csv").write_text("\n".join([*chosen, "nobody,phone,ada,deny", ""]), encoding="utf-8")
    result = CliRunner().invoke(main, ["evaluate", *TOWN, "--answers", "said.csv", "--compare", "tree"])
    assert result.exit_code == 1
    assert result.stdout.startswith("1 user, 10 answers.")
    assert result.stderr.splitlines() == [
        "Error: town/edges.csv: 'nobody' is not in the graph; it has 490 users, such as 'wei.lin', 'mei.chen', 'jun.lin'",
        "Error: 1 of 2 users could not be evaluated: nobody",
    ]


def test_evaluate_breaks_a_table_that_is_too_wide(monkeypatch):
    """Methods that do not fit beside each other come below each other."""
    monkeypatch.setenv("COLUMNS", "60")
    heads = [line.split() for line in evaluate_some("--compare", "tree,knn").splitlines()]
    assert ["privwiz", "no-prior", "majority"] in heads
    assert ["tree", "knn"] in heads


# Policies


def test_what_a_friend_sees_and_who_sees_a_thing(policy_file):
    """A friend is found by id or name; each line says what holds and why."""
    by_id, by_name = run("show", policy_file, "--friend", "ada"), run("show", policy_file, "--friend", "Ada Lin")
    assert by_id == by_name
    assert [line.split("  ")[0] for line in by_id.splitlines()] == ["thing", "phone number", "photos"]
    assert "Ada Lin" in run("show", policy_file, "--item", "phone")
    assert (
        run("show", "-", "--item", "photos", "--friend", "ada", "--lang", "zh", said=Path(policy_file).read_text("utf-8"))
        .splitlines()[1]
        .startswith("照片")
    )


def test_a_name_of_two_friends_is_refused():
    """Where two friends have one name, an id is asked for."""
    policy = Wizard(read_ego_network("town/edges.csv", SMALL_USER), ["phone"]).policy()
    document = json.loads(policy.to_json())
    document["friends"] = ["1", "2"]
    document.update(names=["Bo", "Bo"])
    result = CliRunner().invoke(main, ["show", "-", "--friend", "Bo"], input=json.dumps(document))
    assert result.exit_code == 1


def test_what_changes_from_one_policy_to_another(policy_file):
    """The summary says how many cells change; the JSON document holds each of them, and takes the place of the summary on -."""
    assert run("diff", policy_file, policy_file) == "Nothing changes.\n"
    summary = run("diff", "old.json", policy_file)
    assert "photos: newly shown to " in summary
    document = json.loads(run("diff", "old.json", "-", "--json", "-", said=Path(policy_file).read_text("utf-8")))
    assert document["format"] == "privwiz.policy-diff/1"
    assert run("diff", "old.json", policy_file, "--json", "diff.json", "--lang", "zh") != summary
    assert json.loads(Path("diff.json").read_text("utf-8")) == document


def test_a_name_cannot_add_a_line_to_what_changes():
    """A friend's name with a line break or a control character stays in its line."""
    network = build_ego_network("me", ["x"], [], profiles={"x": {"name": "Ann\nphotos: no longer shown to anybody\x1b[31m"}})
    wizard = Wizard(network, ["phone"])
    Path("old.json").write_text(wizard.policy().to_json(), encoding="utf-8")
    wizard.label("phone", "x", "allow")
    Path("new.json").write_text(wizard.policy().to_json(), encoding="utf-8")
    said = run("diff", "old.json", "new.json")
    assert len(said.splitlines()) == 2
    assert "\x1b" not in said


def test_export_writes_each_format(policy_file):
    """Every format holds exactly the shown cells; the ending of --out may name the format."""
    policy = Policy.from_json(Path(policy_file).read_text("utf-8"))
    assert Policy.from_json(run("export", policy_file, "--format", "json")).table() == policy.table()
    assert json.loads(run("export", policy_file, "--format", "openfga")) == policy.to_openfga()
    assert run("export", policy_file, "--format", "cedar") == policy.to_cedar()
    assert run("export", policy_file, "--format", "cedar-schema").startswith("entity User;")
    assert json.loads(run("export", policy_file, "--format", "openfga-model"))["schema_version"] == "1.1"
    assert len(rows(run("export", "-", "--format", "csv", said=policy.to_json()))) == len(policy)
    for out in ("copy.csv", "copy.parquet", "copy.json"):
        run("export", policy_file, "--out", out)
    assert len(read_table("copy.parquet", ("friend",))) == len(policy) == len(read_table("copy.csv", ("friend",)))


def test_audiences_use_the_circles_of_the_wizard(policy_file):
    """With the wizard's state audiences are said by circles, without it by people; both mean the same."""
    plain = json.loads(run("export", policy_file, "--format", "audiences"))["audiences"]["photos"]
    document = json.loads(run("export", policy_file, "--format", "audiences", "--state", "state.json"))
    by_circle = document["audiences"]["photos"]
    assert (bool(plain["allow_circles"]), bool(by_circle["allow_circles"])) == (False, True)
    members = {name: circle["members"] for name, circle in document["circles"].items()}
    assert Audience(**by_circle).expand(members) == Audience(**plain).expand({}) != frozenset()


# Simulate


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_simulated_community_can_be_used_at_once(form):
    """The tables that simulate writes are what circles and label read; equal seeds write equal tables."""
    run("simulate", "--people", 40, "--seed", 2, "--out", "one", "--format", form, "--regime", "circle")
    run("simulate", "--people", 40, "--seed", 2, "--out", "two", "--format", form, "--regime", "circle")
    assert sorted(path.name for path in Path("one").iterdir()) == sorted(
        f"{name}.{form}" for name in ("edges", "profiles", "groups", "policies", "answers")
    )
    columns = ("user", "item", "friend", "decision")
    assert list(read_table(f"one/answers.{form}", columns).rows()) == list(read_table(f"two/answers.{form}", columns).rows())
    graph = ("--graph", f"one/edges.{form}", "--profiles", f"one/profiles.{form}")
    run("label", *graph, "--answers", f"one/answers.{form}", "--user", "ada", "--out", "policies.csv")


def test_simulate_for_one_user():
    """With --user only that user decides."""
    run("simulate", "--people", 40, "--out", "town2", "--user", "ada")
    assert {row[0] for row in read_table("town2/policies.csv", ("user",)).rows()} == {"ada"}


def test_simulate_keeps_what_is_there():
    """A folder with something in it is not written to, unless that is asked for."""
    Path("full").mkdir()
    Path("full/edges.csv").write_text("mine", encoding="utf-8")
    result = CliRunner().invoke(main, ["simulate", "--people", "20", "--out", "full"])
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: full: not empty; choose another folder, or add --force to replace the tables in it\n",
    )
    assert Path("full/edges.csv").read_text(encoding="utf-8") == "mine"
    run("simulate", "--people", "20", "--out", "full", "--force")
    assert Path("full/edges.csv").read_text(encoding="utf-8").startswith("source,target,weight\n")


DECISIONS = ("user", "item", "friend", "decision")


def simulated(graph, users, regime="mixed", seed=0, per_item=10, profiles=None):
    """Return the rows of policies and answers that the library simulates for users of a graph."""
    population = read_population(graph, profiles)
    policies = [simulate_policy(*population.decider(user, seed)[:2], regime, seed) for user in users]
    return (
        [(policy.ego, *cell) for policy in policies for cell in policy.cells()],
        [(policy.ego, *cell) for policy in policies for cell in sample_answers(policy, per_item, seed)],
    )


def tables(folder, form="csv"):
    """Return the rows of the policies and answers in a folder, which holds nothing else."""
    assert sorted(path.name for path in Path(folder).iterdir()) == [f"answers.{form}", f"policies.{form}"]
    return tuple(list(read_table(f"{folder}/{name}.{form}", DECISIONS).rows()) for name in ("policies", "answers"))


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_simulate_on_a_snap_folder(form):
    """The user of a SNAP folder decides by the circles made by hand; only policies and answers are written, and named."""
    out = run("simulate", "--graph", "snap", "--out", "s", "--regime", "idio", "--seed", 3, "--per-item", 4, "--format", form)
    assert out.splitlines() == [f"s/policies.{form}", f"s/answers.{form}"]
    policy = simulate_policy(read_snap_ego_network("snap", "0"), read_snap_circles("snap", "0"), "idio", 3)
    answers = [("0", *cell) for cell in sample_answers(policy, 4, 3)]
    assert tables("s", form) == ([("0", *cell) for cell in policy.cells()], answers)
    assert len(answers) == 4 * len(policy.items)


def test_equal_seeds_simulate_equal_tables():
    """Equal seeds write the same bytes, another seed others; so it is where circles are made by hand and where they are found."""
    for graph in (("--graph", "snap"), ("--graph", "town/edges.csv", "--user", SMALL_USER)):
        written = []
        for seed in (5, 5, 6):
            run("simulate", *graph, "--seed", seed, "--out", "same", "--force")
            written.append([Path("same", name).read_bytes() for name in ("policies.csv", "answers.csv")])
        assert written[0] == written[1] != written[2]


def test_simulate_for_users_of_a_graph_file():
    """Users who are named decide, once each and in this order, by the groups found in their networks and by their profiles."""
    run("simulate", *TOWN, "--user", SMALL_USER, "--user", "ada", "--user", SMALL_USER, "--out", "two")
    expected = simulated("town/edges.csv", (SMALL_USER, "ada"), profiles="town/profiles.csv")
    assert tables("two") == expected
    assert expected != simulated("town/edges.csv", (SMALL_USER, "ada"))


def test_simulate_for_all_users_with_enough_friends():
    """With nobody named, everybody with at least ten friends decides."""
    run("simulate", "--graph", "small.json", "--out", "choir")
    users = read_population("small.json").users
    assert len(users) > 10
    assert tables("choir") == simulated("small.json", users)


def test_simulate_says_whom_it_leaves_out():
    """Members of circles who are no friends are counted on standard error, and decide nothing."""
    shutil.copytree("snap", "mine")
    circles = Path("mine/0.circles")
    circles.write_text(circles.read_text("utf-8").replace("\n", "\tzoe\n"), encoding="utf-8")
    result = CliRunner().invoke(main, ["simulate", "--graph", "mine", "--out", "m"])
    message = "Left out: 1 member of circles made by hand, no friends of the user (0).\n"
    assert (result.exit_code, result.stderr) == (0, message)
    run("simulate", "--graph", "snap", "--out", "s")
    assert tables("m") == tables("s")


def test_what_is_simulated_on_a_graph_can_be_evaluated():
    """Answers simulated on a graph are what label and evaluate read with this graph."""
    run("simulate", "--graph", "snap", "--out", "s", "--per-item", 20)
    run("label", "--graph", "snap", "--answers", "s/answers.csv", "--out", "policies.csv")
    run("evaluate", "--graph", "snap", "--answers", "s/answers.csv", "--items", "phone,city", "--compare", "tree")


def test_simulate_on_the_real_networks(ego_facebook):
    """All ten users of the real networks decide by their own circles, and answer about ten friends for each item."""
    run("simulate", "--graph", ego_facebook, "--out", "real")
    policies, answers = tables("real")
    expected = [
        (policy.ego, *cell)
        for ego in snap_egos(ego_facebook)
        for policy in [simulate_policy(read_snap_ego_network(ego_facebook, ego), read_snap_circles(ego_facebook, ego))]
        for cell in policy.cells()
    ]
    assert policies == expected
    assert len(answers) == 10 * 12 * 10


def test_simulate_adds_decisions_to_the_tables_of_a_graph():
    """With --force the decisions may be put beside the tables of the graph; these stay as they are."""
    shutil.copytree("town", "copy")
    before = {name: Path("copy", name).read_bytes() for name in ("edges.csv", "profiles.csv", "groups.csv")}
    run("simulate", "--graph", "copy/edges.csv", "--user", SMALL_USER, "--out", "copy", "--force")
    assert {name: Path("copy", name).read_bytes() for name in before} == before
    assert set(read_table("copy/policies.csv", ("user",))["user"]) == {SMALL_USER}


def test_fewer_answers_of_an_invented_community():
    """--per-item also says how many friends invented people answer about."""
    run("simulate", "--people", 40, "--out", "few", "--user", "ada", "--per-item", 2)
    assert len(read_table("few/answers.csv", DECISIONS)) == 2 * 12

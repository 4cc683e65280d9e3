"""The wizard in a terminal: what is shown, what can be typed, and that nothing confirmed is ever lost."""

import csv
import io
import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from privwiz import Policy, Wizard
from privwiz.answers import Answer
from privwiz.cli import main
from privwiz.commands.replies import read_action, read_reply, vocabulary
from privwiz.commands.terminal import bar, cut, pad, plain, render_table, text_width
from privwiz.commands.texts import TEXTS, tell
from privwiz.graphs import build_ego_network
from privwiz.items import profile_item, profile_items
from privwiz.readers import read_ego_network
from privwiz.screens import KINDS, Toggle
from privwiz.words import nearest_audience

CLUBS = {club: [f"{club}{k}" for k in range(6)] for club in "abc"}
FRIENDS = [friend for members in CLUBS.values() for friend in members]
PHONE = profile_item("phone")


@pytest.fixture(autouse=True)
def _in_folder_with_a_graph(tmp_path, monkeypatch):
    """Every test works in its own folder, in which edges.csv holds ME with three clubs of six friends, and LONER with nobody."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    ties = [(one, other) for members in CLUBS.values() for one in members for other in members if one < other]
    rows = ["source,target", *(f"me,{friend}" for friend in FRIENDS), *(f"{one},{other}" for one, other in ties), "loner,loner"]
    Path("edges.csv").write_text("\n".join(rows), encoding="utf-8")
    Path("profiles.csv").write_text("user,field,value\nme,name,Mia\na0,name,\u001b[31mAnn\n", encoding="utf-8")


def ask(*options, said="", user="me"):
    """Run `privwiz ask` on the small graph in this process."""
    command = ["ask", "--graph", "edges.csv", "--profiles", "profiles.csv", "--user", user, *options]
    return CliRunner().invoke(main, command, input=said)


def log_of(state):
    """Return the standing and retracted entries in a state file."""
    network = read_ego_network("edges.csv", "me", "profiles.csv")
    return Wizard.from_json(Path(state).read_text(encoding="utf-8"), network).log


def toggle(choices=("none", "some", "most", "all"), *, guess="some", sure=False, probability=0.3):
    """Return a toggle about a circle, or of other choices."""
    likeliest = guess if isinstance(guess, str) else nearest_audience(guess)
    return Toggle(PHONE, ("a0", "a1"), guess, choices, probability, sure, ("Club", "俱乐部"), likeliest)


CIRCLE = [toggle()] * 5
FRIEND = [toggle(("allow", "deny"), guess="deny", sure=True, probability=0.1)] * 5
AUDIENCE = [toggle((), guess=0.5)] * 5


# What can be typed


@pytest.mark.parametrize(
    ("line", "toggles", "values"),
    [
        ("2 all 5 none", CIRCLE, (None, "all", None, None, "none")),
        ("2=all,5=none", CIRCLE, (None, "all", None, None, "none")),
        ("2:all; 5:none", CIRCLE, (None, "all", None, None, "none")),
        ("2all 5none", CIRCLE, (None, "all", None, None, "none")),
        ("  2 ALL   5 None ", CIRCLE, (None, "all", None, None, "none")),
        ("2-4 most", CIRCLE, (None, "most", "most", "most", None)),
        ("1 3 5 m", CIRCLE, ("most", None, "most", None, "most")),
        ("1,3,5=m", CIRCLE, ("most", None, "most", None, "most")),
        ("deny", CIRCLE, ("deny",) * 5),
        ("some 2 n", CIRCLE, ("some", "none", "some", "some", "some")),
        ("3 ?", CIRCLE, (None, None, "unsure", None, None)),
        ("3 not sure", CIRCLE, (None, None, "unsure", None, None)),
        ("unsure", CIRCLE, ("unsure",) * 5),
        ("g", CIRCLE, ("some",) * 5),
        ("g 2 none 3 -", CIRCLE, ("some", "none", None, "some", "some")),
        ("", CIRCLE, (None,) * 5),
        ("", FRIEND, ("deny",) * 5),
        ("1 y 2 n 3 a", FRIEND, ("allow", "deny", "allow", "deny", "deny")),
        ("-", FRIEND, (None,) * 5),
        ("n 2 few 3 30% 4 62.5%", AUDIENCE, ("nobody", "few", 0.3, 0.625, "nobody")),
        ("e 1 h", AUDIENCE, ("half", "everybody", "everybody", "everybody", "everybody")),
        ("deny", AUDIENCE, ("nobody",) * 5),
        ("2 都可以 5 都不行", CIRCLE, (None, "all", None, None, "none")),
        ("２＝都可以，５＝大", CIRCLE, (None, "all", None, None, "most")),
        ("不可以", CIRCLE, ("deny",) * 5),
        ("可以 2 不允许", FRIEND, ("allow", "deny", "allow", "allow", "allow")),
        ("所有人 2 没有人 3 大多数人 4 一半", AUDIENCE, ("everybody", "nobody", "most", "half", "everybody")),
        ("3 不确定", AUDIENCE, (None, None, "unsure", None, None)),
        ("建议", CIRCLE, ("some",) * 5),
    ],
)
def test_what_a_line_sets(line, toggles, values):
    """Numbers, ranges and words in any sensible form set what they say; every other line stays as it was shown."""
    reply = read_reply(line, toggles)
    assert (reply.action, reply.values) == ("confirm", values)


@pytest.mark.parametrize(
    ("line", "toggles", "problem"),
    [
        ("xx", CIRCLE, "“xx” was not understood; h shows what can be said."),
        ("2 maybe", CIRCLE, "“maybe” was not understood; h shows what can be said."),
        ("2 a", CIRCLE, "“a” could be all or allow; write more of it."),
        ("6 all", CIRCLE, "There is no number 6; the numbers are 1 to 5."),
        ("0 all", CIRCLE, "There is no number 0; the numbers are 1 to 5."),
        ("4-9 all", CIRCLE, "There is no number 9; the numbers are 1 to 5."),
        ("4-2 all", CIRCLE, "“4-2” was not understood; h shows what can be said."),
        ("2", CIRCLE, "What should 2 be? For example: 2 all"),
        ("2", AUDIENCE, "What should 2 be? For example: 2 few"),
        ("2 all none", CIRCLE, "Which number should be “none”? For example: 1 none"),
        ("2 30%", CIRCLE, "30% is a share; it answers only how many of all friends."),
        ("2 130%", AUDIENCE, "130% is more than all of them; say at most 100%."),
        ("allow", AUDIENCE, "“allow” was not understood; h shows what can be said."),
        ("most", FRIEND, "“most” was not understood; h shows what can be said."),
        ("2 @", CIRCLE, "“@” was not understood; h shows what can be said."),
        ("9" * 5000 + " all", CIRCLE, "There is no number 999999999; the numbers are 1 to 5."),
    ],
)
def test_what_is_not_understood(line, toggles, problem):
    """A line that makes no sense, or could mean two things, sets nothing and is told back."""
    reply = read_reply(line, toggles)
    assert (reply.action, reply.values, reply.problem) == ("misread", (), problem)


@pytest.mark.parametrize("toggles", [CIRCLE, AUDIENCE], ids=["circle", "audience"])
@pytest.mark.parametrize(("language", "beginning"), [("en", "First letters will do"), ("zh", "写开头即可")])
def test_the_first_letters_of_the_help_are_clear(language, beginning, toggles):
    """What the help gives as an example of first letters is understood on the first screen as well as on those about circles."""
    (example,) = re.findall(rf"{beginning}[^:：]*[:：](.*)", tell("help", language))
    assert read_reply(example, toggles, language).action == "confirm"


def test_problems_are_told_in_chinese():
    """Who talks Chinese with the wizard hears in Chinese what was not understood."""
    assert read_reply("都", CIRCLE, "zh").problem == "“都”可能是都不行或都可以；请写得完整一些。"
    assert read_reply("2", CIRCLE, "zh").problem == "第 2 项要设为什么？例如：2 都可以"


@pytest.mark.parametrize(
    ("lines", "action"),
    [
        (["s", "skip", "跳过"], "skip"),
        (["u", "Undo", "撤销"], "undo"),
        (["w", "why", "为什么"], "why"),
        (["p", "结果"], "policy"),
        (["q", "quit", "退出"], "quit"),
        (["h", "?", "？", "help", "帮助"], "help"),
        (["", "  "], "confirm"),
        (["deny", "2 all"], None),
    ],
)
def test_actions(lines, action):
    """Single letters, words and Chinese words act; everything else is about the lines of the screen."""
    assert {read_action(line) for line in lines} == {action}


@given(
    line=st.text(max_size=30) | st.lists(st.sampled_from(["2", "1-3", "all", "n", "?", "-", "g", "30%", "大", "="])).map(" ".join)
)
@settings(max_examples=300)
def test_every_line_has_a_meaning(line):
    """Whatever is typed, the reply is an action, an answer that the wizard accepts for each toggle, or a problem in words."""
    for toggles in (CIRCLE, FRIEND, AUDIENCE):
        reply = read_reply(line, toggles)
        assert bool(reply.problem) == (reply.action == "misread")
        assert len(reply.values) == (5 if reply.action == "confirm" else 0)
        for value in reply.values:
            known = {*vocabulary(toggles[0]).values(), None}
            assert value in known or (toggles is AUDIENCE and 0 <= value <= 1)


@pytest.mark.parametrize("line", ["1 all 1 none", "1-3 most, 2 some", "g 2 none 2 all"])
def test_a_line_that_contradicts_itself_is_not_understood(line):
    """Two different answers for one number are a problem, never a choice between them."""
    reply = read_reply(line, CIRCLE)
    assert reply.action == "misread"
    assert "two different answers" in reply.problem
    assert read_reply("1 all 1 all", CIRCLE).action == "confirm"


@pytest.mark.parametrize(
    ("guess", "choices", "sure", "probability", "shown"),
    [
        ("allow", ("allow", "deny"), True, 0.9, "allow"),
        ("allow", ("allow", "deny"), False, 0.7, None),
        ("deny", ("allow", "deny"), True, 0.2, "deny"),
        ("all", ("none", "some", "most", "all"), True, 0.97, "all"),
        ("all", ("none", "some", "most", "all"), False, 0.9, None),
        ("some", ("none", "some", "most", "all"), False, 0.3, None),
        ("none", ("none", "some", "most", "all"), True, 0.05, "none"),
        (0.2, (), False, 0.2, None),
        (0.8, (), True, 0.8, "most"),
        (0.8, (), False, 0.8, None),
        (0.0, (), True, 0.01, "nobody"),
    ],
)
def test_nothing_is_filled_in_that_would_show_something_unless_it_is_sure(guess, choices, sure, probability, shown):
    """What Enter confirms never shows anything that the model is not sure of; what hides may be filled in."""
    assert toggle(choices, guess=guess, sure=sure, probability=probability).preset == shown


# The talk


def test_an_empty_input_gives_a_whole_policy():
    """At the end of the input the policy is written as it stands, from the prior alone if need be, and all is well."""
    result = ask("--out", "policy.json")
    assert result.exit_code == 0, result.output
    policy = Policy.from_json(Path("policy.json").read_text(encoding="utf-8"))
    assert (policy.ego, len(policy)) == ("me", 12 * 18)
    assert "End of input: stopped here." in result.output
    assert "Your answers were not kept; --state FILE keeps them." in result.output


def test_a_talk_in_english():
    """The whole talk, from the greeting to what to do next, reads as documented."""
    result = ask("--screens", "2", "--state", "s.json", "--out", "p.json", said="half 1 nobody\nxx\ng\n")
    assert result.exit_code == 0, result.output
    for part in (
        "Mia: 18 friends, 12 things to protect.\n",
        "How many of your friends may see each of these?\n   1  birthday             —  ",
        "> half 1 nobody\nNoted: 12 answered, 0 left open.\n",
        "Screen 2 · ",
        "“xx” was not understood; h shows what can be said.\n",
        "That was screen 2 of 2.\n\n12 things x 18 friends, after 2 screens\n",
        "A proposal: nothing is shown to anybody until you accept it.\n",
        "Your answers are in s.json; the same command goes on from there.\nThe policy is in p.json.\n",
        "  privwiz show p.json --friend a0\n",
    ):
        assert part in result.output
    assert [answer.value for answer in log_of("s.json")[0].answers] == [0.0, *[0.5] * 11]
    policy = Policy.from_json(Path("p.json").read_text(encoding="utf-8"))
    assert policy.allowed("birthday") == ()


def test_a_talk_in_chinese():
    """With --lang zh everything the user reads is Chinese, and Chinese words answer."""
    result = ask("--lang", "zh", "--screens", "1", "--state", "s.json", said="帮助\n都\n少数人 2 没有人\n")
    assert result.exit_code == 0, result.output
    assert "Mia：18 位好友，12 项资料。" in result.output
    assert "已记下：回答 12 项，未答 0 项。" in result.output
    words = set(re.findall("[A-Za-z]{2,}", result.output))
    assert words <= {"Mia", "Circle", "and", "others", "state", "out", "json", "csv", "parquet", "all", "none", "mAnn"} | set(
        FRIENDS
    )
    assert [answer.value for answer in log_of("s.json")[0].answers][:2] == [0.2, 0.0]


def test_help_why_and_the_policy_so_far_change_nothing():
    """Looking around records nothing, and the same screen waits for its answer."""
    result = ask("--state", "s.json", said="h\nw\np\n?\nq\n")
    assert result.exit_code == 0
    assert log_of("s.json") == ()
    assert result.output.count("Enter         confirm what is shown") == 2
    assert "settings are probably wrong now;" in result.output
    assert "Shown to how many percent of each circle" in result.output
    assert "Stopped here." in result.output


def test_skip_and_undo():
    """A skipped screen is left without an answer; undo takes the last screen back, as long as there is one."""
    result = ask("--state", "s.json", said="u\nhalf\ns\nu\nu\nq\n")
    assert result.exit_code == 0
    assert [entry.kind for entry in log_of("s.json")] == ["audience", log_of("s.json")[1].kind, "undo", "undo"]
    assert {answer.value for answer in log_of("s.json")[1].answers} == {None}
    for part in ("There is nothing to take back.", "Left open; it will not be asked again.", "Taken back: the last screen."):
        assert part in result.output


def test_an_own_choice_is_taken_back_as_such():
    """Undo says whether it was a screen or a choice that the user made elsewhere."""
    wizard = Wizard(read_ego_network("edges.csv", "me", "profiles.csv"))
    wizard.label("phone", "b0", "deny")
    Path("s.json").write_text(wizard.to_json(), encoding="utf-8")
    assert "Taken back: your own last choice." in ask("--state", "s.json", said="u\n").output


def test_when_no_more_pays_the_talk_ends():
    """The wizard stops by itself, offers to take the last screen back, and goes on if that is done."""
    result = ask("--items", "phone", "--kinds", "audience", said="half\nxx\np\nu\nfew\n\n")
    assert result.exit_code == 0, result.output
    assert result.output.count("No further screen would pay") == 2
    assert result.output.count("“xx” sets nothing here: no question is open.") == 1
    assert result.output.count("How many of your friends may see") == 2
    assert "Enter: finish" in result.output


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_screen_can_be_answered(kind):
    """Screens of each kind are shown, explained and answered, in both languages."""
    for language in ("en", "zh"):
        state = f"{kind}.{language}.json"
        result = ask("--kinds", kind, "--items", "phone,photos", "--lang", language, "--state", state, said="w\ng\n")
        assert result.exit_code == 0, result.output
        assert [entry.kind for entry in log_of(state)] == [kind]
        assert None not in [answer.value for answer in log_of(state)[0].answers]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_circle_of_a_screen_has_its_heading(language):
    """A screen of several circles names each once, above the lines about it; lines are numbered as the toggles are."""
    wizard = Wizard(read_ego_network("edges.csv", "me", "profiles.csv"), items=["phone", "photos"])
    screen = wizard.next_screen({"circles"}, least_gain=0)
    result = ask("--kinds", "circles", "--items", "phone,photos", "--lang", language)
    lines = [line.strip() for line in result.output.splitlines()]
    start = lines.index(screen.text(language)) + 1
    expected, who = [], None
    for number, toggle in enumerate(screen.toggles, start=1):
        if toggle.who != who:
            who = toggle.who
            expected.append(plain(who[language == "zh"]))
        expected.append(f"{number}  {toggle.profile_item.text(language)}")
    shown = lines[start : start + len(expected)]
    assert len({toggle.friends for toggle in screen.toggles}) > 1
    assert [line[: len(text)] for line, text in zip(shown, expected, strict=True)] == expected
    assert len(expected) == len(screen.toggles) + len({toggle.friends for toggle in screen.toggles})


@pytest.mark.parametrize("classifier", ["tree", "logistic", "naive-bayes", "knn", "forest"])
def test_classic_classifiers_ask_about_friends(classifier):
    """With a classic classifier and a classic strategy the same talk asks about single friends."""
    options = ("--classifier", classifier, "--strategy", "uncertainty", "--items", "phone,photos", "--screens", "3")
    result = ask(*options, "--state", "s.json", "--out", "p.csv", said="allow\ndeny\nallow\n")
    assert result.exit_code == 0, result.output
    assert {entry.kind for entry in log_of("s.json")} <= {"friend"}
    assert len(Path("p.csv").read_text(encoding="utf-8").splitlines()) == 1 + 2 * 18


def test_a_user_without_friends():
    """Where there is nobody to hide anything from there is nothing to ask, and the policy is empty."""
    result = ask("--out", "p.json", user="loner")
    assert result.exit_code == 0, result.output
    assert "loner has no friends in this graph: there is nothing to ask." in result.output
    assert len(Policy.from_json(Path("p.json").read_text(encoding="utf-8"))) == 0


def test_lines_fit_a_terminal_of_80_columns():
    """No screen, help or summary is wider than the terminal, in either language."""
    for language in ("en", "zh"):
        result = ask("--lang", language, said="h\nw\ng\nw\ng\nw\np\ng\n")
        talk = result.output.split("Your answers")[0]
        assert [line for line in talk.splitlines() if text_width(line) > 80] == []


def test_names_cannot_steer_the_terminal():
    """Control characters in names from a file are not sent to the terminal."""
    result = ask("--kinds", "friend,circle", said="g\ng\ng\np\n")
    assert "\x1b" not in result.output


# Output


def test_one_friend_and_one_thing_are_called_so():
    """What is counted agrees with its number, at the beginning and at the end."""
    Path("edges.csv").write_text("source,target\nme,ann\n", encoding="utf-8")
    said = ask("--items", "phone").output
    assert "Mia: 1 friend, 1 thing to protect." in said
    assert "1 thing x 1 friend, after 0 screens" in said
    assert "Mia：1 位好友，1 项资料。" in ask("--items", "phone", "--lang", "zh").output


def test_what_to_look_at_next_can_be_pasted():
    """The commands that are proposed at the end are those of this file and friend, whatever the shell makes of a space."""
    Path("edges.csv").write_text("source,target\nme,a b\n", encoding="utf-8")
    said = ask("--out", "my policy.json").output
    (command,) = re.findall("privwiz (show .*)", said)
    assert CliRunner().invoke(main, shlex.split(command)).exit_code == 0


@pytest.mark.parametrize("out", ["p.json", "p.csv", "p.parquet"])
def test_the_ending_decides_the_format(out):
    """The policy is written in the format that its name says."""
    assert ask("--items", "phone", "--out", out, said="few\n").exit_code == 0
    start = {"p.json": b'{\n "format": "privwiz.policy/1"', "p.csv": b"user,item,friend,", "p.parquet": b"PAR1"}[out]
    assert Path(out).read_bytes().startswith(start)


def test_standard_output_is_kept_for_the_policy():
    """With --out - the talk goes to standard error, and standard output is the table alone."""
    result = ask("--items", "phone", "--out", "-", said="few\n")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["friend"] for row in rows] == sorted(FRIENDS)
    assert "How many of your friends" in result.stderr


# State


def test_a_talk_goes_on_where_it_stopped():
    """Two talks with one state file ask what one long talk asks, and end in the same policy."""
    ask("--state", "one.json", "--out", "one.csv", said="few 2 most\ng\ng\n")
    ask("--state", "two.json", said="few 2 most\n")
    again = ask("--state", "two.json", "--out", "two.csv", said="g\ng\n")
    assert "Welcome back, Mia: 1 screen answered so far." in again.output
    assert Path("two.json").read_bytes() == Path("one.json").read_bytes()
    assert Path("two.csv").read_bytes() == Path("one.csv").read_bytes()


def test_equal_runs_give_equal_files():
    """The same lines and the same seed give the same state and policy, byte for byte."""
    for name in ("one", "two"):
        assert ask("--seed", "7", "--state", f"{name}.json", "--out", f"{name}.csv", said="few\ng\n2 all\n").exit_code == 0
    assert Path("one.json").read_bytes() == Path("two.json").read_bytes()
    assert Path("one.csv").read_bytes() == Path("two.csv").read_bytes()


def start(*options):
    """Start `privwiz ask` as a process of its own."""
    command = [
        sys.executable,
        "-c",
        "from privwiz.cli import main; main()",
        "ask",
        "--graph",
        "edges.csv",
        "--user",
        "me",
        *options,
    ]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", bufsize=1)


def wait_for(process, text):
    """Read what the process prints until a line holds the text."""
    for line in process.stdout:
        if text in line:
            return
    pytest.fail(f"{text!r} was never printed")


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_nothing_confirmed_is_lost(end):
    """However the process ends between two screens, what was confirmed is kept; an interrupt leaves quietly with code 130."""
    with start("--state", "s.json", "--out", "p.json") as process:
        for number in (2, 3):
            process.stdin.write("half\n" if number == 2 else "g\n")
            wait_for(process, f"Screen {number}")
        process.send_signal(end)
        rest = process.stdout.read()
        process.stdin.close()
    assert process.returncode == (130 if end == signal.SIGINT else -signal.SIGKILL)
    assert ("Interrupted. Every screen that you confirmed is in s.json." in rest) == (end == signal.SIGINT)
    assert len(log_of("s.json")) == 2
    assert not Path("p.json").exists()
    assert not list(Path().glob(".*.tmp"))


# Pieces


def test_columns_line_up_in_any_script():
    """Wide, narrow and combining characters are counted as a terminal shows them."""
    assert [text_width(text) for text in ("Bo", "海州", "e\u0301", "a\u200bb")] == [2, 4, 1, 2]
    assert pad("海", 4) + "|" == "海  |"
    assert cut("海州师范大学", 7) == "海州师…"
    assert plain("a\x1b[31m\n") == "a\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}"
    assert (bar(0, 4), bar(1, 4), bar(2, 4)) == ("░░░░", "████", "████")
    table = render_table(("n", "name", "who"), [("1", "海州师范大学", "Ann"), ("12", "Bo", "x" * 40)], right=(0,), width=30)
    assert {text_width(line) <= 30 for line in table.splitlines()} == {True}
    assert table.splitlines()[1].startswith(" 1  海州师范大学  Ann")


def test_a_name_cannot_turn_or_hide_the_text_around_it():
    """What would is replaced, and a table leaves room for it."""
    for character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c":
        assert plain(f"Ann{character}Bo") == "Ann\N{REPLACEMENT CHARACTER}Bo"
    assert render_table(("who",), [("a\u202eb",)]) == "who\na\N{REPLACEMENT CHARACTER}b"
    assert render_table(("", "who"), [("", "Ann\u202eB")], width=10).endswith("Ann\N{REPLACEMENT CHARACTER}B")


def test_every_text_says_the_same_in_both_languages():
    """Each text has the same gaps in English and Chinese, so that nothing is left out."""
    gaps = {key: [sorted(set(re.findall(r"{(\w+)}", text))) for text in pair] for key, pair in TEXTS.items()}
    assert {key: pair for key, pair in gaps.items() if pair[0] != pair[1]} == {}
    assert tell("stop", "zh") == "到此为止。"


def test_the_words_of_the_terminal_are_answers_of_the_wizard():
    """Every value that can be typed is one that the log takes."""
    for toggles, each in ((CIRCLE, False), (FRIEND, True), (AUDIENCE, False)):
        for value in set(vocabulary(toggles[0]).values()):
            if toggles is not AUDIENCE or value == "unsure":
                Answer("phone", ("a0",), value, each)


def test_items_from_a_table():
    """A table of items sets their names and what a wrong allow costs."""
    Path("items.csv").write_text("item,zh,cost_ratio\nphone,手机,20\nshoe_size,鞋码,\n", encoding="utf-8")
    assert ask("--items", "items.csv", "--state", "s.json", "--out", "p.json").exit_code == 0
    policy = Policy.from_json(Path("p.json").read_text(encoding="utf-8"))
    assert [(item.id, item.en, item.zh, item.cost_ratio) for item in policy.items] == [
        ("phone", "phone number", "手机", 20.0),
        ("shoe_size", "shoe size", "鞋码", 5.0),
    ]
    assert json.loads(Path("s.json").read_text(encoding="utf-8"))["items"][0]["cost_ratio"] == 20.0
    assert policy.items[1] == profile_items([policy.items[1]])[0]


def test_a_prior_of_ones_own():
    """Another prior is used, remembered by the state, and asked for again."""
    from privwiz.prior import Prior

    Prior.flat().save("flat.json")
    assert ask("--prior", "flat.json", "--state", "s.json").exit_code == 0
    assert ask("--state", "s.json").exit_code == 1
    assert ask("--prior", "flat.json", "--state", "s.json").exit_code == 0


def test_the_graph_of_the_fixture_is_what_the_tests_think():
    """The network read from the file is three cliques."""
    network = read_ego_network("edges.csv", "me", "profiles.csv")
    ties = [(one, other) for members in CLUBS.values() for one in members for other in members if one < other]
    assert (network.friends, network.degree.sum()) == (tuple(sorted(FRIENDS)), 2 * len(ties))
    assert build_ego_network("me", FRIENDS, ties).friends == network.friends

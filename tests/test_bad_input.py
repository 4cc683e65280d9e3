"""Bad input on the command line: every defect ends in one sentence with file, line and way out; never in a traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from pyarrow import parquet as pq

from privwiz import Prior, Wizard, read_ego_network
from privwiz.cli import main

EDGES = "source,target\nme,ann\nme,bob\nann,bob\nme,cy\nyou,ann\n"
GOOD = {
    "edges.csv": EDGES,
    "profiles.csv": "user,field,value\nann,school,PKU\n",
    "answers.csv": "user,item,friend,decision\nme,phone,ann,deny\n",
}
HEAD = "user,item,friend,decision\n"
ITEMS = "the items are birthday, birth_year, email, phone, address, city, photos, relationship, religion, work, wall, checkins"
JSON_CUT = "the file is damaged or cut off: take a whole copy, or make it anew"

LABEL = "label --graph edges.csv --profiles profiles.csv --answers answers.csv --out out.csv"
EVALUATE = "evaluate --graph edges.csv --answers answers.csv"
ASK = "ask --graph edges.csv --user me"
CIRCLES = "circles --graph edges.csv --user me"
SIMULATE = "simulate --graph edges.csv --out town"


@pytest.fixture(autouse=True)
def _in_folder_with_good_files(tmp_path, monkeypatch):
    """Every test works in its own folder with good files, of which it spoils one."""
    monkeypatch.chdir(tmp_path)
    put(GOOD)


def put(files):
    """Write files from text or bytes; None removes one."""
    for name, data in files.items():
        if data is None:
            Path(name).unlink()
        else:
            Path(name).write_bytes(data.encode() if isinstance(data, str) else data)


def saved(command_line, *, phone_only=True):
    """Return the JSON texts of a wizard's state and policy for the good files, after one answer."""
    wizard = Wizard(read_ego_network("edges.csv", "me"), ["phone"] if phone_only else None)
    wizard.label("phone", "ann", "allow")
    return {"state": wizard.to_json(), "policy": wizard.policy().to_json()}[command_line]


def fails(command, said=""):
    """Run a command in this process; return its exit code and what it says on standard error."""
    result = CliRunner().invoke(main, command.split(), input=said)
    assert isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stderr


BAD_FILES = [
    # The graph
    (LABEL, {"edges.csv": None}, "edges.csv: no such file; check the path"),
    (LABEL, {"edges.csv": ""}, "edges.csv: empty; its first line must name the columns source, target"),
    (
        ASK,
        {"edges.csv": "a,b\n1,2\n"},
        "edges.csv, line 1: columns 'source', 'target' are missing (found 'a', 'b'); name them in the header",
    ),
    (
        ASK,
        {"edges.csv": "source,target\nme\n"},
        "edges.csv, line 2: 1 values for 2 columns; separate values by commas and quote a value that holds one",
    ),
    (ASK, {"edges.csv": "source,target\nme,\n"}, "edges.csv, line 2: 'target' is empty; every row needs one"),
    (
        CIRCLES,
        {"edges.csv": b"source,target\nme,\xb2\xa9\n"},
        "edges.csv, line 2: byte 0xb2 is not UTF-8; save the file as UTF-8",
    ),
    (
        CIRCLES,
        {"edges.csv": "source,target\nme,bob\n".encode("utf-16")},
        "edges.csv, line 1: byte 0xff is not UTF-8; save the file as UTF-8",
    ),
    (CIRCLES, {"edges.csv": "source,target\nme,b\0b\n"}, "edges.csv, line 2: a zero byte: not a text file; save it as UTF-8"),
    (
        CIRCLES,
        {"edges.csv": 'source,target\nme,"bob\n'},
        "edges.csv, line 2: not valid CSV (unexpected end of data); close every quotation mark, end lines with LF or CRLF",
    ),
    (
        CIRCLES,
        {"edges.csv": "source,target,weight\nme,bob,nan\n"},
        "edges.csv, line 2: the tie has weight 'nan'; a weight is a number from 1e-100 to 1e+100",
    ),
    (
        CIRCLES.replace("edges.csv", "edges.parquet"),
        {"edges.parquet": b"PAR1 cut"},
        "edges.parquet: not a Parquet file, or damaged; write it again",
    ),
    (
        CIRCLES.replace("edges.csv", "graph.json"),
        {"graph.json": '{"nodes": [\n{"id": 1},'},
        "graph.json, line 2: not JSON (Expecting value); write the file again",
    ),
    (
        CIRCLES.replace("edges.csv", "graph.graphml"),
        {"graph.graphml": "<graphml>"},
        "graph.graphml, line 1: not XML (no element found); write the file again as GraphML",
    ),
    (
        CIRCLES.replace("edges.csv", "edges.txt"),
        {},
        "edges.txt: ends in '.txt'; a graph ends in '.csv', '.parquet', '.graphml' or '.json', or is a SNAP folder",
    ),
    (
        CIRCLES.replace("edges.csv", "."),
        {},
        ".: a directory without .edges files; give a graph file or a SNAP ego-network folder",
    ),
    (
        CIRCLES,
        {"edges.csv": "source,target,Weight\nme,ann,3\n"},
        "edges.csv, line 1: column 'Weight' is not read; call it 'weight', or leave it out",
    ),
    (ASK.replace("me", "zoe"), {}, "edges.csv: there is no user 'zoe'; the users are ann, bob, cy, me, you"),
    ("ask --graph edges.csv", {}, "edges.csv: the user must be named; the users are ann, bob, cy, me, you"),
    (f"{ASK} --state -", {}, "-: standard output cannot hold it; give a file"),
    (f"{CIRCLES} --picture -", {}, "-: standard output cannot hold it; give a file"),
    # Profiles
    (
        LABEL,
        {"profiles.csv": "user,school\nann,PKU\n"},
        "profiles.csv, line 1: columns 'field', 'value' are missing (found 'user', 'school'); name them in the header",
    ),
    (LABEL, {"profiles.csv": "user,field,value\n,school,PKU\n"}, "profiles.csv, line 2: 'user' is empty; every row needs one"),
    # Answers
    (LABEL, {"answers.csv": None}, "answers.csv: no such file; check the path"),
    (LABEL, {"answers.csv": ""}, "answers.csv: empty; its first line must name the columns user, item, friend, decision"),
    (LABEL, {"answers.csv": HEAD}, "answers.csv: no answers in it, and no user named; add rows, or name users with --user"),
    (LABEL, {"answers.csv": "user,item,friend,decision,item\n"}, "answers.csv, line 1: column 'item' is there twice; keep one"),
    (
        LABEL,
        {"answers.csv": "user;item;friend;decision\n"},
        (
            "answers.csv, line 1: columns 'user', 'item', 'friend', 'decision' are missing (found 'user;item;friend;decision'); "
            "name them in the header"
        ),
    ),
    (LABEL, {"answers.csv": f"{HEAD}me,phone,,deny\n"}, "answers.csv, line 2: 'friend' is empty; every row needs one"),
    (
        LABEL,
        {"answers.csv": f"{HEAD}me,phone,ann\n"},
        "answers.csv, line 2: 3 values for 4 columns; separate values by commas and quote a value that holds one",
    ),
    (
        LABEL,
        {"answers.csv": f"{HEAD}me,phone,ann,yes\n"},
        "answers.csv, line 2: decision 'yes' is not known; use allow, deny or ask",
    ),
    (
        LABEL,
        {"answers.csv": f"{HEAD}me,phone,ann,NaN\n"},
        "answers.csv, line 2: decision 'NaN' is not known; use allow, deny or ask",
    ),
    (
        LABEL,
        {"answers.csv": f"{HEAD}me,phone,ann,allow\nme,city,ann,allow\nme,phone,ann,deny\n"},
        "answers.csv, line 4: 'deny' contradicts 'allow' in line 2; keep one of the two",
    ),
    (
        LABEL,
        {"answers.csv": f"{HEAD}me,phone,zoe,deny\n"},
        "answers.csv, line 2: 'zoe' is not a friend in this network; add the friend first or correct the name",
    ),
    (
        LABEL,
        {"answers.csv": f"{HEAD}me,phone,you,deny\n"},
        "answers.csv, line 2: 'you' is not a friend in this network; add the friend first or correct the name",
    ),
    (LABEL, {"answers.csv": f"{HEAD}me,fax,ann,deny\n"}, f"answers.csv, line 2: 'fax' is not one of the profile items; {ITEMS}"),
    (
        LABEL,
        {"answers.csv": f"{HEAD}zoe,phone,ann,deny\n"},
        "edges.csv: 'zoe' is not in the graph; it has 5 users, such as 'me', 'ann', 'bob'",
    ),
    (
        LABEL,
        {"answers.csv": f"{HEAD}me,phone,{'9' * 400},deny\n"},
        f"answers.csv, line 2: '{'9' * 400}' is not a friend in this network; add the friend first or correct the name",
    ),
    (
        LABEL,
        {"answers.csv": f"{HEAD}me,phone,ann,deny\n".encode() + b"me,city,\xe4,deny\n"},
        "answers.csv, line 3: byte 0xe4 is not UTF-8; save the file as UTF-8",
    ),
    (
        f"{LABEL} --users users.csv",
        {"users.csv": "name\nme\n"},
        "users.csv, line 1: column 'user' is missing (found 'name'); name it in the header",
    ),
    (EVALUATE, {"answers.csv": None}, "answers.csv: no such file; check the path"),
    (EVALUATE, {"edges.csv": None}, "edges.csv: no such file; check the path"),
    (EVALUATE, {"answers.csv": HEAD}, "answers.csv: no answers in it; add rows"),
    (f"{EVALUATE} --user zoe", {}, "answers.csv: user 'zoe' has no answers in it; the users are me"),
    (
        EVALUATE,
        {},
        "answers.csv: no user has 5 answers (allow or deny) about an item; give more answers or lower --folds",
    ),
    (
        f"{EVALUATE} --folds 2 --items city",
        {"answers.csv": f"{HEAD}me,phone,ann,deny\nme,phone,bob,deny\nme,phone,cy,ask\n"},
        "answers.csv: no user has 2 answers (allow or deny) about an item; give more answers or lower --folds",
    ),
    (
        EVALUATE,
        {"answers.csv": f"{HEAD}me,phone,ann,allow\nme,phone,ann,deny\n"},
        "answers.csv, line 3: 'deny' contradicts 'allow' in line 2; keep one of the two",
    ),
    (
        EVALUATE,
        {"answers.csv": f"{HEAD}me,phone,zoe,deny\n"},
        "answers.csv, line 2: 'zoe' is not a friend in this network; add the friend first or correct the name",
    ),
    (
        "circles --graph edges.csv",
        {"edges.csv": "source,target\nann,b\u202eo\u001b[31m\n"},
        "edges.csv: the user must be named; the users are ann, b\ufffdo\ufffd[31m",
    ),
    (
        EVALUATE,
        {"answers.csv": f"{HEAD}zoe,phone,ann,deny\n"},
        "edges.csv: 'zoe' is not in the graph; it has 5 users, such as 'me', 'ann', 'bob'",
    ),
    (f"{EVALUATE} --out out.txt", {}, "out.txt: ends in '.txt'; give a path that ends in .json, .csv or .parquet"),
    # Items and prior
    (f"{ASK} --items ,", {}, "no profile items; name at least one, such as 'phone'"),
    (f"{ASK} --items phone,phone", {}, "profile items named twice: phone"),
    (f"{ASK} --items items.csv", {"items.csv": "item\nphone\nphone\n"}, "items.csv: profile items named twice: phone"),
    (
        f"{ASK} --items items.csv",
        {"items.csv": "item,cost\nphone,20\n"},
        "items.csv, line 1: column 'cost' is not read; call it 'cost_ratio', or leave it out",
    ),
    (
        f"{ASK} --items items.csv",
        {"items.csv": "item,cost_ratio\nphone,0.5\n"},
        "items.csv, line 2: cost ratio of item 'phone' is 0.5; it must be a finite number from 1 up",
    ),
    (
        f"{ASK} --items items.csv",
        {"items.csv": "item,cost_ratio\nphone,x\n"},
        "items.csv, line 2: sensitivity '' or cost_ratio 'x' is not a number; correct it",
    ),
    (
        f"{ASK} --items items.csv",
        {"items.csv": "item,sensitivity\nphone,nan\n"},
        "items.csv, line 2: sensitivity of item 'phone' is nan; it must lie in 0..1",
    ),
    (
        f"{ASK} --prior prior.json",
        {},
        "prior.json: no such file; check the path",
    ),
    (
        f"{ASK} --prior prior.json",
        {"prior.json": '{"format": "x"}'},
        "prior.json: the format is 'x'; a document of format 'privwiz.prior/1' is needed here",
    ),
    (
        f"{LABEL} --prior prior.json",
        {"prior.json": Prior.flat().to_json().replace('"level": 8.0', '"level": 1e6')},
        "prior.json: kernel scale 'level' is 1000000.0; it must be a number from 0 to 100",
    ),
    # Where to write
    (f"{ASK} --out policy.txt", {}, "policy.txt: ends in '.txt'; give a path that ends in .json, .csv or .parquet"),
    (f"{ASK} --out no/policy.csv", {}, "no/policy.csv: its directory does not exist; create it first"),
    (f"{ASK} --state no/state.json", {}, "no/state.json: its directory does not exist; create it first"),
    (LABEL.replace("out.csv", "out.json"), {}, "out.json: ends in '.json'; give a path that ends in .csv or .parquet"),
    (f"{CIRCLES} --picture circles.jpg", {}, "circles.jpg: ends in '.jpg'; give a path that ends in .svg or .png"),
    (f"{CIRCLES} --level 9", {}, "there is no level 9; the levels are 0 to 5"),
    ("simulate --people 20 --out edges.csv", {}, "edges.csv: a file; give a folder"),
    ("simulate --people 20 --out .", {}, ".: not empty; choose another folder, or add --force to replace the tables in it"),
    (
        "simulate --people 20 --out town --user zoe",
        {},
        "'zoe' is not in the graph; it has 20 users, such as 'wei.lin', 'mei.chen', 'jun.lin'",
    ),
    (SIMULATE, {}, "edges.csv: no user has 10 friends; name users with --user"),
    (f"{SIMULATE} --user zoe", {}, "edges.csv: 'zoe' is not in the graph; it has 5 users, such as 'me', 'ann', 'bob'"),
    (f"{SIMULATE} --user me --user zoe", {}, "edges.csv: 'zoe' is not in the graph; it has 5 users, such as 'me', 'ann', 'bob'"),
    (f"{SIMULATE} --user me --profiles no.csv", {}, "no.csv: no such file; check the path"),
    (
        f"{SIMULATE} --user hermit",
        {"edges.csv": f"{EDGES}hermit,hermit\n"},
        "edges.csv: none of these users has a friend to decide about; name others with --user",
    ),
    (
        "simulate --graph nowhere --out town",
        {},
        "nowhere: ends in ''; a graph ends in '.csv', '.parquet', '.graphml' or '.json', or is a SNAP folder",
    ),
    ("simulate --graph . --out town", {}, ".: a directory without .edges files; give a graph file or a SNAP ego-network folder"),
    (
        "simulate --graph . --out town",
        {"1.edges": "2 3\n", "1.featnames": "", "1.feat": "2\n3\n", "1.egofeat": "", "1.circles": b"c \xff\n"},
        "./1.circles, line 1: byte 0xff is not UTF-8; save the file as UTF-8",
    ),
    (
        "simulate --graph edges.csv --user me --out .",
        {},
        ".: not empty; choose another folder, or add --force to replace the tables in it",
    ),
    # Saved wizards and policies
    (
        f"{ASK} --state state.json",
        {"state.json": ""},
        f"state.json: this is not a JSON document (Expecting value: line 1 column 1 (char 0)); {JSON_CUT}",
    ),
    (f"{ASK} --state state.json", {"state.json": "[]"}, "state.json: the document is []; it must be an object"),
    (f"{ASK} --state state.json", {"state.json": b"\xff"}, "state.json, line 1: byte 0xff is not UTF-8; save the file as UTF-8"),
    ("show policy.json --item phone", {}, "policy.json: no such file; check the path"),
    (
        "show policy.json --item phone",
        {"policy.json": "{"},
        (
            "policy.json: this is not a JSON document "
            f"(Expecting property name enclosed in double quotes: line 1 column 2 (char 1)); {JSON_CUT}"
        ),
    ),
    (
        "export - --format json",
        {},
        f"standard input: this is not a JSON document (Expecting value: line 1 column 1 (char 0)); {JSON_CUT}",
    ),
]


@pytest.mark.parametrize(("command", "files", "message"), BAD_FILES)
def test_bad_data(command, files, message):
    """Each defect ends the command with code 1 and exactly this sentence, and nothing is written."""
    put(files)
    before = sorted(path.name for path in Path().iterdir())
    assert fails(command) == (1, f"Error: {message}\n")
    assert sorted(path.name for path in Path().iterdir()) == before


def test_a_table_in_parquet_is_told_by_row():
    """In a Parquet table a bad answer is found by its row."""
    columns = {"user": ["me", "me"], "item": ["phone", "phone"], "friend": ["ann", None], "decision": ["deny", "deny"]}
    pq.write_table(pa.table(columns), "answers.parquet")
    message = "Error: answers.parquet, line 2: 'friend' is empty; every row needs one\n"
    assert fails(LABEL.replace("answers.csv", "answers.parquet")) == (1, message)


SAVED = [
    (f"{ASK} --state state.json --items city", "begun with --items phone; leave --items out, or give another --state"),
    (f"{ASK} --state state.json --seed 1", "begun with --seed 0; leave --seed out, or give another --state"),
    (
        f"{ASK} --state state.json --classifier tree",
        "begun with --classifier gp; leave --classifier out, or give another --state",
    ),
    (
        f"{ASK} --state state.json --strategy random",
        "begun with --strategy expected-error; leave --strategy out, or give another --state",
    ),
    (
        "ask --graph edges.csv --user you --state state.json",
        "these answers are of user 'me', the network is of 'you'; give that user's network",
    ),
    (f"{ASK} --state state.json --prior flat.json", "these answers were given with another prior; pass the same prior as before"),
    (
        "show state.json --item phone",
        "the format is 'privwiz.wizard/1'; a document of format 'privwiz.policy/1' is needed here",
    ),
]


@pytest.mark.parametrize(("command", "message"), SAVED)
def test_a_saved_wizard_that_does_not_fit(command, message):
    """A state is not continued with options that contradict it, for another user, or as something else; it stays as it was."""
    put({"state.json": saved("state")})
    Prior.flat().save("flat.json")
    assert fails(command) == (1, f"Error: state.json: {message}\n")
    assert Path("state.json").read_text("utf-8") == saved("state")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_saved_wizard_cut_off_anywhere(share):
    """A state that was cut off is told, and left for the user to look at."""
    text = saved("state")[: int(share * len(saved("state")))]
    put({"state.json": text})
    code, message = fails(f"{ASK} --state state.json")
    assert (code, message.startswith("Error: state.json: this is not a JSON document (")) == (1, True)
    assert Path("state.json").read_text("utf-8") == text


BAD_POLICIES = [
    ("show policy.json --friend zoe", "'zoe' is not a friend in this network; add the friend first or correct the name"),
    ("show policy.json --item fax", "'fax' is not one of the profile items; the items are phone"),
    (
        "show policies.csv --item phone",
        "policies.csv: a table; give a policy in JSON, as `privwiz ask --out policy.json` writes it",
    ),
    ("diff policy.json other.json", "one policy is of 'me', the other of 'you'; compare policies of one user"),
    (
        "export policy.json --format audiences --state policy.json",
        "policy.json: the format is 'privwiz.policy/1'; a document of format 'privwiz.wizard/1' is needed here",
    ),
]


@pytest.mark.parametrize(("command", "message"), BAD_POLICIES)
def test_a_policy_asked_for_what_it_does_not_have(command, message):
    """Unknown friends and things, policies of two users, and a policy in place of a state are each refused."""
    put({"policy.json": saved("policy")})
    other = json.loads(saved("policy")) | {"ego": "you"}
    put({"other.json": json.dumps(other)})
    assert fails(command) == (1, f"Error: {message}\n")


WRONG_USAGE = [
    ("frobnicate", "No such command 'frobnicate'."),
    ("ask", "Missing option '--graph'."),
    (f"{ASK} --qqqqq", "No such option '--qqqqq'."),
    (f"{ASK} --seed -1", "Invalid value for '--seed': -1 is not in the range x>=0."),
    (f"{ASK} --kinds foo", "Invalid value for '--kinds': 'foo' is not one of audience, circle, circles, item, friend, cell."),
    (f"{ASK} --kinds ,", "Invalid value for '--kinds': name at least one, separated by commas."),
    (f"{ASK} --lang fr", "Invalid value for '--lang': 'fr' is not one of 'en', 'zh'."),
    (f"{ASK} --state ./a.json --out a.json", "--out and --state must be two files."),
    (f"{ASK} --state edges.csv", "--state and --graph must be two files."),
    (f"{CIRCLES} --picture x.svg --json profiles.json --profiles ./profiles.json", "--json and --profiles must be two files."),
    ("label --graph edges.csv --answers answers.csv --out ./answers.csv", "--out and --answers must be two files."),
    (f"{EVALUATE} --out edges.csv", "--out and --graph must be two files."),
    ("export policy.json --format openfga --out policy.json", "--out and POLICY must be two files."),
    ("diff old.json new.json --json new.json", "--json and NEW must be two files."),
    (f"{CIRCLES} --level few", "Invalid value for '--level': 'few' is neither the number of a level nor 'all'."),
    ("label --graph edges.csv --out o.csv", "Missing option '--answers'."),
    (f"{EVALUATE} --folds 1", "Invalid value for '--folds': 1 is not in the range x>=2."),
    (
        f"{EVALUATE} --compare tree,oak",
        "Invalid value for '--compare': 'oak' is not one of tree, logistic, naive-bayes, knn, forest.",
    ),
    ("show policy.json", "Name a friend (--friend), a thing (--item), or both."),
    ("diff - -", "Only one of OLD and NEW can come from standard input."),
    ("export policy.json", "Say what to write: --format, or an --out that ends in .json, .csv or .parquet."),
    ("export policy.json --format parquet", "Parquet is not text: give a file, such as --out policy.parquet."),
    ("export policy.json --format json --state s.json", "--state is for --format audiences only."),
    ("simulate --people 3 --out town", "Invalid value for '--people': 3 is not in the range x>=10."),
    ("simulate --people 20 --out -", "--out is a folder for several tables; standard output cannot hold them."),
    (
        f"{ASK} --classifier tree --kinds circle,item",
        "--classifier tree asks about friends only: name friend or cell among --kinds.",
    ),
    (f"{SIMULATE} --people 20", "--people invents users, --graph takes those of a graph; give one of the two."),
    (f"{SIMULATE} --people 400", "--people invents users, --graph takes those of a graph; give one of the two."),
    ("simulate --people 20 --profiles profiles.csv --out town", "--profiles is for --graph only."),
    (f"{SIMULATE} --per-item 0", "Invalid value for '--per-item': 0 is not in the range x>=1."),
    ("completion tcsh", "Invalid value for '{bash|zsh|fish}': 'tcsh' is not one of 'bash', 'zsh', 'fish'."),
]


@pytest.mark.parametrize(("command", "message"), WRONG_USAGE)
def test_wrong_usage(command, message):
    """A command called wrongly ends with code 2, a sentence, and where the help is."""
    code, said = fails(command)
    assert (code, said.splitlines()[-1]) == (2, f"Error: {message}")
    assert said.startswith("Usage: ")


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        (f"{LABEL} --user zoe", 1, "Error: edges.csv: 'zoe' is not in the graph; it has 5 users, such as 'me', 'ann', 'bob'\n"),
        ("circles --graph nowhere.csv", 1, "Error: nowhere.csv: no such file; check the path\n"),
        (f"{ASK} --kinds foo", 2, "'foo' is not one of audience, circle, circles, item, friend, cell.\n"),
    ],
)
def test_the_program_ends_as_its_commands_do(command, code, message):
    """The exit code and the sentence reach the shell; there is no traceback."""
    program = [sys.executable, "-c", "from privwiz.cli import main; main(prog_name='privwiz')", *command.split()]
    done = subprocess.run(program, input="", capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (code, "", False)
    assert done.stderr.endswith(message)

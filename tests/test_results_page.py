"""The page of results says what the rows say, in figures that can be worked out by hand."""

import importlib
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

DOCS = Path(__file__).parents[1] / "docs"
OURS, RIVAL, GP = "ours", "wizard of 2010", "process"
FACTS = {
    "data": "two invented networks",
    "egos": {"e1": 10, "e2": 20},
    "regimes": ["idio", "mixed"],
    "methods": {RIVAL: "Asks about friends.", OURS: "Asks about circles.", GP: "Asks about audiences."},
    "ours": OURS,
    "rival": RIVAL,
    "gp_rival": GP,
}


@pytest.fixture(scope="module")
def script():
    """The script as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        yield importlib.import_module("results_page")


def row(  # noqa: PLR0913 - what a row is made of
    method, *, ego="e1", unit="screens", at=10, right=8, regime="mixed", item="phone", nontrivial=True, ask=(0, 0), taps=0
):
    """Make the row of ten cells, five of them truly allowed: all five predicted so, and beside them those that are wrong.

    Probabilities are 0.95 for allow and 0.05 for deny. Of the five and of the wrong ones, ``ask`` have 0.7, which is to be asked.
    """
    wrong = 10 - right
    deny, sure, sure_wrong = 5 - wrong, 5 - ask[0], wrong - ask[1]
    count, probability, allowed = [0] * 10, [0.0] * 10, [0] * 10
    count[0], count[7], count[9] = deny, sum(ask), sure + sure_wrong
    probability[0], probability[7], probability[9] = 0.05 * deny, 0.7 * sum(ask), 0.95 * (sure + sure_wrong)
    allowed[7], allowed[9] = ask[0], sure
    return {
        "budget": "item" if unit == "answers" else "matrix",
        "method": method,
        "regime": regime,
        "ego": ego,
        "draw": 1,
        "unit": unit,
        "at": at,
        "item": item,
        "nontrivial": nontrivial,
        "screens": at,
        "taps": taps,
        "cells": 10,
        "true_allow": 5,
        "false_allow": wrong,
        "true_deny": deny,
        "false_deny": 0,
        "auc": 0.9,
        "brier": 0.05**2 * (deny + sure) + 0.95**2 * sure_wrong + 0.3**2 * ask[0] + 0.7**2 * ask[1],
        "set_allow_right": sure,
        "set_allow_wrong": sure_wrong,
        "set_deny_right": deny,
        "set_deny_wrong": 0,
        "ask": sum(ask),
        "bin_count": count,
        "bin_probability": probability,
        "bin_allowed": allowed,
    }


def both(method, right, **given):
    """Make the rows of both users, with so many right cells each."""
    return [row(method, ego=ego, right=each, **given) for ego, each in zip(("e1", "e2"), right, strict=True)]


TINY = [
    *both(OURS, (8, 8), at=5, taps=4),
    *both(OURS, (9, 8), at=10, ask=(2, 1), taps=6),
    *both(OURS, (10, 10), at=10, item="city", nontrivial=False, taps=6),
    *both(RIVAL, (7, 6), at=5),
    *both(RIVAL, (7, 8), at=10, taps=3),
    *both(GP, (9, 9), at=5),
    *both(GP, (5, 7), at=10),
    *both(OURS, (9, 9), unit="effort", at=20),
    *both(RIVAL, (8, 8), unit="effort", at=20),
]


def save(folder, rows, facts=None, **more):
    """Write the two files of a run."""
    folder.mkdir(exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(rows), folder / "rows.parquet")
    (folder / "facts.json").write_text(json.dumps({**(FACTS if facts is None else facts), **more}), encoding="utf-8")
    return folder


def page_of(script, tmp_path, rows, facts=None, **more):
    """Return the page of these rows."""
    return script.page(script.read_results(save(tmp_path / "run", rows, facts, **more)), "results")


def written(script, tmp_path, rows, **more):
    """Write the page of these rows, and its plots; return its text."""
    tmp_path.mkdir(exist_ok=True)
    target = tmp_path / "results.md"
    assert script.main([str(save(tmp_path / "run", rows, **more)), str(target)]) == 0
    return target.read_text(encoding="utf-8")


def tables(page, heading):
    """Return the tables below a heading up to the next one, each as a list of rows of cells."""
    section = page.split(f"{heading}\n", 1)[1].split("\n#", 1)[0]
    blocks = [block.splitlines() for block in section.strip().split("\n\n") if block.startswith("|")]
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], *lines[2:])] for lines in blocks]


def test_every_accuracy_of_a_tiny_case(script, tmp_path):
    """Accuracies are means over users and items: (9 + 8) / 20 after ten screens. The main method is first, then the best."""
    page = page_of(script, tmp_path, TINY)
    assert tables(page, "### mixed") == [
        [
            ["after screens:", "5", "10"],
            ["**ours**", "**80.0**", "**85.0**"],
            [RIVAL, "65.0", "75.0"],
            [GP, "90.0", "60.0"],
        ]
    ]


def test_intervals_of_a_tiny_case(script, tmp_path):
    """Two users are drawn twice each, once each, or any other way, so the interval reaches from the one to the other."""
    assert tables(page_of(script, tmp_path, TINY), "### Level after 10 screens, with interval") == [
        [["", "mixed"], ["**ours**", "**85.0 [80.0, 90.0]**"], [RIVAL, "75.0 [70.0, 80.0]"], [GP, "60.0 [50.0, 70.0]"]]
    ]


def test_differences_of_a_tiny_case(script, tmp_path):
    """Differences are taken user by user, and said in words where they are no clear lead."""
    after_five, after_ten = tables(page_of(script, tmp_path, TINY), "### Differences")
    assert after_five == [
        ["after 5 screens, ahead of:", "mixed"],
        [RIVAL, "+15.0 [10.0, 20.0]"],
        [GP, "-10.0 [-10.0, -10.0] (behind)"],
    ]
    assert after_ten == [
        ["after 10 screens, ahead of:", "mixed"],
        [RIVAL, "+10.0 [0.0, 20.0] (ahead, interval includes 0)"],
        [GP, "+25.0 [10.0, 40.0]"],
    ]


def test_where_it_loses(script, tmp_path):
    """Every comparison that is no clear lead is listed, and all are counted."""
    page = page_of(script, tmp_path, TINY)
    assert tables(page, "## Where it loses") == [
        [
            ["counted by", "regime", "rival", "at", "difference", "in words"],
            ["screens, non-trivial", "mixed", RIVAL, "10", "+10.0 [0.0, 20.0]", "ahead, interval includes 0"],
            ["screens, non-trivial", "mixed", GP, "5", "-10.0 [-10.0, -10.0]", "behind"],
            ["screens, all cells", "mixed", GP, "5", "-10.0 [-10.0, -10.0]", "behind"],
        ]
    ]
    # Screens: 2 rivals x 2 checkpoints, on nontrivial items and on all; effort: 1 x 1.
    text = " ".join(page.split("## Where it loses")[1].split())
    assert (
        "Of 9 comparisons the main method is ahead, beyond the interval, in 6. It is not clearly ahead in 1, and behind in 2."
        in text
    )


def test_all_cells_and_false_allows_of_a_tiny_case(script, tmp_path):
    """Trivial items count here: (9 + 8 + 10 + 10) / 40 right, 3 of 20 denied friends predicted allow, and 1 of them shown."""
    every, predicted, shown = tables(page_of(script, tmp_path, TINY), "## All cells")
    assert every == [["", "mixed"], ["**ours**", "**80.0 / 92.5**"], [RIVAL, "65.0 / 75.0"], [GP, "90.0 / 60.0"]]
    assert predicted == [["", "mixed"], ["**ours**", "**40.0 / 15.0**"], [RIVAL, "70.0 / 50.0"], [GP, "20.0 / 80.0"]]
    assert shown == [["", "mixed"], ["**ours**", "**40.0 / 5.0**"], [RIVAL, "70.0 / 50.0"], [GP, "20.0 / 80.0"]]


def test_equal_effort_of_a_tiny_case(script, tmp_path):
    """Methods without rows in a unit are not in its table; taps are means over users, not over rows."""
    accuracy, taps = tables(page_of(script, tmp_path, TINY), "## Equal effort")
    assert accuracy == [["", "mixed"], ["**ours**", "**90.0**"], [RIVAL, "80.0"]]
    assert taps == [["", "mixed"], ["**ours**", "**4.0 / 6.0**"], [RIVAL, "0.0 / 3.0"], [GP, "0.0 / 0.0"]]


def test_safety_of_a_tiny_case(script, tmp_path):
    """Of 20 cells 14 are set, 13 of them right; 6 of 7 allows are right, and 1 of 10 denied friends is shown."""
    page = page_of(script, tmp_path, TINY)
    header, ours, *_ = tables(page, "### Non-trivial items")[0]
    # Calibration: 0.05 x 7 cells, none allowed; 0.7 x 6, 4 allowed; 0.95 x 7, 6 allowed: (0.35 + 0.2 + 0.65) / 20 = 0.06.
    # Brier: (13 x 0.0025 + 1 x 0.9025 + 4 x 0.09 + 2 x 0.49) / 20 = 0.11375; cost: (5 x 1 + 4) / 20 = 0.45.
    assert dict(zip(header, (cell.strip("*") for cell in ours), strict=True)) == {
        "regime": "mixed",
        "method": OURS,
        "set": "70.0",
        "right of these": "92.9",
        "wrong of allowed": "14.3",
        "left to ask": "30.0",
        "denied but shown": "10.0",
        "calibration error": "6.0",
        "Brier": "0.114",
        "cost": "0.450",
    }
    # The item "city" has 20 cells more, all set and right, 10 of them allowed: 34 / 40, 33 / 34, 1 / 17.
    assert tables(page, "### All cells")[0][1][2:5] == ["**85.0**", "**97.1**", "**5.9**"]


def test_answers_needed(script, tmp_path):
    """The first checkpoint as good as the rival's last; for 90 %, the median over users and items, the later one of two."""
    rows = [
        *both(OURS, (6, 6), unit="answers", at=0),
        *both(OURS, (9, 7), unit="answers", at=1),
        *both(OURS, (8, 9), unit="answers", at=25),
        *both(RIVAL, (5, 5), unit="answers", at=0),
        *both(RIVAL, (6, 6), unit="answers", at=1),
        *both(RIVAL, (8, 8), unit="answers", at=25),
        *both(GP, (5, 5), unit="answers", at=0),
        *both(GP, (5, 5), unit="answers", at=1),
        *both(GP, (7, 7), unit="answers", at=25),
    ]
    page = page_of(script, tmp_path, rows)
    assert tables(page, "### mixed")[0][1] == ["**ours**", "**60.0**", "**80.0**", "**85.0**"]
    as_good = tables(page, f"### Answers needed to be as good as {RIVAL} after 25")
    assert as_good == [[["", "mixed"], ["**ours**", "**1**"], [RIVAL, "25"], [GP, "> 25"]]]
    assert tables(page, "### Answers needed for 90 %") == [[["", "mixed"], ["**ours**", "**25**"], [RIVAL, "> 25"], [GP, "> 25"]]]


def test_the_roles_where_an_item_is_asked_about_by_itself(script, tmp_path):
    """There the facts may name other methods."""
    rows = [*both(GP, (9, 9), unit="answers", at=25), *both(RIVAL, (8, 8), unit="answers", at=25), *both(OURS, (8, 8))]
    page = page_of(script, tmp_path, rows, items={"ours": GP})
    assert tables(page, "### Answers needed for 90 %")[0][1] == [f"**{GP}**", "**25**"]


def test_regimes_have_their_order(script, tmp_path):
    """The regimes stand in the order of the project, whatever the order of the facts."""
    page = page_of(script, tmp_path, [*TINY, *both(OURS, (9, 9), regime="idio")])
    assert tables(page, "### Level after 10 screens, with interval")[0][0] == ["", "mixed", "idio"]
    assert page.index("### mixed") < page.index("### idio")


def test_what_is_not_there_is_said(script, tmp_path):
    """A method that lacks a regime or some users is compared over the users it has, and both can be seen."""
    rows = [*both(OURS, (9, 8)), row(RIVAL, right=7), *both(OURS, (9, 9), regime="idio")]
    page = page_of(script, tmp_path, rows, {**FACTS, "gp_rival": None})
    assert tables(page, "### mixed")[0][2] == [RIVAL, "70.0 (n = 1)"]
    assert tables(page, "### idio")[0][2] == [RIVAL, "n/a"]
    assert tables(page, "### Differences")[0][1] == [RIVAL, "+20.0 (ahead, no interval; n = 1)", "n/a"]


def test_the_real_circles_are_a_bound(script, tmp_path):
    """The method that knows the real circles is in italics, and no rival; the room to it and to the ceiling is shown."""
    rows = [*both(OURS, (8, 8)), *both("told", (9, 9)), *both(OURS, (9, 8), at=30)]
    methods = {OURS: "Asks.", "told": "Knows."}
    facts = {**{name: FACTS[name] for name in ("data", "egos", "regimes", "ours")}, "methods": methods, "oracle": "told"}
    page = page_of(script, tmp_path, rows, facts, ceiling={"mixed": 97.25})
    assert ["*told*", "*90.0*", "*n/a*"] in tables(page, "### mixed")[0]
    assert tables(page, "## Room left") == [
        [
            ["regime", "ours, 10 screens", "ours, 30 screens", "told, 10 screens", "noise-free policy"],
            ["mixed", "80.0", "85.0", "90.0", "97.2"],
        ]
    ]
    assert "Where it loses" not in page


def test_the_facts_are_told(script, tmp_path):
    """Networks, what was left out, targets, time and versions come from the facts."""
    page = page_of(
        script,
        tmp_path,
        TINY,
        skipped={"too large": ["e7", "e9"], "no circles": 1},
        draws=1,
        targets={"mixed": 86.5},
        cpu_seconds={OURS: 0.0224, RIVAL: None},
        seconds=90,
        workers=2,
        versions={"numpy": "2.0"},
    )
    assert "two invented networks, 2 networks of 10 to 20 friends, 1 simulated policies each; 2 profile items" in page
    assert "Left out, too large: e7, e9." in page
    assert "Left out, no circles: 1." in page
    assert tables(page, "### Targets after 10 screens")[0][1] == ["mixed", "85.0", "86.5", "missed by 1.5"]
    assert tables(page, "## Cost")[0][1:] == [[OURS, "22.4"], [RIVAL, "not measured"]]
    assert "The run: 2 worker processes, 1.5 minutes, numpy 2.0." in page
    assert "- **ours** (the main method): Asks about circles." in page
    assert "**All allow/deny labels are SIMULATED." in page


def test_what_the_facts_leave_out_is_left_out(script, tmp_path):
    """Without the optional facts there is no main method, no comparison, no target, room or cost."""
    facts = {name: FACTS[name] for name in ("data", "egos", "regimes", "methods")}
    page = page_of(script, tmp_path, TINY, facts)
    assert tables(page, "### mixed")[0][1:] == [[OURS, "80.0", "85.0"], [RIVAL, "65.0", "75.0"], [GP, "90.0", "60.0"]]
    assert "**ours**" not in page
    for part in ("### Differences", "## Where it loses", "### Targets", "## Room left", "## Cost", "## One item", "Left out"):
        assert part not in page


def test_a_run_without_nontrivial_items(script, tmp_path):
    """Where no item counts, the page says so instead of failing, and still shows all cells."""
    page = written(script, tmp_path, [{**each, "nontrivial": False} for each in TINY])
    assert tables(page, "### mixed")[0][1] == ["**ours**", "**n/a**", "**n/a**"]
    assert tables(page, "## All cells")[0][1] == ["**ours**", "**80.0 / 92.5**"]


def test_equal_rows_give_equal_files(script, tmp_path):
    """Page and plots are equal byte by byte, also if the rows come in another order."""
    files = []
    for name, rows in (("a", TINY), ("b", TINY[::-1])):
        written(script, tmp_path / name, rows)
        kept = sorted([tmp_path / name / "results.md", *(tmp_path / name / "results").iterdir()])
        files.append({path.name: path.read_bytes() for path in kept})
    assert files[0].keys() == {"results.md", "screens.svg", "effort.svg", "reliability.svg"}
    assert files[0] == files[1]


def test_the_plots_are_pictures_that_the_page_shows(script, tmp_path):
    """Every picture on the page is there, and is SVG without a date."""
    page = written(script, tmp_path, TINY)
    drawn = sorted((tmp_path / "results").iterdir())
    for path in drawn:
        assert f"](results/{path.name})" in page
        assert ET.fromstring(path.read_bytes()).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own file
        assert b"<dc:date>" not in path.read_bytes()
    assert page.count("![") == len(drawn)


README = "# A readme\n\n<!-- results:begin -->\nold\n<!-- results:end -->\n\nThe end.\n"


def test_the_table_of_the_readme(script, tmp_path):
    """Between the markers, and only there, stand the main method and both rivals with the lead over them; twice is as once."""
    run, readme = save(tmp_path / "run", TINY), tmp_path / "README.md"
    readme.write_text(README, encoding="utf-8")
    texts = []
    for _ in range(2):
        assert script.main([str(run), str(tmp_path / "results.md"), "--readme", str(readme)]) == 0
        texts.append(readme.read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    before, inside = texts[0].split("<!-- results:begin -->")
    inside, after = inside.split("<!-- results:end -->")
    assert (before, after) == ("# A readme\n\n", "\n\nThe end.\n")
    assert "*simulated*" in inside
    assert tables(f"#\n{inside.rstrip()}", "#") == [
        [
            ["regime", "**ours**", GP, RIVAL, f"ahead of {GP}", f"ahead of {RIVAL}"],
            ["mixed", "**85.0**", "60.0", "75.0", "+25.0 [10.0, 40.0]", "+10.0 [0.0, 20.0] (ahead, interval includes 0)"],
        ]
    ]


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        ("no markers", {}, "results:begin"),
        ("<!-- results:end --><!-- results:begin -->", {}, "in this order"),
        (README, {"gp_rival": None}, "'gp_rival'"),
    ],
)
def test_a_readme_that_cannot_be_filled(script, tmp_path, capsys, text, more, said):
    """Without markers or without the methods nothing is written, neither there nor the page."""
    run, readme = save(tmp_path / "run", TINY, **more), tmp_path / "README.md"
    readme.write_text(text, encoding="utf-8")
    assert script.main([str(run), str(tmp_path / "results.md"), "--readme", str(readme)]) == 2
    assert said in capsys.readouterr().err
    assert readme.read_text(encoding="utf-8") == text
    assert not (tmp_path / "results.md").exists()


def without(column):
    """Return rows that lack a column."""
    return [{name: value for name, value in each.items() if name != column} for each in TINY]


@pytest.mark.parametrize(
    ("rows", "more", "said"),
    [
        (without("taps"), {}, "rows.parquet: column 'taps' is missing"),
        ([{**TINY[0], "cells": None}, *TINY[1:]], {}, "rows.parquet: column 'cells' has an empty place"),
        ([{**TINY[0], "bin_count": [1, 2]}, *TINY[1:]], {}, "rows.parquet: column 'bin_count' needs 10 numbers"),
        ([{**each, "at": "soon"} for each in TINY], {}, "rows.parquet: not a Parquet file of results"),
        ([*TINY, TINY[0]], {}, "two rows of"),
        ([], {}, "rows.parquet: column"),
        (TINY, {"methods": {OURS: "Asks."}}, "rows.parquet: method 'process' has rows, but is not in facts.json"),
        (TINY, {"regimes": ["idio"]}, "rows.parquet: regime 'mixed' has rows"),
        (TINY, {"rival": "nobody"}, "facts.json: 'rival' is 'nobody', a method without rows"),
        (TINY, {"items": {"ours": "nobody"}}, "facts.json: 'ours' is 'nobody'"),
        (TINY, {"egos": ["e1", "e2"]}, "facts.json: 'egos' is ['e1', 'e2'], which is not an object"),
        (TINY, {"regimes": [["mixed"]]}, "facts.json: 'regimes' or 'items' holds something that is not a text"),
        (TINY, {"ceiling": {"mixed": "high"}}, "facts.json: 'ceiling' holds something that is not a number"),
    ],
)
def test_results_that_do_not_fit(script, tmp_path, capsys, rows, more, said):
    """Rows or facts that cannot be used, or not together, are told in one line that names the file; nothing is written."""
    run = save(tmp_path / "run", rows, **more)
    assert script.main([str(run), str(tmp_path / "results.md")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "results.md").exists()


def parquet_bytes(table):
    """Return the bytes of a Parquet file."""
    buffer = pa.BufferOutputStream()
    parquet.write_table(table, buffer)
    return buffer.getvalue().to_pybytes()


EMPTY = parquet_bytes(pa.Table.from_pylist(TINY)[:0])


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("rows.parquet", None, "no such file"),
        ("rows.parquet", b"PAR1 and nothing else", "damaged"),
        ("rows.parquet", EMPTY, "no rows"),
        ("facts.json", None, "no such file"),
        ("facts.json", b"{", "not JSON"),
        ("facts.json", b"[]", "not a JSON object"),
        ("facts.json", b'{"data": "x"}', "'egos' is missing"),
        ("facts.json", b"\xff", "not UTF-8"),
    ],
)
def test_missing_and_damaged_files(script, tmp_path, capsys, file, content, said):
    """A file that is missing or damaged is named."""
    run = save(tmp_path / "run", TINY)
    (run / file).unlink()
    if content is not None:
        (run / file).write_bytes(content)
    assert script.main([str(run), str(tmp_path / "results.md")]) == 2
    error = capsys.readouterr().err
    assert file in error
    assert said in error


@pytest.mark.slow
def test_the_script_by_itself(tmp_path):
    """Run as documented, it writes the page; without results it says so, without a traceback, and exits with 2."""
    command = [sys.executable, DOCS / "results_page.py"]
    save(tmp_path / "run", TINY)
    subprocess.run([*command, tmp_path / "run", tmp_path / "results.md"], check=True)
    assert (tmp_path / "results.md").is_file()
    failed = subprocess.run([*command, tmp_path / "no", tmp_path / "n.md"], capture_output=True, encoding="utf-8", check=False)
    assert failed.returncode == 2
    assert failed.stderr.startswith("Error: ")
    assert "Traceback" not in failed.stderr


def test_how_numbers_are_written(script):
    """No "-0.0", a sign only where asked for, "n/a" for what is not defined."""
    assert [script.number(-0.04), script.number(0.04, sign=True), script.number(2, sign=True)] == ["0.0", "0.0", "+2.0"]
    assert script.number(float("nan")) == "n/a"

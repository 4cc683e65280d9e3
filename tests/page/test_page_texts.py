"""Every text is there in both languages, is used, and has the same gaps; vendored files are what their makers published."""

import base64
import hashlib
import re
import string
from pathlib import Path

import pytest

from privwiz.screens import KINDS
from privwiz_api import page
from privwiz_api.page.texts import TEXTS, tell

FOLDER = Path(page.__file__).parent
VENDORED = {
    FOLDER / "static" / "htmx-2.0.11.min.js": "2OatzQy1H+Zd/IIrjr1TcuDGqLXeHhbooAyJY1KdQMKnr4LZ22k31GBLdYKHmVjg",
    Path(__file__).parent / "vendor" / "axe-4.14.1.min.js": "xt1SFg49QaDwsyt0Xfs2XAyBtYPClXl3X2q5OOLeGAUmq9jZTYIMdztpF99WdhiH",
}
COMPOSED = {
    "note_": ("overtaken", "undone", "taken_back", "changed"),
    "step_": ("choose", "circles", "answer", "review", "accept"),
    "lead_": tuple(kind for kind in KINDS if kind != "cell"),
    "why_": tuple(kind for kind in KINDS if kind != "cell"),
    "state_": ("allow", "deny", "ask"),
    "cell_": ("all", "none", "some"),
    "friend_": ("allow", "deny"),
    "new_suggest_": ("allow", "deny", "ask"),
    "place_": ("same", "part", "most"),
    "problem_": ("few", "nobody", "name", "nothing"),
}
"""Texts whose keys are put together of two parts."""


def gaps(text):
    """Return the names of the gaps of a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def used():
    """Return every key that a template or a module names."""
    sources = [path.read_text(encoding="utf-8") for path in (*FOLDER.glob("templates/*.html"), *FOLDER.glob("*.py"))]
    named = {key for source in sources if "TEXTS: Mapping" not in source for key in re.findall(r"[\"']([a-z_]+)[\"']", source)}
    composed = {start + end for start, ends in COMPOSED.items() for end in ends}
    choices = {f"audience_{word}" for word in ("nobody", "few", "half", "most", "everybody")}
    return named | composed | choices | {f"circle_{word}" for word in ("none", "some", "most", "all")}


@pytest.mark.parametrize("key", sorted(TEXTS))
def test_every_text_is_in_both_languages(key):
    """Each text is there in English and in Chinese, without Latin words in Chinese, with the same gaps in both."""
    english, chinese = TEXTS[key]
    assert english.strip()
    assert chinese.strip()
    singular = key.endswith("_one")
    assert gaps(english) | ({"number"} if singular else set()) >= gaps(chinese) - {"number"}
    assert singular or gaps(english) == gaps(chinese)
    assert not re.search(r"[A-Za-z]{3,}", re.sub(r"\{.*?\}", "", chinese))


def test_no_text_is_unused_and_none_is_missing():
    """Every key that is named has a text, and every text is named somewhere."""
    named = used()
    assert {key for key in TEXTS if key.removesuffix("_one") not in named} == set()
    templates = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("templates/*.html"))
    assert set(re.findall(r"\bt\(\"([a-z_]+)\"[,)]", templates)) <= set(TEXTS)
    assert {start + end for start, ends in COMPOSED.items() for end in ends} - set(TEXTS) == set()


def test_one_is_said_in_the_singular():
    """Where a number is 1 the singular is said."""
    assert tell("open_heading", "en", number=1) == "1 choice waits for you"
    assert tell("open_heading", "en", number=2) == "2 choices wait for you"


@pytest.mark.parametrize("path", VENDORED)
def test_vendored_files_are_unchanged(path):
    """A vendored file is, byte for byte, the one of the release that its name says."""
    digest = base64.b64encode(hashlib.sha384(path.read_bytes()).digest()).decode()
    assert digest == VENDORED[path]

import sys
import warnings
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from matplotlib.image import imread

from privwiz.circles import find_circles
from privwiz.corrections import Dismiss, apply_corrections
from privwiz.drawing import draw_circles
from privwiz.errors import DataError, MissingExtra
from privwiz.graphs import build_ego_network
from privwiz.readers import read_snap_ego_network

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def network():
    """Two cliques, a pair and a loner, with Chinese names and a school that looks like a formula."""
    names = [f"{clique}{i}" for clique in "ab" for i in range(4)]
    profiles = {name: {"school": "$a_1$ <&> 北京大学"} for name in names[:4]} | {"b0": {"name": "王芳"}}
    ties = [pair for pair in combinations(names, 2) if pair[0][0] == pair[1][0]] + [("y", "z"), ("a0", "b0")]
    return build_ego_network("我", [*names, "x", "y", "z"], ties, profiles)


def texts(path):
    """All texts of an SVG, which must be well-formed."""
    return ["".join(element.itertext()).strip() for element in ET.parse(path).iter(f"{SVG}text")]  # noqa: S314 - ours


def test_an_svg_says_everything_in_text(network, tmp_path):
    """An SVG holds the heading, circle names, sizes and friends as text, unharmed by markup, formulas or Chinese."""
    draw_circles(network, find_circles(network), tmp_path / "circles.svg")
    found = texts(tmp_path / "circles.svg")
    assert {"Circles of 我", "$a_1$ <&> 北京大学", "Circle of 王芳, b1 and 2 others", "1", "2", "4"} <= set(found)
    assert {"王芳", "a0", "x", "y"} <= set(found)
    assert "8 of 11 friends are in 2 circles; resolution 0.5" in found
    assert "below: 1 without mutual friends" in found


def test_a_picture_in_chinese(network, tmp_path):
    """In Chinese, heading, notes and names are Chinese."""
    draw_circles(network, find_circles(network), tmp_path / "circles.svg", language="zh")
    found = texts(tmp_path / "circles.svg")
    assert {
        "我 的圈子",
        "王芳、b1等4人的圈子",
        "下方：1 位没有共同好友",
        "11 位好友，其中 8 位属于 2 个圈子（分辨率 0.5）",
    } <= set(found)


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_equal_input_gives_equal_files(network, tmp_path, ending):
    """Two pictures of the same circles are equal byte for byte."""
    first, second = tmp_path / f"1.{ending}", tmp_path / f"2.{ending}"
    for path in (first, second):
        draw_circles(network, find_circles(network), path)
    assert first.read_bytes() == second.read_bytes()


def test_a_png_is_a_picture(network, tmp_path):
    """A PNG is opaque, of the documented size, and in several colours; the ending may be in capitals, the path a string."""
    draw_circles(network, find_circles(network), str(tmp_path / "circles.PNG"))
    pixels = imread(tmp_path / "circles.PNG", format="png")
    assert pixels.shape[:2] == (1360, 2080)
    assert (pixels[:, :, 3] == 1).all()
    assert len({tuple(pixel) for pixel in pixels[::5, ::5].reshape(-1, 4)}) > 20


def test_matplotlib_is_left_as_it_was(network, tmp_path):
    """Drawing changes no setting of matplotlib, selects no backend, opens no figure, and warns of nothing."""
    before = dict(mpl.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_circles(network, find_circles(network), tmp_path / "circles.png", language="zh")
    assert dict(mpl.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


@pytest.mark.parametrize("friends", [[], ["a"], ["a", "b"]])
def test_networks_without_circles_are_drawn(tmp_path, friends):
    """No friends or no circles: still a picture, that says so."""
    network = build_ego_network("me", friends, [])
    draw_circles(network, find_circles(network), tmp_path / "circles.svg", 5)
    assert f"0 of {len(friends)} friends are in 0 circles; resolution 8" in texts(tmp_path / "circles.svg")


def test_dismissed_circles_are_not_drawn(tmp_path):
    """A circle that the user has dismissed has neither disc nor line in the list; the others keep theirs."""
    ties = [(f"{club}{i}", f"{club}{j}") for club in "abc" for i in range(5) for j in range(i)]
    network = build_ego_network("me", {end for tie in ties for end in tie}, ties)
    circles = find_circles(network)
    level = 2
    gone, *rest = circles.level(level)
    path = tmp_path / "circles.svg"
    draw_circles(network, apply_corrections(circles, network, [Dismiss(gone.id)]), path, level=level)
    text = path.read_text(encoding="utf-8")
    assert gone.name not in text
    assert all(circle.name in text for circle in rest)


def test_long_names_and_many_circles_fit(tmp_path):
    """Long names are cut, and of many circles the largest are listed and the rest counted."""
    names = [f"{i:02}{j}" for i in range(30) for j in range(3)]
    profiles = {name: {"name": "N" * 200, "school": "S" * 300 + name[:2]} for name in names}
    ties = [pair for pair in combinations(names, 2) if pair[0][:2] == pair[1][:2]]
    network = build_ego_network("e" * 100, names, ties, profiles)
    draw_circles(network, find_circles(network), tmp_path / "circles.svg", 2)
    found = texts(tmp_path / "circles.svg")
    assert "and 4 smaller circles" in found
    assert max(map(len, found)) <= 60
    assert sum(text.startswith("SSS") and text.endswith("…") for text in found) == 26


def test_what_cannot_be_drawn(network, tmp_path):
    """Another ending, level, language or network, or a folder that is not there, is an error that says so; no file is left."""
    circles = find_circles(network)
    with pytest.raises(DataError, match=r"ends in '.gif'; a picture ends in '.svg' or '.png'"):
        draw_circles(network, circles, tmp_path / "circles.gif")
    with pytest.raises(DataError, match="no level 6; the levels are 0 to 5"):
        draw_circles(network, circles, tmp_path / "circles.svg", 6)
    with pytest.raises(DataError, match="language 'fr'"):
        draw_circles(network, circles, tmp_path / "circles.svg", language="fr")
    with pytest.raises(DataError, match="other friends than the network"):
        draw_circles(network.without_friend("x"), circles, tmp_path / "circles.svg")
    with pytest.raises(DataError, match="missing"):
        draw_circles(network, circles, tmp_path / "missing" / "circles.svg")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_error_says_what_to_install(network, tmp_path, monkeypatch):
    """Where matplotlib is not installed, the error names the extra to install."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"pip install 'privwiz\[plot\]'"):
        draw_circles(network, find_circles(network), tmp_path / "circles.svg")


@pytest.mark.parametrize("ego", ["3980", "0", "107"])
def test_real_networks_are_drawn(ego_facebook, tmp_path, ego):
    """Networks of 59, 347 and 1,045 friends become SVG files of less than 2 MB."""
    network = read_snap_ego_network(ego_facebook, ego)
    draw_circles(network, find_circles(network), tmp_path / "circles.svg")
    assert texts(tmp_path / "circles.svg")[0]
    assert Path(tmp_path / "circles.svg").stat().st_size < 2_000_000

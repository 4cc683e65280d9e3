"""``privwiz circles``: the circles of one user, as a table, as JSON and as a picture."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from privwiz.commands.options import Command, check_output, graph_options, language_option, note, seed_option
from privwiz.commands.terminal import render_table, terminal_width
from privwiz.files import STANDARD, writing
from privwiz.words import amount, join_names

if TYPE_CHECKING:
    from privwiz.circles import Circle, Circles
    from privwiz.graphs import EgoNetwork

__all__ = ["circles"]

_DEFAULT_LEVEL = 2
_HEAD = {
    "en": ("id", "level", "resolution", "friends", "name", "some of them"),
    "zh": ("编号", "层", "分辨率", "人数", "名称", "部分成员"),
}


class _Level(click.ParamType[int | str]):
    """The number of a level, or ``all``."""

    name = "level"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if isinstance(value, int) or value == "all":
            return value if isinstance(value, int) else "all"
        if not str(value).isdecimal():
            self.fail(f"{value!r} is neither the number of a level nor 'all'.", param, ctx)
        return int(value)


@click.command(cls=Command, short_help="Find a user's circles: a table, and a picture.")
@graph_options
@click.option("--user", metavar="ID", help="Whose friends. May be left out where the graph has one user only.")
@click.option(
    "--level",
    type=_Level(),
    metavar="N|all",
    default=_DEFAULT_LEVEL,
    show_default=True,
    help="0 (few large circles) to 5 (many small ones), or all.",
)
@click.option("--picture", metavar="FILE", help="Also draw the friends by circle (.svg or .png).")
@click.option("--json", "json_path", metavar="FILE", help="Write the circles with all members as JSON; - instead of the table.")
@language_option
@seed_option
def circles(
    graph: str,
    profiles: str | None,
    user: str | None,
    level: int | str,
    picture: str | None,
    json_path: str | None,
    language: str,
    seed: int,
) -> None:
    """Find the circles among one user's friends, at several resolutions.

    Circles come from who knows whom; profiles only name them.

    Example:
      privwiz circles --graph sample_graphs/town/edges.csv --profiles sample_graphs/town/profiles.csv --user ada
    """
    from privwiz.circles import find_circles
    from privwiz.readers import read_ego_network

    if picture is not None:
        check_output(picture, (".svg", ".png"), standard=False)
    if json_path is not None:
        check_output(json_path, (".json",))
    network = read_ego_network(graph, user, profiles)
    found = find_circles(network, seed=seed)
    chosen = tuple(found) if isinstance(level, str) else found.level(level)
    if json_path is not None:
        text = json.dumps(_document(network, found, chosen), ensure_ascii=False, indent=1)
        with writing(json_path) as file:
            file.write(f"{text}\n".encode())
    if json_path != STANDARD:
        click.echo(_table(network, found, chosen, language))
        click.echo(found.coverage.text(language))
    if picture is not None:
        _draw(network, found, picture, _DEFAULT_LEVEL if isinstance(level, str) else level, language)


def _table(network: "EgoNetwork", found: "Circles", chosen: "tuple[Circle, ...]", language: str) -> str:
    from privwiz.naming import display_name

    rows = [
        (
            circle.id,
            str(circle.level),
            f"{found.resolutions[circle.level]:g}",
            str(len(circle)),
            circle.text(language),
            join_names([display_name(network, friend) for friend in circle.members], language, limit=3),
        )
        for circle in chosen
    ]
    return render_table(_HEAD[language], rows, right=(1, 2, 3), width=terminal_width() if sys.stdout.isatty() else None)


def _document(network: "EgoNetwork", found: "Circles", chosen: "tuple[Circle, ...]") -> dict[str, Any]:
    coverage = found.coverage
    return {
        "user": network.ego,
        "friends": {"all": coverage.total, "in_a_circle": coverage.covered, "without_ties": coverage.isolated},
        "circles": [
            {
                "id": circle.id,
                "level": circle.level,
                "resolution": found.resolutions[circle.level],
                "size": len(circle),
                "name": circle.name,
                "name_zh": circle.name_zh,
                "members": list(circle.members),
            }
            for circle in chosen
        ],
    }


def _draw(network: "EgoNetwork", found: "Circles", picture: str, level: int, language: str) -> None:
    from privwiz.drawing import draw_circles

    note(f"Drawing {amount(network.n, 'friend')} ...")
    draw_circles(network, found, picture, level=level, language=language)
    note(f"The picture is in {picture}.")

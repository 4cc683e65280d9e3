"""Options that several commands take, and how their values become the library's objects."""

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from privwiz.errors import DataError
from privwiz.files import STANDARD, ending, source_name
from privwiz.items import CATALOGUE, ProfileItem, near_item, profile_item, profile_items

if TYPE_CHECKING:
    from privwiz.circles import Circles
    from privwiz.policy import Policy
    from privwiz.prior import Prior

__all__ = [
    "CLASSIFIERS",
    "GRAPH_FORMS",
    "Command",
    "Words",
    "check_output",
    "classifier_option",
    "graph_options",
    "items_option",
    "keep_indented",
    "language_option",
    "note",
    "prior_option",
    "profiles_option",
    "progress",
    "read_circles_of",
    "read_items",
    "read_policy_file",
    "read_prior",
    "seed_option",
]

T = TypeVar("T")

GRAPH_FORMS = "edge list source,target[,weight] (.csv, .parquet), .graphml, node-link .json, or a SNAP folder"

CLASSIFIERS = ("gp", "tree", "logistic", "naive-bayes", "knn", "forest")

_POLICY_ENDINGS = (".json", ".csv", ".parquet")

_WRITTEN = ("out", "json_path", "picture", "report", "state", "checkpoint")
_READ = (
    *("graph", "profiles", "answers", "users_path", "items", "prior", "start", "remote_config"),
    *("policy", "old", "new", "state_path"),
)


class Command(click.Command):
    """A command that writes no file over one it reads, and reads standard input once; its help keeps indented lines."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.help = keep_indented(self.help)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, unless one file would be read and written, or written twice, or standard input read twice."""
        shown = {param.name: param.get_error_hint(ctx).strip("'") for param in self.params}
        piped = [shown[name] for name in _READ if ctx.params.get(name) == STANDARD]
        if len(piped) > 1:
            raise click.UsageError(f"Only one of {' and '.join(piped)} can come from standard input.", ctx)
        paths = {
            name: os.path.realpath(path)
            for name in (*_WRITTEN, *_READ)
            if isinstance(path := ctx.params.get(name), str) and path != STANDARD
        }
        for written, other in product(_WRITTEN, paths):
            if other != written and paths[other] == paths.get(written) and not Path(paths[other]).is_dir():
                raise click.UsageError(f"{shown[written]} and {shown[other]} must be two files.", ctx)
        return super().invoke(ctx)


def keep_indented(text: str | None) -> str | None:
    """Mark the paragraphs that have an indented line, so that click does not wrap them."""
    if text is None:
        return None
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(f"\b\n{part}" if "\n  " in part else part for part in paragraphs)


class Words(click.ParamType[tuple[str, ...]]):
    """Words separated by commas, each one of ``known`` if that is given."""

    name = "words"

    def __init__(self, known: Sequence[str] = ()) -> None:
        self.known = known

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:  # noqa: ARG002
        """Return what the help shows."""
        return "A,B,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Split at commas; usage is wrong where a word is not known or none is left."""
        if isinstance(value, tuple):
            return value
        words = tuple(word.strip() for word in str(value).split(",") if word.strip())
        if not words:
            self.fail("name at least one, separated by commas.", param, ctx)
        for word in words:
            if self.known and word not in self.known:
                self.fail(f"{word!r} is not one of {', '.join(self.known)}.", param, ctx)
        return words


profiles_option = click.option("--profiles", metavar="FILE", help="Table of profiles: user,field,value (a row for each value).")


def graph_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--graph`` and ``--profiles``."""
    graph = click.option("--graph", required=True, metavar="PATH", help=f"Social graph: {GRAPH_FORMS}.")
    return graph(profiles_option(command))


items_option = click.option(
    "--items",
    metavar="A,B,...|FILE",
    help="What to protect: names separated by commas, or a table (.csv, .parquet) with the column item and, if wanted, en, zh, "
    "sensitivity, cost_ratio (how many times worse a wrong allow is).  "
    f"[default: {', '.join(item.id for item in CATALOGUE)}]",
)
prior_option = click.option(
    "--prior", metavar="FILE", help="What is known before any answer.  [default: the prior that comes with privwiz]"
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), metavar="N", default=0, show_default=True, help="Equal seeds give equal results."
)
language_option = click.option(
    "--lang", "language", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="English or Simplified Chinese."
)
classifier_option = click.option(
    "--classifier",
    type=click.Choice(CLASSIFIERS),
    default="gp",
    show_default=True,
    help="The library's own model (gp), or a classic one to compare with. Only gp understands questions about circles.",
)


def read_items(items: str | None) -> tuple[ProfileItem, ...] | None:
    """Return the items that ``--items`` names, saying which may be misspelt; None where it is not given.

    Raises
    ------
    DataError
        If the table cannot be read, or there is no item, one twice or one with a bad number.
    """
    if items is None:
        return None
    if items == STANDARD or ending(items) in (".csv", ".parquet"):
        found = _items_of_table(items)
    else:
        found = profile_items(tuple(word.strip() for word in items.split(",") if word.strip()))
    _doubt(found)
    return found


def _doubt(items: Sequence[ProfileItem]) -> None:
    """Say on standard error which bare names are near one of the catalogue that is not named too."""
    known, named = {item.id for item in CATALOGUE}, {item.id for item in items}
    for item in items:
        near = near_item(item.id, sorted(known - named))
        if near and item.id not in known and item == profile_item(item.id):
            wrong = f"{item.id!r} is no item of the catalogue (did you mean {near!r}?)"
            click.echo(f"Note: {wrong}; it is taken as an item of your own", err=True)


def _items_of_table(path: str) -> tuple[ProfileItem, ...]:
    from privwiz.tables import read_table

    table = read_table(path, ("item",), ("en", "zh", "sensitivity", "cost_ratio")).check_filled("item")
    found = []
    for row, (name, en, zh, sensitivity, cost_ratio) in enumerate(table.rows()):
        known = profile_item(name)
        try:
            numbers = [
                float(text) if text else default
                for text, default in ((sensitivity, known.sensitivity), (cost_ratio, known.cost_ratio))
            ]
            found.append(ProfileItem(name, numbers[0], en or known.en, zh or known.zh, numbers[1]))
        except DataError as error:
            raise table.error(row, str(error)) from None
        except ValueError:
            raise table.error(
                row, f"sensitivity {sensitivity!r} or cost_ratio {cost_ratio!r} is not a number; correct it"
            ) from None
    try:
        return profile_items(tuple(found))
    except DataError as error:
        raise DataError(str(error), source=table.source) from None


def read_prior(path: str | None) -> "Prior | None":
    """Return the prior in a file, or None for the library's own."""
    from privwiz.prior import Prior

    return None if path is None else Prior.load(path)


def read_policy_file(path: str) -> "Policy":
    """Return the policy in a JSON file, ``-`` for standard input; a message about it begins with the file's name."""
    from privwiz.files import read_text
    from privwiz.policy import Policy

    if ending(path) in (".csv", ".parquet"):
        raise DataError("a table; give a policy in JSON, as `privwiz ask --out policy.json` writes it", source=path)
    text = read_text(path)
    try:
        return Policy.from_json(text)
    except DataError as error:
        raise DataError(str(error), source=source_name(path)) from None


def read_circles_of(path: str) -> "Circles":
    """Return the circles in the saved state of a wizard."""
    from privwiz.circles import Circles
    from privwiz.files import read_text
    from privwiz.sessions import read_session

    text = read_text(path)
    try:
        return Circles.from_dict(read_session(text).circles)
    except DataError as error:
        raise DataError(str(error), source=source_name(path)) from None


def check_output(path: str, endings: Sequence[str] = _POLICY_ENDINGS, *, standard: bool = True) -> None:
    """See to it that a path can be written to before the work begins.

    Raises
    ------
    DataError
        If it is standard output and that is not meant (``standard``), if its ending is none of ``endings`` (any will do if there
        are none), or if its directory does not exist or forbids it.
    """
    if path == STANDARD:
        if not standard:
            raise DataError("standard output cannot hold it; give a file", source=path)
        return
    if endings and ending(path) not in endings:
        listed = f"{', '.join(endings[:-1])} or {endings[-1]}" if len(endings) > 1 else endings[0]
        raise DataError(f"ends in {ending(path)!r}; give a path that ends in {listed}", source=path)
    folder = Path(path).parent
    if not folder.is_dir():
        raise DataError("its directory does not exist; create it first", source=path)
    if Path(path).is_dir():
        raise DataError("a directory; give a file", source=path)
    if not os.access(folder, os.W_OK):
        raise DataError("its directory may not be written to; check its permissions or choose another", source=path)


def note(text: str) -> None:
    """Say on standard error what takes a while, if somebody sits there."""
    if sys.stderr.isatty():
        click.echo(text, err=True)


@contextmanager
def progress(steps: Sequence[T], label: str) -> Iterator[Iterator[T]]:
    """Go through steps with a progress bar on standard error, if that is a terminal and there is more than one step."""
    if not sys.stderr.isatty() or len(steps) < 2:
        yield iter(steps)
        return
    with click.progressbar(steps, label=label, file=sys.stderr) as bar:
        yield iter(bar)

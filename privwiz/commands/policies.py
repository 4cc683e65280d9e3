"""``privwiz show``, ``diff`` and ``export``: what a policy says, what changes, and the languages of others."""

import json
import sys
from typing import TYPE_CHECKING

import click

from privwiz.commands.options import Command, check_output, language_option, read_circles_of, read_policy_file
from privwiz.commands.terminal import plain, render_table, terminal_width
from privwiz.errors import DataError, UnknownFriend
from privwiz.files import STANDARD, ending, writing
from privwiz.words import list_some

if TYPE_CHECKING:
    from privwiz.policy import Policy, Suggestion

__all__ = ["diff", "export", "show"]

FORMATS = ("json", "csv", "parquet", "audiences", "openfga", "openfga-model", "cedar", "cedar-schema")

_HEAD = {
    "item": {"en": ("thing", "", "reason"), "zh": ("资料", "", "原因")},
    "friend": {"en": ("friend", "", "reason"), "zh": ("好友", "", "原因")},
}


@click.command(cls=Command, short_help="Show what one friend sees, or who sees one thing.")
@click.argument("policy")
@click.option("--friend", metavar="NAME", help="What this friend sees: an id, or a name that only one friend has.")
@click.option("--item", metavar="ITEM", help="Who sees this thing.")
@language_option
def show(policy: str, friend: str | None, item: str | None, language: str) -> None:
    """Show what the POLICY (.json, - for standard input) says of a friend, of a thing, or of both, and why.

    Example:
      privwiz show ada.policy.json --friend mei.chen
    """
    if friend is None and item is None:
        raise click.UsageError("Name a friend (--friend), a thing (--item), or both.")
    read = read_policy_file(policy)
    friends = read.friends if friend is None else (_friend_called(friend, read),)
    items = tuple(known.id for known in read.items) if item is None else (item,)
    cells = [read[item_id, friend_id] for item_id in items for friend_id in friends]
    names = dict(zip(read.friends, read.names, strict=True))
    texts = {known.id: known.text(language) for known in read.items}
    about = "item" if friend is not None else "friend"
    rows = [_row(cell, texts[cell.item] if about == "item" else names[cell.friend], language) for cell in cells]
    click.echo(render_table(_HEAD[about][language], rows, width=terminal_width() if sys.stdout.isatty() else None))


@click.command(cls=Command, short_help="Say what changes from one policy to another.")
@click.argument("old")
@click.argument("new")
@click.option("--json", "json_path", metavar="FILE", help="Write the changed cells as JSON; - instead of the summary.")
@language_option
def diff(old: str, new: str, json_path: str | None, language: str) -> None:
    """Say what changes from the policy OLD to the policy NEW (.json) of the same user.

    Example:
      privwiz diff ada.before.json ada.policy.json
    """
    if json_path is not None:
        check_output(json_path, (".json",))
    before, after = read_policy_file(old), read_policy_file(new)
    changes = before.diff(after)
    if json_path is not None:
        _write(json_path, changes.to_json(indent=1))
    if json_path != STANDARD:
        names = dict(zip((*before.friends, *after.friends), map(plain, (*before.names, *after.names)), strict=True))
        click.echo(changes.text(language, names))


@click.command(cls=Command, short_help="Write a policy for another program.")
@click.argument("policy")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="What to write.  [default: by the ending of --out: json, csv or parquet]"
)
@click.option("--out", default=STANDARD, show_default=True, metavar="FILE", help="Where to; - is standard output.")
@click.option("--state", "state_path", metavar="FILE", help="For audiences: the saved wizard, with whose circles they are said.")
@language_option
def export(policy: str, form: str | None, out: str, state_path: str | None, language: str) -> None:
    """Write the POLICY (.json, - for standard input) for another program.

    Only what is allowed is granted; all else stays hidden. openfga and cedar fit the model and the schema that openfga-model and
    cedar-schema write.

    Example:
      privwiz export ada.policy.json --format openfga --out ada.tuples.json
    """
    form = form or ending(out).removeprefix(".")
    if form not in FORMATS:
        raise click.UsageError("Say what to write: --format, or an --out that ends in .json, .csv or .parquet.")
    if form == "parquet" and out == STANDARD:
        raise click.UsageError("Parquet is not text: give a file, such as --out policy.parquet.")
    if state_path is not None and form != "audiences":
        raise click.UsageError("--state is for --format audiences only.")
    read = read_policy_file(policy)
    if form == "csv":
        read.to_csv(out, language)
    elif form == "parquet":
        read.to_parquet(out, language)
    else:
        _write(out, _text(read, form, state_path))


def _text(policy: "Policy", form: str, state: str | None) -> str:
    from privwiz.export import cedar_schema, openfga_model

    match form:
        case "json":
            return policy.to_json(indent=1)
        case "cedar":
            return policy.to_cedar()
        case "cedar-schema":
            return cedar_schema()
        case "openfga":
            return _json(policy.to_openfga())
        case "openfga-model":
            return _json(openfga_model())
    circles = () if state is None else read_circles_of(state).distinct()
    return _json(policy.to_audiences(circles))


def _json(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1)


def _write(out: str, text: str) -> None:
    with writing(out) as file:
        file.write(f"{text.rstrip()}\n".encode())


def _friend_called(name: str, policy: "Policy") -> str:
    """Return the id of the friend with this id or, if only one has it, this name."""
    if name in policy.friends:
        return name
    found = [friend for friend, called in zip(policy.friends, policy.names, strict=True) if called == name]
    if len(found) > 1:
        raise DataError(f"{len(found)} friends are called {name!r}; use an id: {list_some(found, 5)}")
    if not found:
        raise UnknownFriend(name)
    return found[0]


def _row(cell: "Suggestion", name: str, language: str) -> tuple[str, str, str]:
    return name, cell.decision.text(language), cell.reason.text(language)

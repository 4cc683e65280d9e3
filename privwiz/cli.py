"""The command line: ``privwiz circles | ask | label | suggest | evaluate | train | show | diff | export | simulate | party``.

Other distributions add commands as entry points of the group ``privwiz.commands``, as `privwiz-api` does with ``serve``,
``migrate``, ``import`` and ``dump``. All are loaded when they are called or listed.

A command parses, calls the library, and renders. Exit codes: 0 all went well, 1 the data cannot be used, 2 wrong usage,
130 interrupted.
"""

import sys
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from io import TextIOWrapper
from typing import Any

import click
from click.exceptions import Exit

from privwiz.commands.options import keep_indented
from privwiz.commands.terminal import plain
from privwiz.errors import PrivwizError
from privwiz.files import FULL

__all__ = ["main"]

_INTERRUPTED = 130
_OWN = {
    **{name: name for name in ("ask", "circles", "completion", "evaluate", "label", "party", "simulate", "suggest", "train")},
    **dict.fromkeys(("diff", "export", "show"), "policies"),
}
"""Command -> the module in `privwiz.commands` that has it, loaded when the command is called or listed."""


class _Commands(click.Group):
    """A group that tells the library's errors in one line, and leaves quietly when it is interrupted."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.help = keep_indented(self.help)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_OWN, *_added()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        known = super().get_command(ctx, cmd_name)
        if known is None and cmd_name in _OWN:
            known = getattr(import_module(f"privwiz.commands.{_OWN[cmd_name]}"), cmd_name)
        elif known is None and cmd_name in (added := _added()):
            known = added[cmd_name].load()
        return known

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        try:
            return super().make_context(*args, **kwargs)
        except KeyboardInterrupt:  # while the commands are loaded to be listed
            click.echo(err=True)
            raise Exit(_INTERRUPTED) from None

    def invoke(self, ctx: click.Context) -> Any:
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace" if stream is sys.stdin else "backslashreplace")
        try:
            return super().invoke(ctx)
        except PrivwizError as error:
            raise click.ClickException(plain(str(error))) from None
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise click.ClickException(f"standard output: {error.strerror}; make room for it") from None
        except KeyboardInterrupt:
            click.echo(err=True)
            ctx.exit(_INTERRUPTED)


def _added() -> dict[str, EntryPoint]:
    """Commands of other distributions, by name."""
    return {entry.name: entry for entry in entry_points(group="privwiz.commands")}


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    None, "--version", package_name="privwiz", message="%(prog)s %(version)s", help="Show the version and exit."
)
def main() -> None:
    """Set who may see what of a profile, from a few answers.

    Every command explains itself: `privwiz ask --help`. Tables are CSV or Parquet by their ending; `-` is standard input or
    output.

    Try it on the sample network:
      privwiz ask --graph sample_graphs/town/edges.csv --profiles sample_graphs/town/profiles.csv --user ada
    """
    from threadpoolctl import threadpool_limits

    import_module("scipy.linalg")  # brings the libraries of linear algebra: what comes later is not limited
    click.get_current_context().with_resource(threadpool_limits(1))

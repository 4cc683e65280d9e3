"""``privwiz completion``: what makes a shell complete the commands and their options."""

import click
from click.shell_completion import get_completion_class

from privwiz.commands.options import Command
from privwiz.errors import DataError

__all__ = ["completion"]


@click.command(cls=Command, short_help="Print the completion script for a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete privwiz's commands and options.

    Example, for ~/.bashrc:
      eval "$(privwiz completion bash)"

    Example, for fish:
      privwiz completion fish > ~/.config/fish/completions/privwiz.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise DataError(f"no completion is known for the shell {shell!r}; use bash, zsh or fish")
    click.echo(kind(ctx.find_root().command, {}, "privwiz", "_PRIVWIZ_COMPLETE").source())

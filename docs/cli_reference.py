"""Write docs/reference/cli.md: the help text of every command, as the installed command line prints it.

Run: ``python docs/cli_reference.py docs/reference/cli.md`` (or `make docs`); without a path it prints the page.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from privwiz.cli import main

WIDTH = 100

HEAD = """\
# Command line reference

The help text of every command; `make docs` writes this page. `-` stands for standard input or output. Exit codes: 0 all went
well, 1 the data cannot be used (the message says what, where, and what to do), 2 the command was called wrongly, 130 it was
interrupted.
"""


def commands(command: click.Command, parent: click.Context | None = None, name: str = "privwiz") -> Iterator[click.Context]:
    """Yield the context of this command and of all commands below it, in the order of the help text."""
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, parent, info_name=name, **settings)
    yield context
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None, child
            yield from commands(found, context, child)


def page() -> str:
    """Return the whole page."""
    sections = (f"## {context.command_path}\n\n```text\n{context.get_help()}\n```\n" for context in commands(main))
    return "\n".join([HEAD, *sections])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        target = Path(sys.argv[1])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())

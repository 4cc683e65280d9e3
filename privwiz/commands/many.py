"""What the commands that label many users share: their options, and a run with its progress on standard error."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from privwiz.errors import DataError
from privwiz.files import STANDARD, check_there, ending, source_name, unfinished_folder
from privwiz.words import amount

if TYPE_CHECKING:
    from privwiz.batch import BatchInput
    from privwiz.case import Labelling
    from privwiz.items import ProfileItem
    from privwiz.policy_parts import Layout
    from privwiz.prior import Prior

__all__ = [
    "ProgressLine",
    "chosen_users",
    "is_folder",
    "many_labelling",
    "many_options",
    "many_tables",
    "refuse_many_options",
    "run_many",
]

LAYOUTS = ("flat", "nested")
MOST_FRIENDS = 3000

_PAUSE = {True: 0.2, False: 30.0}
"""Seconds between two lines of progress, on a terminal and elsewhere."""


def is_folder(out: str) -> bool:
    """Whether ``--out`` means a folder: it has no ending."""
    return out != STANDARD and not ending(out)


def refuse_many_options(context: click.Context) -> None:
    """Refuse the options of runs over many users where the output is a file.

    Raises
    ------
    UsageError
        If one of them is given.
    """
    for name in ("engine", "layout", "reasons", "workers", "resume", "since", "most_friends"):
        if context.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"--{name.replace('_', '-')} is for many users: give --out a folder, a name without an ending."
            )


def many_tables(graph: str, profiles: str | None, answers: str, since: str | None, new: str | None = None) -> "BatchInput":
    """Return what a run over many users reads.

    Raises
    ------
    DataError
        If something is to come from standard input, which can be read only once.
    """
    from privwiz.batch import BatchInput

    for option, path in (("--graph", graph), ("--profiles", profiles), ("--answers", answers), ("--new", new)):
        if path == STANDARD:
            raise DataError(f"{option} - can be read only once, and many users take more; give a file")
    return BatchInput(graph, answers, profiles, new=new, since=since)


def many_labelling(
    items: "tuple[ProfileItem, ...] | None", prior: "Prior | None", seed: int, reasons: str | None, most_friends: int
) -> "Labelling":
    """Return how many users are labelled, with the library's items and prior where none are given."""
    from privwiz.case import Labelling
    from privwiz.items import profile_items
    from privwiz.prior import Prior

    return Labelling(profile_items(items), prior or Prior.default(), seed, reasons, most_friends)


def many_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of runs over many users."""
    options = (
        click.option(
            "--engine",
            type=click.Choice(["local", "spark"]),
            default="local",
            show_default=True,
            help="Many users: by processes of this machine, or on Spark (docs/batch.md).",
        ),
        click.option(
            "--layout",
            type=click.Choice(LAYOUTS),
            default=LAYOUTS[0],
            show_default=True,
            help="Many users: a row for each cell; or one for each user and item, which is several times smaller.",
        ),
        click.option("--reasons", is_flag=True, help="Many users: add the reason of each cell; takes about twice as long."),
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            metavar="N",
            help="Many users: number of processes.  [default: one for each processor]",
        ),
        click.option("--resume", is_flag=True, help="Many users: go on with a run that was interrupted."),
        click.option(
            "--since",
            metavar="DIR",
            help="Many users: leave out those for whom nothing has changed since the run in this folder.",
        ),
        click.option(
            "--most-friends",
            type=click.IntRange(min=1),
            metavar="N",
            default=MOST_FRIENDS,
            show_default=True,
            help="Many users: who has more friends is not labelled, for want of memory.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def chosen_users(named: tuple[str, ...], path: str | None) -> tuple[str, ...] | int | None:
    """Return the users that the options name, or how many to draw by chance; None where no option is given.

    Raises
    ------
    DataError
        If a table names nobody: that is not to mean everybody.
    """
    from privwiz.tables import read_table

    if path is not None and path.isdecimal():
        if named:
            raise DataError(f"--users {path} draws users by chance; leave --user out")
        return int(path)
    if path is None:
        return tuple(dict.fromkeys(named)) or None
    listed = read_table(path, ("user",)).check_filled("user")["user"]
    if not listed:
        raise DataError(
            "no users in it; add rows, or leave --users out to label everybody who answered", source=source_name(path)
        )
    return tuple(dict.fromkeys((*named, *listed)))


def run_many(
    given: "BatchInput", out: str, labelling: "Labelling", *, engine: str, layout: "Layout", workers: int | None, resume: bool
) -> None:
    """Label many users, saying how far it is; leave with exit code 1 if some have no policy."""
    if engine == "spark":
        from privwiz.spark import label_on_spark

        if resume or workers is not None:
            raise DataError("Spark has its own workers and mends its own faults; leave --workers and --resume out")
        run = label_on_spark(given, out, labelling, layout=layout)
    else:
        from privwiz.batch import Resources, label_many

        for path in (given.edges, given.profiles, given.answers, given.new):
            if path is not None:
                check_there(path)
        line, resources = ProgressLine(interactive=sys.stderr.isatty()), Resources(workers or _processors())
        try:
            run = label_many(given, out, labelling, layout=layout, resources=resources, resume=resume, watcher=line)
        except KeyboardInterrupt:
            line.end()
            if unfinished_folder(out).exists():
                click.echo("Interrupted. What is done is kept; the same command with --resume goes on.", err=True)
            raise
        line.end()
    outcomes, rejected = run.report.outcomes, sum(run.report.rejected.values())
    unchanged = f", {outcomes['unchanged']:,} unchanged" if given.since is not None else ""
    click.echo(f"{amount(outcomes['labelled'], 'user')} labelled{unchanged}; {source_name(out)}/report.html says more")
    if rejected:
        click.echo(f"{amount(rejected, 'row')} could not be used; see {source_name(out)}/rejected.csv", err=True)
    if outcomes["failed"]:
        click.echo(f"Error: no policy for {amount(outcomes['failed'], 'user')}; see {source_name(out)}/errors.csv", err=True)
        click.get_current_context().exit(1)


class ProgressLine:
    """Says on standard error what is being done: on a terminal in one line that changes, else in a line every half minute.

    Parameters
    ----------
    interactive : bool
        Whether standard error is a terminal.
    """

    def __init__(self, *, interactive: bool) -> None:
        self._interactive = interactive
        self._said = float("-inf")
        self._first: tuple[float, int] | None = None

    def say(self, text: str) -> None:
        """Say what is being done now; progress that is told afterwards is that of it."""
        self._first = None
        self._show(text)

    def _show(self, text: str) -> None:
        if self._interactive:
            click.echo(f"\r\033[K{text}", err=True, nl=False)
        else:
            click.echo(text, err=True)

    def progress(self, done: int, total: int) -> None:
        """Say how many users are done, how many in a second, and how long the rest will take."""
        now = time.monotonic()
        if self._first is None:
            self._first = now, done
            return
        if now - self._said < _PAUSE[self._interactive] and done < total:
            return
        self._said = now
        start, before = self._first
        rate = max(done - before, 1) / max(now - start, 1e-9)
        left = round((total - done) / rate)
        self._show(
            f"{done:,} of {amount(total, 'user')}, {rate:,.0f} a second, {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"
        )

    def end(self) -> None:
        """Leave the line that changes."""
        if self._interactive:
            click.echo(err=True)


def _processors() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

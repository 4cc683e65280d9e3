"""``privwiz label``: answers in, policies out, for one user or many."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from privwiz.commands.answered import Said, about_items, answers_by_user, each_cell_once, networks, read_answers
from privwiz.commands.many import (
    chosen_users,
    is_folder,
    many_labelling,
    many_options,
    many_tables,
    refuse_many_options,
    run_many,
)
from privwiz.commands.options import (
    Command,
    check_output,
    classifier_option,
    graph_options,
    items_option,
    language_option,
    prior_option,
    progress,
    read_items,
    read_prior,
    seed_option,
)
from privwiz.commands.terminal import plain
from privwiz.errors import DataError, PrivwizError
from privwiz.files import STANDARD
from privwiz.words import amount, list_some

if TYPE_CHECKING:
    from privwiz.graphs import EgoNetwork
    from privwiz.items import ProfileItem
    from privwiz.policy import Policy
    from privwiz.policy_parts import Layout
    from privwiz.prior import Prior
    from privwiz.tables import Table

__all__ = ["label"]

_COLUMNS = ("user", "item", "friend", "decision", "probability", "reason")


@click.command(cls=Command, short_help="Turn a table of answers into policies.")
@graph_options
@click.option(
    "--answers",
    required=True,
    metavar="FILE",
    help="Table user,item,friend,decision (allow, deny or ask); - is CSV on standard input.",
)
@click.option(
    "--user",
    "users",
    multiple=True,
    metavar="ID",
    help="Label this user only; may be repeated.  [default: every user of the answers]",
)
@click.option(
    "--users",
    "users_path",
    metavar="FILE|N",
    help="Label the users in the column user of this table; or, many users, N drawn by chance from those of the answers.",
)
@items_option
@prior_option
@click.option(
    "--out",
    required=True,
    metavar="FILE|DIR",
    help="Table user,item,friend,decision,probability,reason (.csv, .parquet); - is CSV on standard output. A name without an "
    "ending is a new folder: many users, labelled in parallel (docs/batch.md).",
)
@many_options
@language_option
@seed_option
@classifier_option
def label(  # noqa: PLR0913, PLR0917 - click hands over every option
    graph: str,
    profiles: str | None,
    answers: str,
    users: tuple[str, ...],
    users_path: str | None,
    items: str | None,
    prior: str | None,
    out: str,
    language: str,
    seed: int,
    classifier: str,
    engine: str,
    layout: "Layout",
    reasons: bool,  # noqa: FBT001 - a flag of the command
    workers: int | None,
    resume: bool,  # noqa: FBT001 - the same
    since: str | None,
    most_friends: int,
) -> None:
    r"""Turn a table of answers into whole policies, for one user or many.

    What a user said holds; every other friend and thing is set from it. Answers that contradict each other, or name somebody or
    something unknown, are refused with their line. A user with such answers gets no policy, the others do; the exit code is 1.
    Answers about items of the catalogue that are not among --items are left out. Into a folder, so are answers about former
    friends, and an `allow` for somebody who is not in the graph.

    Example:
      privwiz label --graph sample_graphs/town/edges.csv --profiles sample_graphs/town/profiles.csv \
        --answers sample_graphs/town/answers.csv --user ada --out policies.csv

    A folder instead of a file takes networks of any size: users are labelled by several processes, an interrupted run goes on
    with --resume, and rows that cannot be used are listed there.

    Example:
      privwiz label --graph edges.parquet --profiles profiles.parquet --answers answers.parquet --out tonight --layout nested
    """
    if not is_folder(out):
        refuse_many_options(click.get_current_context())
        _label_few(
            graph, profiles, answers, (users, users_path), read_items(items), read_prior(prior), out, (language, seed, classifier)
        )
        return
    if classifier != "gp":
        raise DataError(
            f"many users are labelled by the library's own model only; leave --classifier {classifier} out, or give a file"
        )
    tables = many_tables(graph, profiles, answers, since)
    labelling = many_labelling(read_items(items), read_prior(prior), seed, language if reasons else None, most_friends)
    given = replace(tables, users=chosen_users(users, users_path))
    run_many(given, out, labelling, engine=engine, layout=layout, workers=workers, resume=resume)


def _label_few(
    graph: str,
    profiles: str | None,
    answers: str,
    named: tuple[tuple[str, ...], str | None],
    items: "tuple[ProfileItem, ...] | None",
    prior: "Prior | None",
    out: str,
    how: tuple[str, int, str],
) -> None:
    from privwiz.export import policy_columns
    from privwiz.tables import write_table

    check_output(out, (".csv", ".parquet"))
    table = read_answers(answers)
    said = answers_by_user(table)
    wanted = chosen_users(*named)
    if isinstance(wanted, int):
        raise DataError(f"--users {wanted} draws from many users; give --out a folder, a name without an ending")
    chosen = tuple(wanted or said)
    if not chosen:
        raise DataError("no answers in it, and no user named; add rows, or name users with --user", source=table.source)
    language, seed, classifier = how
    network_of = networks(graph, profiles)
    columns: dict[str, list[list[Any]]] = {name: [] for name in _COLUMNS}
    failed: list[str] = []
    left = 0
    with progress(chosen, "Labelling") as steps:
        for user in steps:
            try:
                policy, without = _policy(network_of(user), said.get(user, ()), table, items, prior, seed, classifier)
            except PrivwizError as error:
                failed.append(user)
                click.echo(f"Error: {plain(str(error))}", err=True)
                continue
            left += without
            for name, values in policy_columns(policy, language).items():
                columns[name].append(values)
    rows = {name: list(chain.from_iterable(parts)) for name, parts in columns.items()}
    if len(failed) < len(chosen):
        write_table(out, rows)
    if left:
        click.echo(f"Left out: {amount(left, 'answer')} about items that are not among --items.", err=True)
    if failed:
        _report(failed, chosen, out)
    elif out != STANDARD:
        click.echo(f"wrote {out}: {amount(len(rows['user']), 'row')}", err=True)


def _policy(
    network: "EgoNetwork",
    said: Sequence[Said],
    table: "Table",
    items: "tuple[ProfileItem, ...] | None",
    prior: "Prior | None",
    seed: int,
    classifier: str,
) -> "tuple[Policy, int]":
    """Return the policy of one user, and how many answers are about other items."""
    from privwiz.wizard import Wizard

    wizard = Wizard(network, items, prior, seed, classifier=classifier)
    about = about_items(table, said, wizard.items)
    for answer in each_cell_once(table, about):
        try:
            wizard.label(answer.item, answer.friend, answer.decision)
        except PrivwizError as error:
            raise table.error(answer.row, str(error)) from None
    return wizard.policy(), len(said) - len(about)


def _report(failed: Sequence[str], chosen: Sequence[str], out: str) -> None:
    """Say who has no policy, and leave with exit code 1."""
    where = "standard output" if out == STANDARD else out
    rest = f"the policies of the others are in {where}" if len(failed) < len(chosen) else f"{where} was not written"
    if len(chosen) > 1:
        some = plain(list_some(failed))
        click.echo(f"Error: {len(failed)} of {len(chosen)} users have no policy: {some}; {rest}", err=True)
    click.get_current_context().exit(1)

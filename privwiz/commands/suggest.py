"""``privwiz suggest``: new friendships in, a suggestion for every item and both friends out."""

from typing import TYPE_CHECKING

import click

from privwiz.commands.many import is_folder, many_labelling, many_options, many_tables, run_many
from privwiz.commands.options import (
    Command,
    graph_options,
    items_option,
    language_option,
    prior_option,
    read_items,
    read_prior,
    seed_option,
)
from privwiz.errors import DataError

if TYPE_CHECKING:
    from privwiz.policy_parts import Layout

__all__ = ["suggest"]


@click.command(cls=Command, short_help="Suggest what new friends may see, for a table of new friendships.")
@graph_options
@click.option("--answers", required=True, metavar="FILE", help="Table user,item,friend,decision (allow, deny or ask).")
@click.option(
    "--new", required=True, metavar="FILE", help="Table of new friendships: source,target[,weight], in addition to the graph."
)
@items_option
@prior_option
@click.option("--out", required=True, metavar="DIR", help="New folder for the result, as of `privwiz label --out DIR`.")
@language_option
@seed_option
@many_options
def suggest(  # noqa: PLR0913, PLR0917 - click hands over every option
    graph: str,
    profiles: str | None,
    answers: str,
    new: str,
    items: str | None,
    prior: str | None,
    out: str,
    language: str,
    seed: int,
    engine: str,
    layout: "Layout",
    reasons: bool,  # noqa: FBT001 - a flag of the command
    workers: int | None,
    resume: bool,  # noqa: FBT001 - the same
    since: str | None,
    most_friends: int,
) -> None:
    r"""Suggest what new friends may see, for a whole table of new friendships.

    Both ends of each friendship get a suggestion for every item: what `privwiz label` would set with the friendship in the graph.
    Who has answered nothing yet gets what the prior says. Cells of other friends are left out.

    Example:
      privwiz suggest --graph edges.parquet --profiles profiles.parquet --answers answers.parquet --new today.csv --out suggested
    """
    if not is_folder(out):
        raise DataError("has an ending; give a new folder, a name without an ending", source=out)
    given = many_tables(graph, profiles, answers, since, new)
    labelling = many_labelling(read_items(items), read_prior(prior), seed, language if reasons else None, most_friends)
    run_many(given, out, labelling, engine=engine, layout=layout, workers=workers, resume=resume)

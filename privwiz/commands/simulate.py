"""``privwiz simulate``: simulated policies and answers as tables, of an invented community or of users of an existing graph."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from click.core import ParameterSource

from privwiz.commands.options import GRAPH_FORMS, Command, note, profiles_option, progress, seed_option
from privwiz.commands.terminal import plain
from privwiz.errors import DataError
from privwiz.files import STANDARD, source_name
from privwiz.words import amount, list_some

__all__ = ["simulate"]

REGIMES = ("circle", "mixed", "noisy", "idio", "cohesive", "stress")
FEWEST_FRIENDS = 10


@click.command(cls=Command, short_help="Invent a community, or let users of a graph decide, to try things on.")
@click.option("--people", type=click.IntRange(min=10), default=400, show_default=True, metavar="N", help="How many users.")
@click.option(
    "--graph",
    metavar="PATH",
    help=f"Invent nobody: simulate what users of this social graph decide; {GRAPH_FORMS}.",
)
@profiles_option
@click.option(
    "--user",
    "users",
    multiple=True,
    metavar="ID",
    help="Decide for this user only; may be repeated.  [default: everybody; with --graph every ego of a SNAP folder, or every "
    f"user of a graph file with at least {FEWEST_FRIENDS} friends]",
)
@click.option(
    "--regime",
    type=click.Choice(REGIMES),
    default="mixed",
    show_default=True,
    help="How the users decide: the simulated population.",
)
@click.option(
    "--per-item",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="How many friends each user answers about, for each item; all where there are fewer.",
)
@seed_option
@click.option("--out", required=True, metavar="DIR", help="Folder for the tables; made if it is not there.")
@click.option(
    "--format", "form", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True, help="Kind of the tables."
)
@click.option("--force", is_flag=True, help="Write into a folder that is not empty; tables of the same names are replaced.")
@click.pass_context
def simulate(  # noqa: PLR0913, PLR0917 - click hands over every option
    ctx: click.Context,
    people: int,
    graph: str | None,
    profiles: str | None,
    users: tuple[str, ...],
    regime: str,
    per_item: int,
    seed: int,
    out: str,
    form: str,
    *,
    force: bool,
) -> None:
    """Invent a community: families, schools, workplaces, neighbourhoods, clubs; profiles; what everybody decides.

    The tables are edges, profiles, groups (why people know each other), and simulated policies and answers. Nothing in them is
    about real people. The main user is called ada.

    With --graph nobody is invented: only policies and answers are written, what users of an existing graph might decide. They
    are simulated, whoever the people are. A user's decisions are drawn from the circles that the user made by hand, where a
    SNAP folder has them (.circles; members who are no friends are left out); else from the groups that `privwiz circles` finds
    at level 2. As the wizard looks for these same groups, it does better there than it would with circles of the user's own.

    Example:
      privwiz simulate --people 400 --seed 0 --out town
      privwiz simulate --graph sample_graphs/snap --out simulated
    """
    if graph is not None and ctx.get_parameter_source("people") != ParameterSource.DEFAULT:
        raise click.UsageError("--people invents users, --graph takes those of a graph; give one of the two.")
    if graph is None and profiles is not None:
        raise click.UsageError("--profiles is for --graph only.")
    if out == STANDARD:
        raise click.UsageError("--out is a folder for several tables; standard output cannot hold them.")
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise DataError("a file; give a folder", source=out)
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise DataError("not empty; choose another folder, or add --force to replace the tables in it", source=out)
    chosen = tuple(dict.fromkeys(users))
    if graph is None:
        paths = _invent(people, folder, chosen, regime, per_item, seed, form)
    else:
        paths = _decide(graph, profiles, folder, chosen, regime, per_item, seed, form)
    for path in paths:
        click.echo(path)


def _invent(
    people: int, folder: Path, users: tuple[str, ...], regime: str, per_item: int, seed: int, form: str
) -> Sequence[Path]:
    from privwiz.community import simulate_community
    from privwiz.community_files import write_community

    note(f"Simulating {people} people ...")
    community = simulate_community(people, seed)
    for user in users:
        community.ego_network(user)  # whoever is unknown is told before anything is written
    with progress(users or community.users, "Deciding") as deciders:
        return write_community(
            community, folder, users=deciders, regime=regime, seed=seed, answers_per_item=per_item, ending=f".{form}"
        )


def _decide(
    graph: str,
    profiles: str | None,
    folder: Path,
    users: tuple[str, ...],
    regime: str,
    per_item: int,
    seed: int,
    form: str,
) -> Sequence[Path]:
    """Let users of a graph decide; nothing is written unless it goes well for all of them."""
    from privwiz.community_files import write_decisions
    from privwiz.population import read_population
    from privwiz.simulate import simulate_policy

    population = read_population(graph, profiles)
    chosen = users or population.users
    if not chosen:
        raise DataError(f"no user has {FEWEST_FRIENDS} friends; name users with --user", source=source_name(graph))
    policies, by_hand, strangers = [], 0, dict[str, int]()
    with progress(chosen, "Simulating") as steps:
        for user in steps:
            decider = population.decider(user, seed)
            policies.append(simulate_policy(decider.network, decider.circles, regime, seed))
            by_hand += decider.by_hand
            if decider.strangers:
                strangers[user] = len(decider.strangers)
    if not any(policy.friends for policy in policies):
        raise DataError("none of these users has a friend to decide about; name others with --user", source=graph)
    if strangers:
        click.echo(_left_out(strangers), err=True)
    note(f"Circles made by hand: {by_hand} of {amount(len(chosen), 'user')}; found: {len(chosen) - by_hand}. Writing ...")
    return write_decisions(policies, folder, answers_per_item=per_item, seed=seed, ending=f".{form}")


def _left_out(strangers: Mapping[str, int]) -> str:
    members = amount(sum(strangers.values()), "member")
    return f"Left out: {members} of circles made by hand, no friends of the user ({plain(list_some(strangers))})."

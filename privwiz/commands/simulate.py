"""``privwiz simulate``: an invented community, with policies and answers, as tables."""

from pathlib import Path

import click

from privwiz.commands.options import Command, note, seed_option
from privwiz.errors import DataError

__all__ = ["simulate"]

REGIMES = ("circle", "mixed", "noisy", "idio", "cohesive", "stress")


@click.command(cls=Command, short_help="Invent a community to try things on.")
@click.option("--people", type=click.IntRange(min=10), default=400, show_default=True, metavar="N", help="How many users.")
@seed_option
@click.option("--out", required=True, metavar="DIR", help="Folder for the tables; made if it is not there.")
@click.option(
    "--regime",
    type=click.Choice(REGIMES),
    default="mixed",
    show_default=True,
    help="How the users decide: the simulated population.",
)
@click.option(
    "--format", "form", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True, help="Kind of the tables."
)
@click.option(
    "--user", "users", multiple=True, metavar="ID", help="Decide for this user only; may be repeated.  [default: everybody]"
)
@click.option("--force", is_flag=True, help="Write into a folder that is not empty; tables of the same names are replaced.")
def simulate(people: int, seed: int, out: str, regime: str, form: str, users: tuple[str, ...], *, force: bool) -> None:
    """Invent a community: families, schools, workplaces, neighbourhoods, clubs; profiles; what everybody decides.

    The tables are edges, profiles, groups (why people know each other), policies and answers. Nothing in them is about real
    people. The main user is called ada.

    Example:
      privwiz simulate --people 400 --seed 0 --out town
    """
    from privwiz.community import simulate_community
    from privwiz.community_files import write_community

    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise DataError("a file; give a folder", source=out)
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise DataError("not empty; choose another folder, or add --force to replace the tables in it", source=out)
    note(f"Simulating {people} people ...")
    community = simulate_community(people, seed)
    note(f"Deciding for {len(users) or people} of them, and writing ...")
    for path in write_community(community, folder, users=users or None, regime=regime, seed=seed, ending=f".{form}"):
        click.echo(path)

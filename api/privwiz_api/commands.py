"""``privwiz serve | migrate | import | dump``. The program finds them as entry points; what they need is loaded when they run."""

import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from privwiz.commands.many import ProgressLine, chosen_users
from privwiz.commands.options import Command
from privwiz.errors import DataError
from privwiz.words import amount

if TYPE_CHECKING:
    from privwiz_api.settings import Settings

__all__ = ["dump", "import_run", "migrate", "serve"]


@click.command(cls=Command, short_help="Serve the REST API.")
@click.option("--host", metavar="ADDRESS", help="Where to listen; only this machine unless given.")
@click.option("--port", type=click.IntRange(1, 65_535), metavar="NUMBER", help="The port; 8080 unless given.")
@click.option("--workers", type=click.IntRange(1, 512), metavar="NUMBER", help="Processes that answer; 2 unless given.")
@click.option(
    "--sample",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Serve the community in this folder for trying, with a token that is good on this machine only.",
)
def serve(host: str | None, port: int | None, workers: int | None, sample: Path | None) -> None:
    """Serve the REST API until Ctrl-C or SIGTERM; requests that are being answered are finished.

    Settings come from the environment: PRIVWIZ_* and DATABASE_URL, secrets also from files named by PRIVWIZ_*_FILE;
    docs/service.md lists them. Without any, the database is privwiz.db in this folder and every token is refused.

    Example:
      privwiz serve --sample sample_graphs/town
      DATABASE_URL=postgresql://... PRIVWIZ_JWT_SECRET_FILE=/run/secrets/jwt privwiz serve --workers 4
      PRIVWIZ_PUBLIC_URL=https://privacy.example privwiz serve --host 0.0.0.0
    """
    with tempfile.TemporaryDirectory(prefix="privwiz-metrics-") as metrics:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", metrics)
        from privwiz_api.server import run
        from privwiz_api.settings import Settings

        given = {"host": host, "port": port, "workers": workers}
        settings = replace(Settings.from_environment(), **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
        run(settings, sample)


@click.command(cls=Command, short_help="Bring the database to the form that this version needs.")
@click.option("--back-to", metavar="REVISION", help="Go back to an earlier form instead; base takes all tables and data away.")
def migrate(back_to: str | None) -> None:
    """Make the tables of the REST API, or change those of an earlier version, in one transaction.

    The database is that of DATABASE_URL, or privwiz.db in this folder. `privwiz serve` does it by itself for SQLite.

    Example:
      DATABASE_URL=postgresql://... privwiz migrate
      privwiz migrate --back-to 0001
    """
    from privwiz_api.database import Database, database_errors
    from privwiz_api.migrate import migrate as forward
    from privwiz_api.migrate import migrate_back
    from privwiz_api.settings import Settings

    with database_errors(), closing(Database(Settings.from_environment().database_url)) as database:
        if back_to is None:
            forward(database)
        else:
            migrate_back(database, back_to)
    click.echo("The database is ready." if back_to is None else f"The database is at {back_to}.")


def _of_tenant(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--database`` and ``--tenant``."""
    database = click.option(
        "--database", metavar="URL", help="sqlite:///path or postgresql://user:password@host/name.  [default: DATABASE_URL]"
    )
    tenant = click.option("--tenant", required=True, metavar="NAME", help="Whose users: the tenant that its tokens name.")
    return database(tenant(command))


def _settings(database: str | None, tenant: str) -> "Settings":
    from privwiz_api.schemas import is_name
    from privwiz_api.settings import Settings

    if not is_name(tenant):
        raise DataError(f"tenant {tenant!r:.80} cannot be; a name has 1 to 128 characters, and no control characters")
    settings = Settings.from_environment()
    return settings if database is None else replace(settings, database_url=database)


@click.command("import", cls=Command, short_help="Load the users of a run of `privwiz label` into the service.")
@click.argument("run", metavar="RUN")
@click.option("--graph", required=True, metavar="PATH", help="The table of ties that the run was made from.")
@click.option("--profiles", metavar="PATH", help="Its table of profiles, if it had one.")
@click.option("--answers", required=True, metavar="PATH", help="Its table of answers.")
@_of_tenant
@click.option("--out", required=True, metavar="DIR", help="New folder for what became of each user.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", default=1, show_default=True, help="Number of processes.")
def import_run(
    run: str, graph: str, profiles: str | None, answers: str, database: str | None, tenant: str, out: str, workers: int
) -> None:
    r"""Load the users of a run of `privwiz label` into the service: network and answers of each who is not there yet.

    RUN is the folder that `privwiz label --out` made. What it says is what the service then suggests, compared cell by cell;
    nothing is in force before the user accepts it. Users whom the service has are never changed. The same command again goes on
    where a killed one was. Webhooks hear of it if the settings of the service are in the environment.

    Example:
      privwiz import monday --graph edges.parquet --profiles profiles.parquet --answers answers.parquet \
        --database sqlite:///privwiz.db --tenant acme --out loaded
      DATABASE_URL=postgresql://... privwiz import monday --graph edges.csv --answers answers.csv --tenant acme --out loaded
    """
    from privwiz_api.imports import ImportInput
    from privwiz_api.imports import import_run as load

    line = ProgressLine(interactive=sys.stderr.isatty())
    done = load(ImportInput(run, graph, answers, profiles), out, _settings(database, tenant), tenant, line, workers=workers)
    line.end()
    outcomes = done.outcomes
    there = f", {outcomes['present']:,} there already" if outcomes["present"] else ""
    click.echo(f"{amount(outcomes['loaded'], 'user')} loaded{there}; {out}/users says more")
    if done.absent:
        click.echo(
            f"{done.absent:,} users have no policy in this run: they are unchanged since an earlier one, or failed", err=True
        )
    if outcomes["kept"]:
        click.echo(f"{outcomes['kept']:,} users are there otherwise, and stay as they are; see {out}/kept.csv", err=True)
    if outcomes["failed"]:
        click.echo(f"Error: {outcomes['failed']:,} users were not loaded; see {out}/errors.csv", err=True)
        click.get_current_context().exit(1)


@click.command(cls=Command, short_help="Write the users of the service as tables for `privwiz label`.")
@_of_tenant
@click.option(
    "--users", metavar="FILE", help="Dump the users in the column user of this table.  [default: every user of the tenant]"
)
@click.option("--out", required=True, metavar="DIR", help="New folder for the tables.")
def dump(database: str | None, tenant: str, users: str | None, out: str) -> None:
    r"""Write the users of the service as the tables that `privwiz label` reads, all of one state of the database.

    users.parquet has those of whom the tables say all, partial.csv the others, with what they do not say: a run over them may
    suggest more than the service does.

    Example:
      privwiz dump --database sqlite:///privwiz.db --tenant acme --out dumped
      privwiz label --graph dumped/edges.parquet --profiles dumped/profiles.parquet --answers dumped/answers.parquet \
        --items dumped/items.parquet --users dumped/users.parquet --out tonight
    """
    from privwiz_api.database import Database, database_errors
    from privwiz_api.dump import dump_tenant

    named = chosen_users((), users)
    if isinstance(named, int):
        raise DataError(f"--users {named} draws users by chance; give a table")
    line = ProgressLine(interactive=sys.stderr.isatty())
    with database_errors(), closing(Database(_settings(database, tenant).database_url)) as source:
        done = dump_tenant(source, tenant, out, line, named)
    line.end()
    users = amount(done.whole + done.partial, "user")
    click.echo(f"{users} dumped, the tables say all of {done.whole:,}; {out}/partial.csv has the others")
    for reason, count in done.reasons.most_common():
        click.echo(f"{count:,} users: {reason}", err=True)
    if done.gone:
        click.echo(f"{done.gone:,} answers about friends or items that are gone were left out", err=True)
    if done.accepted:
        click.echo(f"{done.accepted:,} users have accepted something; what is in force is in no table", err=True)

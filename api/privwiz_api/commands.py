"""``privwiz serve`` and ``privwiz migrate``. The program finds them as entry points; what they need is loaded when they run."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import click

from privwiz.commands.options import Command

__all__ = ["migrate", "serve"]


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
    from privwiz_api.database import Database
    from privwiz_api.migrate import migrate as forward
    from privwiz_api.migrate import migrate_back
    from privwiz_api.settings import Settings

    database = Database(Settings.from_environment().database_url)
    if back_to is None:
        forward(database)
    else:
        migrate_back(database, back_to)
    database.close()
    click.echo("The database is ready." if back_to is None else f"The database is at {back_to}.")

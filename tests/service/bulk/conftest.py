"""What the tests of import and dump share: the tables of a town with a run over them, and what loads, dumps and labels."""

from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from pyarrow import parquet as pq

from privwiz.batch import BatchInput, Resources, label_many
from privwiz.case import Labelling
from privwiz.cli import main
from privwiz.community import simulate_community
from privwiz.community_files import write_community
from privwiz.items import CATALOGUE
from privwiz.prior import Prior
from privwiz.tables import read_table, write_table
from privwiz_api.dump import dump_tenant
from privwiz_api.imports import ImportInput, import_run

ANSWERS = ("user", "item", "friend", "decision")
TABLES = ("edges", "profiles", "answers")


class Quiet:
    """Watches, and says nothing."""

    def say(self, text):
        """Hear it."""

    def progress(self, done, total):
        """Hear it."""


@pytest.fixture(scope="session")
def town(tmp_path_factory):
    """Return the folder with the tables of a town of 60 people, 12 of whom have answered, and the run over them."""
    folder = tmp_path_factory.mktemp("town")
    write_community(simulate_community(60, seed=3), folder, answers_per_item=4, ending=".parquet")
    rows = list(read_table(folder / "answers.parquet", ANSWERS).rows())
    write_answers(folder / "answers.parquet", [row for row in rows if row[0] in sorted({row[0] for row in rows})[::5]])
    label(folder, folder / "run")
    return folder


@pytest.fixture(scope="session")
def bulk():
    """Return what writes, labels, loads, dumps and reads such tables, runs and users, by name."""
    return SimpleNamespace(
        Quiet=Quiet,
        dump=dump,
        label=label,
        load=load,
        policies=policies,
        run=run,
        suggested=suggested,
        write_answers=write_answers,
    )


def write_answers(path, rows):
    """Write rows (user, item, friend, decision)."""
    write_table(path, {name: [row[k] for row in rows] for k, name in enumerate(ANSWERS)})


def label(tables, out, **options):
    """Label the users of the tables in a folder."""
    edges, profiles, said = (tables / f"{name}.parquet" for name in TABLES)
    given = BatchInput(edges, said, profiles, **{name: options.pop(name) for name in ("users", "since") if name in options})
    labelling = Labelling(options.pop("items", CATALOGUE), Prior.default())
    return label_many(given, out, labelling, resources=Resources(1, 5), **options).folder


def policies(folder):
    """Return the policies of a run, user by user."""
    found = {}
    for row in pq.read_table(folder / "policies").to_pylist():
        found.setdefault(row["user"], {})[row["item"], row["friend"]] = (row["decision"], row["probability"])
    return found


def load(backend, town, out, run=None, **options):
    """Load a run over the town for the tenant of a backend."""
    settings = backend.app.extensions["privwiz"].settings
    edges, profiles, said = (town / f"{name}.parquet" for name in TABLES)
    return import_run(ImportInput(run or town / "run", edges, said, profiles), out, settings, backend.tenant, Quiet(), **options)


def dump(backend, out, watcher=None, named=None):
    """Dump the tenant of a backend."""
    return dump_tenant(backend.app.extensions["privwiz"].database, backend.tenant, out, watcher or Quiet(), named)


def suggested(backend, user):
    """Return what the service suggests, as a run has it."""
    state = backend.app.extensions["privwiz"].states.current(backend.tenant, user)
    return {(cell.item, cell.friend): (cell.decision.value, cell.probability) for cell in state.policy}


def run(*words, code=0, **environment):
    """Run the command line in this process; return what it prints."""
    done = CliRunner().invoke(main, [str(word) for word in words], env=environment)
    assert done.exit_code == code, (done.exit_code, done.output, done.exception)
    return done.output

"""What the tests of runs over many users share: the tables of a town, the command, and what a run wrote."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from pyarrow import parquet as pq

from privwiz.batch import BatchInput
from privwiz.case import Labelling
from privwiz.cli import main
from privwiz.community import simulate_community
from privwiz.community_files import write_community
from privwiz.items import profile_items
from privwiz.prior import Prior
from privwiz.tables import read_table, write_table

ANSWERS = ("user", "item", "friend", "decision")
ITEMS = ("phone", "birthday", "photos")


@dataclass(frozen=True)
class Town:
    """The tables of a town in a folder, and the items that its people have answered about."""

    folder: Path
    items: tuple[str, ...] = ITEMS

    def answers(self):
        """Return the answers as rows (user, item, friend, decision)."""
        return list(read_table(self.folder / "answers.parquet", ANSWERS).rows())

    def tables(self, **changed):
        """Return the input of a run over the town."""
        return BatchInput(**{name: self.folder / f"{name}.parquet" for name in ("edges", "answers", "profiles")} | changed)

    def labelling(self, **changed):
        """Return how the town is labelled."""
        return Labelling(**{"items": profile_items(self.items), "prior": Prior.default()} | changed)

    def options(self, **changed):
        """Return the options of a run over the town's tables."""
        tables = (("graph", "edges"), ("answers", "answers"), ("profiles", "profiles"))
        paths = {name: self.folder / f"{table}.parquet" for name, table in tables}
        chosen = paths | {"items": ",".join(self.items), "workers": 1} | changed
        return [str(word) for name, value in chosen.items() for word in (f"--{name.replace('_', '-')}", value)]


@pytest.fixture(scope="session")
def town(tmp_path_factory):
    """Return a town of 60 people, 12 of whom have answered."""
    town = Town(tmp_path_factory.mktemp("town"))
    write_community(simulate_community(60, seed=3), town.folder, answers_per_item=4, ending=".parquet")
    rows = town.answers()
    users = sorted({row[0] for row in rows})[::5]
    write_rows(town.folder / "answers.parquet", [row for row in rows if row[0] in users and row[1] in ITEMS])
    return town


def write_rows(path, rows):
    """Write rows (user, item, friend, decision)."""
    write_table(path, {name: [row[k] for row in rows] for k, name in enumerate(ANSWERS)})


@pytest.fixture(scope="session")
def write_answers():
    """Return what writes rows (user, item, friend, decision) as a table."""
    return write_rows


@pytest.fixture(scope="session")
def run():
    """Return what runs the command line in this process, and returns what it prints."""

    def run(*words, code=0):
        done = CliRunner().invoke(main, [str(word) for word in words])
        assert done.exit_code == code, (done.exit_code, done.output, done.exception)
        return done.output

    return run


@pytest.fixture(scope="session")
def cells():
    """Return what reads the policies of a run as rows."""
    return lambda folder: [tuple(row.values()) for row in pq.read_table(folder / "policies").to_pylist()]


@pytest.fixture(scope="session")
def files():
    """Return what reads every file of a run that has to be the same when the run is repeated, by its name."""

    def files(folder):
        found = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
        return {name: content for name, content in found.items() if not name.startswith("report.")}

    return files

import pytest
from pyarrow import parquet as pq

from privwiz import Wizard
from privwiz.batch import BatchInput, Resources, label_many
from privwiz.case import Labelling
from privwiz.community import simulate_community
from privwiz.community_files import write_community
from privwiz.items import profile_items
from privwiz.prior import Prior
from privwiz.readers import read_ego_network
from privwiz.tables import read_table, write_table

ITEMS = ("phone", "birthday", "photos")


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """The tables of a town of 60 people, 12 of whom have answered."""
    folder = tmp_path_factory.mktemp("town")
    write_community(simulate_community(60, seed=3), folder, answers_per_item=4, ending=".parquet")
    answers = read_table(folder / "answers.parquet", ("user", "item", "friend", "decision"))
    rows = [row for row in answers.rows() if row[0] in sorted(set(answers["user"]))[::5] and row[1] in ITEMS]
    write_answers(folder / "answers.parquet", rows)
    return folder


def write_answers(path, rows):
    """Write rows (user, item, friend, decision)."""
    names = ("user", "item", "friend", "decision")
    write_table(path, {name: [row[k] for row in rows] for k, name in enumerate(names)})


def tables(town, **changed):
    """Return the input of a run over the town."""
    return BatchInput(**{name: town / f"{name}.parquet" for name in ("edges", "answers", "profiles")} | changed)


def labelling(**changed):
    """Return how the town is labelled."""
    return Labelling(**{"items": profile_items(ITEMS), "prior": Prior.default()} | changed)


def files(folder):
    """Return every file of a run that has to be the same when the run is repeated, with its bytes."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: content for name, content in found.items() if not name.startswith("report.")}


def cells(folder):
    """Return the policies of a run as rows."""
    return [tuple(row.values()) for row in pq.read_table(folder / "policies").to_pylist()]


def one_by_one(town, answers, reasons=None):
    """Return the same policies from the library's wizard, user by user."""
    items = profile_items(ITEMS)
    place = {item.id: number for number, item in enumerate(items)}
    rows = []
    for user in sorted({answer[0] for answer in answers}):
        wizard = Wizard(read_ego_network(town / "edges.parquet", user, town / "profiles.parquet"), items)
        for _, item, friend, decision in sorted(
            (row for row in answers if row[0] == user), key=lambda row: (place[row[1]], row[2])
        ):
            wizard.label(item, friend, decision)
        for cell in wizard.policy():
            reason = () if reasons is None else (cell.reason.text(reasons),)
            rows.append((user, cell.item, cell.friend, cell.decision.value, cell.probability, *reason))
    return rows


def test_policies_are_those_of_the_wizard(town, tmp_path):
    """Every cell of a run over many users is, to the last bit, what the library's wizard says about that user alone."""
    run = label_many(tables(town), tmp_path / "out", labelling())
    answers = list(read_table(town / "answers.parquet", ("user", "item", "friend", "decision")).rows())
    assert cells(run.folder) == one_by_one(town, answers)
    assert run.report.outcomes == {"labelled": 12, "failed": 0}


def test_reasons_are_those_of_the_wizard(town, tmp_path):
    """With reasons, every cell has the reason that the wizard gives, in the language asked for."""
    answers = list(read_table(town / "answers.parquet", ("user", "item", "friend", "decision")).rows())
    user = answers[0][0]
    run = label_many(tables(town, users=[user]), tmp_path / "out", labelling(reasons="zh"))
    assert cells(run.folder) == one_by_one(town, [row for row in answers if row[0] == user], "zh")


def test_the_number_of_processes_changes_nothing(town, tmp_path):
    """One process and two write the same bytes, and leave nothing but the result."""
    one = label_many(tables(town), tmp_path / "one", labelling(), resources=Resources(1, 5)).folder
    two = label_many(tables(town), tmp_path / "two", labelling(), resources=Resources(2, 5)).folder
    assert files(one) == files(two)
    parts = [f"part-{number:06}.parquet" for number in range(3)]
    expected = [*(f"policies/{part}" for part in parts), *(f"users/{part}" for part in parts)]
    assert sorted(files(one)) == ["errors.csv", *expected[:3], "rejected.csv", *expected[3:]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_the_nested_layout_says_the_same_in_less_space(town, tmp_path):
    """One row for each user and item has the friends, the decisions, and the probabilities in whole per cents."""
    flat = label_many(tables(town), tmp_path / "flat", labelling())
    nested = label_many(tables(town), tmp_path / "nested", labelling(), layout="nested")
    rows = [
        (row["user"], row["item"], *cell)
        for row in pq.read_table(nested.folder / "policies").to_pylist()
        for cell in zip(row["friends"], row["decisions"], row["percents"], strict=True)
    ]
    assert rows == [(*cell[:4], round(100 * cell[4])) for cell in cells(flat.folder)]

"""The comparison with the TF Encrypted example: each row of the page names a test that exists, and no public thing is missing."""

import ast
import builtins
import importlib
import re
import symtable
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "tf-encrypted-example.md"

PUBLIC = """BaseModelOwner BaseDataOwner fit model_fn aggregator_fn evaluator_fn build_data_pipeline call_model_fn pin_to_owner
save_model default_model_fn reptile_model_fn secure_mean secure_reptile evaluate_classifier mnist_data_pipeline federate_dataset
tfds_random_splitter from_simulated_dataset serialize_image_example UndefinedModelFnError --remote_config --local_tfrecords
--validation_tfrecords --evaluate_every --num_data_owners --learning_rate --local_learning_rate --reptile --rounds --batch_size
--simulation --dataset --validation_split --save_path --save_format""".split()

MODULES = """cohort_updates data_owner dataset_split lazy_tensorflow model_fns owners records replica training_history
weight_layout""".split()


def rows(text):
    """Return the cells of every row below the head of a table."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if not re.match(r"\|(---|.*\| test \|$)", line)
    ]


def missing_test(cell):
    """Return what is wrong with the last cell of a row, or nothing."""
    named = re.fullmatch(r"`(tests/test_\w+\.py)::(test_\w+)`", cell)
    if named is None:
        return f"{cell} names no test"
    file = ROOT / named[1]
    tests = {node.name for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}
    return "" if named[2] in tests else f"{cell} does not exist"


def test_every_row_names_a_test():
    """Every row of the comparison ends with the name of a test that exists."""
    found = rows(PAGE.read_text(encoding="utf-8"))
    assert len(found) > 50
    assert [wrong for row in found if (wrong := missing_test(row[-1]))] == []


@pytest.mark.parametrize("cell", ["`tests/test_owners.py::test_that_nobody_wrote`", "works", ""])
def test_a_row_without_a_test_is_noticed(cell):
    """Negative control: a test that does not exist, and a cell without one, are told."""
    assert missing_test(cell)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_thing_has_a_row(name):
    """Everything that the example offers is in the first column of the comparison."""
    assert any(re.search(rf"`{name}\b", row[0]) for row in rows(PAGE.read_text(encoding="utf-8")))


@pytest.mark.parametrize("number", range(1, 11))
def test_every_known_defect_has_a_row(number):
    """Each of the ten known defects has at least one row."""
    assert any(row[0].startswith(f"{number}. ") for row in rows(PAGE.read_text(encoding="utf-8")))


def unknown_names(module):
    """Return the global names that functions of a module mention, even where they never run, and that do not exist."""
    source = Path(module.__file__).read_text(encoding="utf-8")
    waiting, names = [symtable.symtable(source, module.__file__, "exec")], set()
    while waiting:
        table = waiting.pop()
        names.update(symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced())
        waiting.extend(table.get_children())
    return {name for name in names if not hasattr(module, name) and not hasattr(builtins, name)}


@pytest.mark.parametrize("name", MODULES)
def test_no_function_uses_a_name_that_does_not_exist(name):
    """Every name that a function of the owners' modules uses is defined or imported, also in branches that rarely run."""
    assert unknown_names(importlib.import_module(f"privwiz.federated.{name}")) == set()


def test_an_unknown_name_is_noticed(tmp_path):
    """Negative control: a name that nobody defined is found, in dead code too."""
    module = types.ModuleType("dead")
    module.__file__ = str(tmp_path / "dead.py")
    Path(module.__file__).write_text("def f():\n    def g():\n        return len(gone)\n    return g\n    return pinned_fn\n")
    exec(Path(module.__file__).read_text(), module.__dict__)  # noqa: S102 - a module made for this test
    assert unknown_names(module) == {"gone", "pinned_fn"}

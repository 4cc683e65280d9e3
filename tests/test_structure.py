"""The shape of the code: who may import what, and which names others rely on."""

import ast
from pathlib import Path

import pytest

import privwiz

ROOT = Path(__file__).parents[1]
LIBRARY = sorted((ROOT / "privwiz").rglob("*.py"))

# The files that may import each engine: one, but for scikit-learn, which also trains the shipped prior.
ENGINES = {
    "cryptography": {"privwiz/federated/shares.py"},
    "dp_accounting": {"privwiz/federated/accounting.py"},
    "keras": set(),
    "tensorflow": {"privwiz/federated/lazy_tensorflow.py", "privwiz/federated/tfe.py"},
    "tf_encrypted": {"privwiz/federated/tfe.py"},
    "flwr": {"privwiz/federated/flower.py"},
    "pyspark": {"privwiz/spark.py"},
    "sklearn": {"privwiz/classifier.py", "privwiz/pretrain.py"},
}

PUBLIC_NAMES = ["Decision", "Policy", "Prior", "Wizard", "ego_network", "find_circles", "read_snap_ego_network"]


def imports(source):
    """Return the top-level names of all modules that this source text imports, wherever in the text."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {name.partition(".")[0] for name in found}


def importers(module):
    """Return the files of the library that import ``module``, relative to the root."""
    return [str(path.relative_to(ROOT)) for path in LIBRARY if module in imports(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("engine", "homes"), ENGINES.items())
def test_an_engine_has_its_place(engine, homes):
    """An optional or heavy engine is imported by its own files only, so that it can be left out or replaced."""
    assert set(importers(engine)) <= homes


@pytest.mark.parametrize("module", ["privwiz_api", "flask", "pandas"])
def test_the_library_never_imports(module):
    """The library knows nothing of the service that is built on it, nor of pandas."""
    assert importers(module) == []


def test_the_check_sees_every_form_of_import():
    """Negative control: imports inside functions, of submodules, with other names and of names are all seen."""
    source = "import flask.views as v\ndef f():\n    from tensorflow.math import sin\n    import pyspark, json\n"
    assert imports(source) == {"flask", "tensorflow", "pyspark", "json"}


@pytest.mark.parametrize(
    "name", ["Decision", "Policy", "Prior", "Wizard", "ego_network", "find_circles", "read_snap_ego_network"]
)
def test_the_names_that_others_rely_on(name):
    """The names of the design are exported by the package itself."""
    assert hasattr(privwiz, name)
    assert name in privwiz.__all__


def test_every_exported_name_exists():
    """``__all__`` promises nothing that is not there, whatever is installed; what is not there is an attribute error."""
    assert [name for name in privwiz.__all__ if not hasattr(privwiz, name)] == []
    assert set(privwiz.__all__) <= set(dir(privwiz))
    assert not hasattr(privwiz, "Nothing")


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_say_what_is_public(path):
    """Every module of the library begins with a docstring and lists its public names in ``__all__``, if it defines any."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    names = {
        name.id for node in tree.body for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }
    assert len(tree.body) == 1 or "__all__" in names

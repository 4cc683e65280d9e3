"""The documentation is true: its blocks run, its examples hold, its command line reference is complete and current.

In README.md and docs/, a ```python block is executed and a ```console block is a terminal session: each line ``$ command`` is
run by bash and must succeed, and output that the page shows must be what is printed (``...`` stands for anything; whitespace is
not compared). A page runs from top to bottom, its Python blocks share their names, and it runs in an empty folder with a copy of
sample_graphs/. Commands that a test cannot run, such as `make run`, stand in ```sh blocks.
"""

import contextlib
import doctest
import importlib
import io
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

import privwiz
import privwiz_api
from privwiz.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MODULES = [
    module.name
    for package in (privwiz, privwiz_api)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

BLOCK = re.compile(r"^```(?P<kind>python|console)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (?P<command>(?:.*\\\n)*.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)


def run_page(text, name, folder):
    """Run the blocks of a page from top to bottom; raise at the first that does not do what the page says."""
    names = {}
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start("body"))
        if block["kind"] == "console":
            run_session(block["body"], f"{name}, line {line + 1}", folder)
        elif block["body"].startswith(">>> "):
            run_examples(block["body"], names, name, line)
        else:
            exec(compile("\n" * line + block["body"], name, "exec"), names)  # noqa: S102 - executing the page is the test


def run_session(body, where, folder):
    """Run the commands of a terminal session and compare what they print, where the session shows it."""
    environment = os.environ | {
        "COLUMNS": "100",
        "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for step in COMMAND.finditer(body):
        done = subprocess.run(
            ["bash", "-c", step["command"]],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        expected, printed = step["output"], done.stdout
        assert done.returncode == 0 or "Error: " in expected, f"{where}: {step['command']} exits {done.returncode}:\n{printed}"
        if expected:
            same = doctest.OutputChecker().check_output(expected, printed, FLAGS)
            assert same, f"{where}: {step['command']} shows\n{expected}\nbut prints\n{printed}"


def run_examples(body, names, name, line):
    """Run a block of ``>>>`` examples in the names of its page."""
    examples = doctest.DocTestParser().get_doctest(body, names, name, name, line)
    report = io.StringIO()
    result = doctest.DocTestRunner(optionflags=FLAGS).run(examples, out=report.write, clear_globs=False)
    names.update(examples.globs)
    assert result.failed == 0, report.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    """Every Python and console block of the documentation does what the page says."""
    shutil.copytree(ROOT / "sample_graphs", tmp_path / "sample_graphs")
    monkeypatch.chdir(tmp_path)
    with contextlib.redirect_stdout(io.StringIO()):
        run_page(page.read_text(encoding="utf-8"), str(page.relative_to(ROOT)), tmp_path)


@pytest.mark.parametrize(
    "block",
    [
        "```python\nx = 1\nassert x == 2\n```\n",
        "```python\n>>> 1 + 1\n3\n```\n",
        "```console\n$ false\n```\n",
        "```console\n$ echo one\none\n$ echo two\nthree\n```\n",
    ],
)
def test_a_wrong_block_is_noticed(block, tmp_path):
    """Negative control: a failing assertion, a wrong value, a failing command and a wrong output each fail the page."""
    with pytest.raises(AssertionError):
        run_page(f"# A page\n\n{block}", "page.md", tmp_path)


def test_blocks_of_a_page_share_names_and_folder(tmp_path, monkeypatch):
    """Later blocks see the names and files of earlier ones; ``...`` stands for any output."""
    monkeypatch.chdir(tmp_path)
    page = """
```python
from pathlib import Path
n = 20
Path("n.txt").write_text(str(n))
```
```console
$ cat n.txt; \\
  echo " friends"
20 fr...
```
```python
>>> n + 1
21
```
"""
    run_page(page, "page.md", tmp_path)


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_docstring_examples_hold(name, tmp_path, monkeypatch):
    """Every example in a docstring gives what it shows."""
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(importlib.import_module(name), optionflags=FLAGS).failed == 0


def all_commands(command, path):
    """Yield every command below and including this one, with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from all_commands(command.get_command(context, name), f"{path} {name}")


COMMANDS = dict(all_commands(main, "privwiz"))
REFERENCE = ROOT / "docs" / "reference" / "cli.md"
SECTION = re.compile(r"^## ([^\n]*)\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_is_documented(path):
    """Each command has its section in the reference, and each of its options and arguments is named there."""
    sections = dict(SECTION.findall(REFERENCE.read_text(encoding="utf-8")))
    assert path in sections, f"{path} is not in docs/reference/cli.md; run `make docs`"
    for parameter in COMMANDS[path].params:
        words = parameter.opts if isinstance(parameter, click.Option) else [parameter.human_readable_name]
        shown = re.findall(r"[\w-]+", sections[path])
        assert set(words) & set(shown), f"{path} {words} is not in docs/reference/cli.md; run `make docs`"


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_explains_itself(path):
    """Each command's help has an example that calls it, and a sentence for each option."""
    command = COMMANDS[path]
    if not isinstance(command, click.Group):
        assert re.search(rf"^\s*(\$ )?{path} ", command.help or "", re.MULTILINE), f"{path} --help shows no example"
    assert [option.opts for option in command.params if isinstance(option, click.Option) and not option.help] == []


def test_the_reference_is_what_the_commands_say():
    """The reference page is generated, and nobody forgot to generate it again."""
    script = ROOT / "docs" / "cli_reference.py"
    done = subprocess.run([sys.executable, script], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == REFERENCE.read_text(encoding="utf-8"), "run `make docs`"

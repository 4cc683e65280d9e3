"""Runs over many users that are killed, interrupted, disturbed or out of disk, and go on."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet as pq

from privwiz.batch import Resources, label_many
from privwiz.errors import DataError


class Leaving:
    """Watches a run, and interrupts it when this many users are done."""

    def __init__(self, users=0):
        self.users = users

    def say(self, _):
        """Hear what is being done."""

    def progress(self, done, _):
        """Hear how many users are done."""
        if done == self.users:
            raise KeyboardInterrupt


KILLED = """
import os
import signal
import sys
from pathlib import Path
from privwiz.batch import BatchInput, Resources, label_many
from privwiz.case import Labelling
from privwiz.items import profile_items
from privwiz.prior import Prior

CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir")


def changes(event, arguments):
    if event == "open":
        return isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    return event in CHANGES


def die_at(step, out):
    left = step

    def watch(event, arguments):
        nonlocal left
        if left and changes(event, arguments) and str(arguments[0]).startswith(str(out)):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def label(town, out, workers):
    given = BatchInput(town / "edges.parquet", town / "answers.parquet", town / "profiles.parquet", users=3)
    labelling = Labelling(profile_items(["phone", "birthday", "photos"]), Prior.default())
    resume = Path(f"{out}.unfinished").exists()
    label_many(given, out, labelling, resources=Resources(workers, 2), resume=resume)


if __name__ == "__main__":
    town, folder, every, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    step = 1
    while True:
        out = folder / f"out{step}"
        child = os.fork()
        if not child:
            die_at(step, out)
            label(town, out, workers)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        print(step, out.exists(), flush=True)
        step += every
"""


def whole(folder):
    """Whether every table that can be seen in a folder can be read, but for those that say they are not finished."""
    for path in folder.rglob("*.parquet"):
        pq.read_table(path)
    return True


@pytest.mark.parametrize(("workers", "every"), [(1, 4), (2, 13)])
def test_a_killed_run_goes_on_to_the_same_result(town, tmp_path, workers, every, files):
    """Killed at any change of a file, a run shows no half-written file, and goes on to the very bytes of one without a fault."""
    (tmp_path / "run.py").write_text(KILLED, encoding="utf-8")
    expected = label_many(town.tables(users=3), tmp_path / "expected", town.labelling(), resources=Resources(1, 2)).folder
    command = [sys.executable, tmp_path / "run.py", town.folder, tmp_path, str(every), str(workers)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    steps = [line.split() for line in done.stdout.splitlines()]
    assert len(steps) > 2
    for step, finished in steps:
        out = tmp_path / f"out{step}"
        left = tmp_path / f"out{step}.unfinished"
        assert out.exists() == (finished == "True")
        assert whole(left)
        again = partial(label_many, town.tables(users=3), out, town.labelling(), resources=Resources(1, 2), resume=left.exists())
        if out.exists():
            with pytest.raises(DataError, match="is there already"):
                again()
        else:
            again()
        assert files(out) == files(expected)
        assert not left.exists()


def test_an_interrupted_run_leaves_quietly_and_goes_on(town, tmp_path, files, run):
    """Ctrl-C ends the command with exit code 130 and no traceback, and ``--resume`` finishes the run."""
    command = [Path(sys.executable).with_name("privwiz"), "label", *town.options(workers=2), "--out", tmp_path / "out"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        for line in process.stderr:
            if "choosing" in line:
                break
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stderr.read()
    assert (process.returncode, "Traceback" in rest) == (130, False), rest
    assert "Interrupted. What is done is kept; the same command with --resume goes on." in rest
    assert "12 users labelled" in run("label", *town.options(), "--out", tmp_path / "out", "--resume")
    assert files(tmp_path / "out") == files(label_many(town.tables(), tmp_path / "expected", town.labelling()).folder)


def test_an_unfinished_run_is_no_earlier_one(town, tmp_path):
    """A run cannot be told to leave out those for whom nothing has changed since one that was interrupted."""
    with pytest.raises(KeyboardInterrupt):
        label_many(town.tables(users=2), tmp_path / "stopped", town.labelling(), resources=Resources(1, 1), watcher=Leaving(1))
    with pytest.raises(DataError, match="unfinished: holds no finished run; give the folder that an earlier run wrote"):
        label_many(town.tables(users=2, since=tmp_path / "stopped.unfinished"), tmp_path / "out", town.labelling())


def test_a_run_is_alone_in_its_folder(town, tmp_path, cells):
    """While one process labels, another one of the same name is turned away and spoils nothing."""
    told = []

    class Other(Leaving):
        def progress(self, *_):
            with pytest.raises(DataError) as error:
                label_many(town.tables(), tmp_path / "out", town.labelling(), resume=True)
            told.append(str(error.value))

    label_many(town.tables(), tmp_path / "out", town.labelling(), watcher=Other())
    assert set(told) == {f"{tmp_path}/out: another process is at work in {tmp_path}/out.unfinished; let it end"}
    assert len({user for user, *_ in cells(tmp_path / "out")}) == 12


def test_what_a_dead_process_left_is_no_result(town, tmp_path):
    """A part that a process began and never finished is not in the result."""

    class Dying(Leaving):
        def progress(self, *_):
            (tmp_path / "out.unfinished" / "result" / "policies" / ".0123456789abcdef.tmp").write_bytes(b"PAR1")

    label_many(town.tables(), tmp_path / "out", town.labelling(), watcher=Dying())
    assert [path.name for path in (tmp_path / "out" / "policies").iterdir()] == ["part-000000.parquet"]


def test_a_result_does_not_replace_what_has_appeared_meanwhile(town, tmp_path, files):
    """A folder that somebody made under the name of the result is kept; when it is moved, the run goes on and ends."""

    class Maker(Leaving):
        def progress(self, *_):
            (tmp_path / "out").mkdir(exist_ok=True)
            (tmp_path / "out" / "notes.txt").write_text("mine", encoding="utf-8")

    with pytest.raises(DataError, match="Directory not empty; what is done is kept: mend it and go on with --resume"):
        label_many(town.tables(), tmp_path / "out", town.labelling(), watcher=Maker())
    assert (tmp_path / "out" / "notes.txt").read_text("utf-8") == "mine"
    (tmp_path / "out").rename(tmp_path / "mine")
    label_many(town.tables(), tmp_path / "out", town.labelling(), resume=True)
    assert files(tmp_path / "out") == files(label_many(town.tables(), tmp_path / "expected", town.labelling()).folder)


def emptied(path):
    """Make an array of the store look as after a power failure that took its last write: without rows."""
    kind = np.load(path, mmap_mode="r").dtype
    with path.open("r+b") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": (0,)}
        )


@pytest.mark.parametrize("damage", ["ties", "weights", "profiles", "answers", "lost"])
def test_a_torn_store_is_built_again(town, tmp_path, damage, files):
    """A run that goes on after its machine lost its power never takes missing ties, profiles or answers for there being none."""
    expected = label_many(town.tables(users=2), tmp_path / "expected", town.labelling()).folder
    with pytest.raises(KeyboardInterrupt):
        label_many(town.tables(users=2), tmp_path / "out", town.labelling(), watcher=Leaving())
    store = tmp_path / "out.unfinished" / "store"
    if damage == "lost":
        (store / "answers.npy").write_bytes(b"")
    else:
        emptied(store / f"{damage}.npy")
    label_many(town.tables(users=2), tmp_path / "out", town.labelling(), resume=True)
    assert files(tmp_path / "out") == files(expected)


def test_what_a_run_goes_on_with_is_on_the_disk_first(town, tmp_path, monkeypatch):
    """Before a run says that its store is built, or a part done, the system has written every file of it to the disk."""
    settled, sync = [], os.fsync

    def watch(descriptor):
        settled.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    with pytest.raises(KeyboardInterrupt):
        label_many(town.tables(users=2), tmp_path / "out", town.labelling(), watcher=Leaving())
    folder = tmp_path / "out.unfinished"
    assert {folder / "store", *(folder / "store").glob("*.*"), folder / "rejected-tables.csv"} <= set(settled)
    settled.clear()
    label_many(town.tables(users=2), tmp_path / "out", town.labelling(), resume=True)
    parts = {folder / "result" / "policies", folder / "result" / "users"}
    assert {folder / "rejected" / "000000.csv", *parts} <= set(settled)


def test_a_folder_is_never_written_over(town, tmp_path, run):
    """A finished run stays, an unfinished one goes on with the same tables only; options for folders are refused with files."""
    run("label", *town.options(users=1), "--out", tmp_path / "out")
    again = run("label", *town.options(), "--out", tmp_path / "out", code=1)
    assert again == f"Error: {tmp_path}/out: is there already; name a folder that is not\n"
    there = tmp_path / "next.unfinished"
    there.mkdir()
    (there / "notes.txt").write_text("mine", encoding="utf-8")
    foreign = run("label", *town.options(), "--out", tmp_path / "next", "--resume", code=1)
    assert foreign == f"Error: {tmp_path}/next: {there} holds no run that could go on; delete that folder\n"
    (there / "notes.txt").unlink()
    with pytest.raises(KeyboardInterrupt):
        label_many(town.tables(), tmp_path / "next", town.labelling(), watcher=Leaving())
    busy = run("label", *town.options(), "--out", tmp_path / "next", code=1)
    assert busy == f"Error: {tmp_path}/next: an unfinished run is in {there}; go on with --resume, or delete that folder\n"
    other = run("label", *town.options(seed=1), "--out", tmp_path / "next", "--resume", code=1)
    assert "is of other tables or options; give those, or delete that folder" in other
    file = run("label", *town.options(layout="nested"), "--out", tmp_path / "out.csv", code=2)
    assert "--layout is for many users: give --out a folder, a name without an ending." in file


KEPT = "what is done is kept: mend it and go on with --resume"


def test_a_full_disk_keeps_what_is_done(town, tmp_path, files, run):
    """Where the system takes no more bytes, the command ends with the reason; with room again it goes on to the same result."""
    expected = label_many(town.tables(), tmp_path / "expected", town.labelling()).folder
    limit = "ulimit -f 16; exec"  # blocks of 512 or 1024 bytes, as the shell counts
    command = [Path(sys.executable).with_name("privwiz"), "label", *town.options(), "--out", tmp_path / "out"]
    done = subprocess.run(
        ["bash", "-c", f'trap "" XFSZ; {limit} "$@"', "bash", *command], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"Error: {tmp_path}/out: File too large; {KEPT}")
    assert not (tmp_path / "out").exists()
    assert "12 users labelled" in run("label", *town.options(), "--out", tmp_path / "out", "--resume")
    assert files(tmp_path / "out") == files(expected)


FULL = """
import resource
import sys
from pathlib import Path
from privwiz.batch import BatchInput, Resources, label_many
from privwiz.case import Labelling
from privwiz.errors import DataError
from privwiz.items import profile_items
from privwiz.prior import Prior


class Disk:
    def say(self, text):
        pass

    def progress(self, done, total):
        if done == 6 and sys.argv[3] == "full":
            resource.setrlimit(resource.RLIMIT_FSIZE, (256, 256))


town, out = map(Path, sys.argv[1:3])
given = BatchInput(town / "edges.parquet", town / "answers.parquet", town / "profiles.parquet")
labelling = Labelling(profile_items(["phone", "birthday", "photos"]), Prior.default())
try:
    label_many(given, out, labelling, resources=Resources(1, 2), resume=sys.argv[3] == "room", watcher=Disk())
except DataError as error:
    sys.exit(str(error))
"""


def test_a_disk_that_fills_up_half_way_keeps_the_parts_that_are_done(town, tmp_path, files):
    """A part that does not fit is told, the parts before it stay, and with room again the run goes on to the same result."""
    expected = label_many(town.tables(), tmp_path / "expected", town.labelling(), resources=Resources(1, 2)).folder
    (tmp_path / "run.py").write_text(FULL, encoding="utf-8")
    command = [sys.executable, tmp_path / "run.py", town.folder, tmp_path / "out"]
    done = subprocess.run([*command, "full"], capture_output=True, text=True, check=False)
    part = tmp_path / "out.unfinished" / "result" / "policies" / "part-000003.parquet"
    assert (done.returncode, done.stderr.strip()) == (1, f"{part}: File too large; make room for it; {KEPT}")
    assert len(list((tmp_path / "out.unfinished" / "done").iterdir())) == 3
    subprocess.run([*command, "room"], check=True)
    assert files(tmp_path / "out") == files(expected)

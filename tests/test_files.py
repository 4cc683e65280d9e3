import pytest

from privwiz.errors import DataError
from privwiz.files import new_folder, unfinished_folder


def test_a_new_folder_appears_in_one_step(tmp_path):
    """Until the block ends there is nothing of the folder's name; then all of it is there, and nothing else."""
    out = tmp_path / "out"
    with new_folder(out) as folder:
        (folder / "a").write_text("1", "utf-8")
        assert not out.exists()
    assert [path.name for path in out.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_new_folder_that_fails_leaves_nothing(tmp_path, error):
    """Whatever ends the block early, interrupts too, nothing is left of the folder."""

    def fill():
        with new_folder(tmp_path / "out") as folder:
            (folder / "a").write_text("1", "utf-8")
            raise error

    with pytest.raises(error):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_deleted_and_nothing_else(tmp_path):
    """An unfinished folder of an earlier try makes way; one that somebody else made does not."""
    out, kept = tmp_path / "out", unfinished_folder(tmp_path / "other")
    with new_folder(out) as folder:
        left = [(path.name, path.read_bytes()) for path in folder.iterdir()]
    out.rename(unfinished_folder(out))
    for name, content in left:
        (unfinished_folder(out) / name).write_bytes(content)
    (unfinished_folder(out) / "half").touch()
    with new_folder(out):
        pass
    assert list(out.iterdir()) == []
    out.rmdir()
    unfinished_folder(out).mkdir()
    with new_folder(out):
        pass
    kept.mkdir()
    (kept / "mine").touch()
    with (
        pytest.raises(DataError, match=r"other: .*other.unfinished is in the way; delete that folder"),
        new_folder(tmp_path / "other"),
    ):
        pass
    assert (kept / "mine").exists()


def test_two_never_fill_one_folder(tmp_path):
    """Whoever comes while another fills a folder of this name is turned away, and takes nothing from the first."""
    with new_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("1", "utf-8")
        with (
            pytest.raises(DataError, match=r"another process is at work in .*unfinished; let it end"),
            new_folder(tmp_path / "out"),
        ):
            pass
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]


def test_a_new_folder_is_told_in_one_line_where_it_cannot_be(tmp_path):
    """A name that is taken, a file in the way and a directory that is missing are told with the way out."""
    unfinished_folder(tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file\.unfinished is in the way; delete that folder"), new_folder(tmp_path / "file"):
        pass
    with pytest.raises(DataError, match="is there already; name a folder that is not"), new_folder(tmp_path):
        pass
    with pytest.raises(DataError, match="its directory does not exist; create it first"), new_folder(tmp_path / "a" / "b"):
        pass

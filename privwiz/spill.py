"""Records too many for memory: spilled into files by whom they are about, read back one stretch of people at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Spill"]

Records: TypeAlias = npt.NDArray[Any]

_COPIES = 4
_MOST_STRETCHES = 512


class Spill:
    """Records of one kind, in files of which each fits into memory together with what sorting it takes.

    Parameters
    ----------
    folder : Path
        Made if it is not there; its files are the spill's own.
    dtype : list of (str, str)
        Fields of a record; ``who``, the number of the person whom it is about, is one of them.
    people : int
        Number of people.
    count : int
        About how many records will be added.
    memory : int
        Bytes that one stretch may take.
    """

    def __init__(self, folder: Path, dtype: list[tuple[str, str]], people: int, count: int, memory: int) -> None:
        self.dtype = np.dtype(dtype)
        stretches = min(_MOST_STRETCHES, people, 1 + _COPIES * count * self.dtype.itemsize // memory)
        self.bounds = np.linspace(0, people, stretches + 1).astype(np.int64)
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(stretches):
            self._path(number).write_bytes(b"")

    def records(self, **fields: npt.NDArray[np.generic]) -> Records:
        """Return records made of these columns."""
        made = np.empty(len(fields["who"]), self.dtype)
        for name, values in fields.items():
            made[name] = values
        return made

    def add(self, records: Records) -> None:
        """Put records with those of the people they are about, behind what is there."""
        stretch = np.searchsorted(self.bounds, records["who"], side="right") - 1
        order = np.argsort(stretch, kind="stable")
        ends = np.searchsorted(stretch[order], np.arange(len(self.bounds)))
        for number in np.unique(stretch).tolist():
            with self._path(number).open("ab") as file:
                file.write(records[order[ends[number] : ends[number + 1]]].tobytes())

    def read(self) -> Iterator[tuple[int, int, Records]]:
        """Yield the records of each stretch of people, in the order in which they were added, and delete them.

        The two numbers say which people a stretch is about: from the first up to, without, the second.
        """
        for number, (first, end) in enumerate(zip(self.bounds[:-1].tolist(), self.bounds[1:].tolist(), strict=True)):
            path = self._path(number)
            records = np.fromfile(path, self.dtype)
            path.unlink()
            yield first, end, records

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.records"

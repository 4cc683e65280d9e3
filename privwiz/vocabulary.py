"""Distinct texts, sorted and numbered, in a file that processes share by mapping it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from privwiz.tables import pyarrow

__all__ = ["Vocabulary", "distinct_texts"]

Ints: TypeAlias = npt.NDArray[np.int32]

_MOST_WAITING = 1 << 22


@dataclass(frozen=True, eq=False, slots=True)
class Vocabulary:
    """Texts in the order of their code points, so that equal order of numbers and of texts is the same thing.

    Parameters
    ----------
    texts : pyarrow.StringArray
        Sorted, each once.
    """

    texts: Any

    def __len__(self) -> int:
        return len(self.texts)

    def numbers(self, texts: Any) -> Ints:
        """Return the number of each of some texts, a pyarrow array; -1 where it is not there."""
        _, _ = pyarrow("labelling many users")
        from pyarrow import compute

        found: Ints = compute.index_in(texts, value_set=self.texts).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
        return found

    def number(self, text: str) -> int:
        """Return the number of one text by bisection, which reads little of a mapped file; -1 where it is not there."""
        low, high = 0, len(self.texts)
        while low < high:
            middle = (low + high) // 2
            if self.texts[middle].as_py() < text:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self.texts) and self.texts[low].as_py() == text else -1

    def some(self, numbers: npt.NDArray[np.integer]) -> list[str]:
        """Return the texts of some numbers; ``""`` for -1."""
        texts: list[str] = self.taken(numbers).to_pylist()
        return texts

    def taken(self, numbers: npt.NDArray[np.integer]) -> Any:
        """Return the same as an Arrow array."""
        pa, _ = pyarrow("labelling many users")
        nothing = numbers < 0
        if nothing.any():
            return self.texts.take(pa.array(numbers, mask=nothing)).fill_null("")
        return self.texts.take(pa.array(numbers))

    def save(self, path: Path) -> None:
        """Write to a file that `open` maps."""
        pa, _ = pyarrow("labelling many users")
        batch = pa.record_batch([self.texts], ["text"])
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
            writer.write_batch(batch)

    @classmethod
    def open(cls, path: Path) -> "Vocabulary":
        """Map a file that `save` wrote."""
        pa, _ = pyarrow("labelling many users")
        return cls(pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0).column(0))


def distinct_texts(columns: Iterable[Sequence[Any]]) -> Vocabulary:
    """Return the vocabulary of all texts, empty ones aside, in some sequences of pyarrow arrays of text.

    Takes memory for the distinct texts, not for all of them.

    >>> import pyarrow as pa
    >>> distinct_texts([(pa.array(["bo", "ann"]), pa.array(["", "bo"]))]).texts.to_pylist()
    ['ann', 'bo']
    """
    pa, _ = pyarrow("labelling many users")
    from pyarrow import compute

    def merged(arrays: list[Any]) -> Any:
        return compute.unique(pa.chunked_array(arrays, pa.string()))

    waiting: list[Any] = []
    count, limit = 0, _MOST_WAITING
    for arrays in columns:
        waiting.append(merged(list(arrays)))
        count += len(waiting[-1])
        if count > limit:
            waiting = [merged(waiting)]
            count = len(waiting[0])
            limit = max(_MOST_WAITING, 2 * count)
    found = merged(waiting)
    found = found.filter(compute.not_equal(found, ""))
    return Vocabulary(found.take(compute.sort_indices(found)))

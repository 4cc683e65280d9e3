"""One data set split among simulated owners, for experiments: a file for each, and one for the model owner to validate with."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError
from privwiz.federated.lazy_tensorflow import load_tensorflow
from privwiz.federated.records import load_examples, write_records
from privwiz.files import FilePath
from privwiz.words import amount

__all__ = ["Splitter", "federate_dataset", "random_splitter"]

Indices = npt.NDArray[np.int64]

Splitter = Callable[[npt.NDArray[Any], int, np.random.Generator], Sequence[Indices]]
"""Labels, number of owners and randomness in; positions of the examples of each owner out."""

_NAME = re.compile(r"[\w][\w.-]*", re.ASCII)


def random_splitter(labels: npt.NDArray[Any], owners: int, rng: np.random.Generator) -> list[Indices]:
    """Deal out all examples at random; the numbers of examples differ by at most one.

    >>> parts = random_splitter(np.zeros(7), 3, np.random.default_rng(0))
    >>> [len(part) for part in parts], sorted(np.concatenate(parts).tolist())
    ([3, 2, 2], [0, 1, 2, 3, 4, 5, 6])
    """
    return np.array_split(rng.permutation(len(labels)), owners)


def federate_dataset(
    dataset: Any,
    data_owner_names: Sequence[str],
    folder: FilePath,
    *,
    validation_split: float = 0.0,
    model_owner_name: str = "model-owner",
    splitter_fn: Splitter = random_splitter,
    seed: int = 0,
) -> dict[str, list[Path]]:
    """Split a data set among simulated owners; write each owner's part to a TFRecord file.

    Parameters
    ----------
    dataset : tf.data.Dataset or pair of arrays
        Of examples (x, y).
    data_owner_names : sequence of str
        Each becomes the name of a file: letters, digits, dots, hyphens and underscores.
    folder : path
        Where the files go; made if it is missing.
    validation_split : float
        Share of the examples, chosen at random, that the model owner gets and no data owner sees.
    model_owner_name : str
    splitter_fn : callable
        How the rest is split.
    seed : int
        Equal seeds give equal splits.

    Returns
    -------
    dict of str to list of Path
        The files of each owner; the model owner is among them if it got examples.

    Raises
    ------
    DataError
        If names are double or cannot be names of files, an owner would get no example, the splitter gives an example to two
        owners, or the share is not from 0 to below 1.
    """
    names = list(data_owner_names)
    everyone = [*names, model_owner_name]
    if not names or len(set(everyone)) < len(everyone) or not all(_NAME.fullmatch(name) for name in everyone):
        raise DataError(
            f"owners are named {everyone}; names must differ and be made of letters, digits, dots, hyphens, underscores"
        )
    if not 0 <= validation_split < 1:
        raise DataError(f"the validation split is {validation_split!r}; it must be from 0 to below 1")
    x, y = _arrays(dataset)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(x))
    held_out, rest = np.split(shuffled, [round(validation_split * len(x))])
    parts = [rest[part] for part in splitter_fn(y[rest], len(names), rng)]
    _check(parts, names)
    if len(held_out):
        parts, names = [held_out, *parts], [model_owner_name, *names]
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{error.strerror}; name a folder that can be made", source=str(folder)) from None
    files = {name: [target / f"{name}.tfrecord"] for name in names}
    for (path,), part in zip(files.values(), parts, strict=True):
        write_records(path, x[part], y[part])
    return files


def _arrays(dataset: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    if isinstance(dataset, load_tensorflow().data.Dataset):
        examples = load_examples(dataset, None, "federate_dataset")
        return examples.x, examples.y
    x, y = (np.asarray(part) for part in dataset)
    if len(x) != len(y):
        raise DataError(f"there are {len(x)} x and {len(y)} y; each example needs both")
    return x, y


def _check(parts: Sequence[Indices], names: Sequence[str]) -> None:
    if len(parts) != len(names):
        raise DataError(f"the splitter made {amount(len(parts), 'part')} for {amount(len(names), 'owner')}")
    for part, name in zip(parts, names, strict=True):
        if not len(part):
            raise DataError(f"{name!r} would get no example; take fewer owners or a smaller validation split")
    every = np.concatenate(parts)
    if len(np.unique(every)) < len(every):
        raise DataError("the splitter gave an example to two owners")

"""The prior: what is known before any answer. It is the result of training; every wizard starts from one."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from privwiz.calibration import Calibration
from privwiz.errors import DataError
from privwiz.features import FEATURES
from privwiz.files import FilePath, read_text, source_name, writing
from privwiz.strict_json import expect, read_json

__all__ = ["MOST_SCALE", "MOST_WEIGHT", "KernelScales", "Prior"]

Floats = npt.NDArray[np.float64]

FORMAT = "privwiz.prior/1"
MOST_WEIGHT = 100.0
"""A weight beyond this is no knowledge of people but a training that went astray: e^100 to one, by one feature alone."""
MOST_SCALE = 100.0
"""Ten times what training chooses, and a hundredth of what single precision could not bear."""
_CLIP = 4.0


@dataclass(frozen=True, slots=True)
class KernelScales:
    """Weights of the parts of the covariance (`privwiz.covariance.LatentPrior`), and of the mean.

    ``level``, ``alike``, ``linear``, ``independent`` scale what every item has for itself: its level over all friends, the
    likeness of friends, the spread of users' linear weights, and each friend alone; ``shared_...`` the same for what all items
    have in common. ``circles``, ``neighbourhood`` and ``attributes`` make up the likeness. ``mean`` scales the trained mean;
    ``trust`` is its variance per user.

    Raises
    ------
    DataError
        If one of them is not a number from 0 to `MOST_SCALE`.
    """

    level: float = 8.0
    alike: float = 0.3
    linear: float = 3.0
    independent: float = 0.03
    shared_level: float = 0.8
    shared_alike: float = 0.7
    shared_linear: float = 1.5
    shared_independent: float = 0.1
    circles: float = 3.0
    neighbourhood: float = 0.7
    attributes: float = 0.1
    mean: float = 0.8
    trust: float = 0.05

    def __post_init__(self) -> None:
        for part in fields(self):
            value = getattr(self, part.name)
            if isinstance(value, bool) or not (isinstance(value, int | float) and 0 <= value <= MOST_SCALE):
                raise DataError(f"kernel scale {part.name!r} is {value!r}; it must be a number from 0 to {MOST_SCALE:g}")
            object.__setattr__(self, part.name, float(value))


@dataclass(frozen=True, eq=False)
class Prior:
    """Gaussian prior over a user's linear weights on friend features, and the scales of the rest.

    Parameters
    ----------
    features : tuple of str, length d
        Names of the friend features it was trained on, of `privwiz.features.FEATURES`.
    center, scale : float arrays of shape (d,)
        Mean and standard deviation of each feature over the training users; scale is positive.
    items : tuple of str, length J
    weights : float array of shape (J, d + 1)
        Mean logit weights of each item on the standardised features and a constant, in that order; `MOST_WEIGHT` at most.
    covariance : float array of shape (d + 1, d + 1)
        How users differ in these weights, the same for every item; symmetric, positive semi-definite.
    scales : KernelScales
    provenance : mapping
        Where it comes from: data, algorithm, rounds, privacy spent. JSON values only.
    calibration : Calibration
        How sure the wizard may be; none unless given.

    Raises
    ------
    DataError
        If the parts do not fit each other, or hold anything else.

    Examples
    --------
    >>> prior = Prior.default()
    >>> prior.items[:3], prior.provenance["data"]
    (('birthday', 'birth_year', 'email'), "simulated people and simulated policies only; no real person's data")
    """

    features: tuple[str, ...]
    center: Floats
    scale: Floats
    items: tuple[str, ...]
    weights: Floats
    covariance: Floats
    scales: KernelScales = field(default_factory=KernelScales)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    calibration: Calibration = field(default_factory=Calibration)

    def __post_init__(self) -> None:
        d = len(self.features)
        shapes = {"center": (d,), "scale": (d,), "weights": (len(self.items), d + 1), "covariance": (d + 1, d + 1)}
        for name, shape in shapes.items():
            object.__setattr__(self, name, _array(name, getattr(self, name), shape))
        for kind, names in (("friend feature", self.features), ("item", self.items)):
            twice = [name for k, name in enumerate(names) if name in names[:k]]
            if twice:
                raise DataError(f"prior: {kind} {twice[0]!r} comes twice")
        unknown = [name for name in self.features if name not in FEATURES]
        if unknown:
            raise DataError(f"prior: this version has no friend feature {unknown[0]!r}; train the prior again with this version")
        if (self.scale <= 0).any():
            raise DataError("prior: every scale must be positive")
        if (largest := np.abs(self.weights).max(initial=0)) > MOST_WEIGHT:
            raise DataError(
                f"prior: a weight of {largest:g} is more than {MOST_WEIGHT:g} from 0; train the prior again, with smaller steps"
            )
        if not np.allclose(self.covariance, self.covariance.T) or np.linalg.eigvalsh(self.covariance).min() < -1e-6:
            raise DataError("prior: covariance must be symmetric and positive semi-definite")
        try:
            provenance = json.loads(json.dumps(dict(self.provenance), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise DataError(f"prior: provenance cannot be written as JSON ({error})") from None
        object.__setattr__(self, "provenance", provenance)

    @classmethod
    def flat(cls, scales: KernelScales | None = None) -> "Prior":
        """A prior that knows nothing of features or items: circles, ties and the user's answers alone decide."""
        nothing = np.zeros(0)
        provenance = {"algorithm": "none"}
        return cls((), nothing, nothing, (), np.zeros((0, 1)), np.zeros((1, 1)), scales or KernelScales(), provenance)

    @classmethod
    def default(cls) -> "Prior":
        """The prior that comes with the library; its ``provenance`` says where it is from.

        It was trained on simulated policies of simulated people only. It knows how the features usually bear on an item and how
        much users differ, and nothing about any real person.
        """
        return _shipped()

    @classmethod
    def load(cls, path: FilePath) -> "Prior":
        """Read a prior that `save` wrote; ``"-"`` is standard input.

        Raises
        ------
        DataError
            If the file is missing, damaged, or of another version.
        """
        text = read_text(path)
        try:
            return cls.from_json(text)
        except DataError as error:
            raise DataError(str(error), source=source_name(path)) from None

    @classmethod
    def from_json(cls, text: str) -> "Prior":
        """Inverse of `to_json`; raises `DataError` for anything else."""
        data = read_json(text, FORMAT)
        features, items = _names(data, "features"), _names(data, "items")
        return cls(
            features=features,
            center=_row(data.get("center"), "'center'"),
            scale=_row(data.get("scale"), "'scale'"),
            items=items,
            weights=_table(data, "weights", len(features) + 1),
            covariance=_table(data, "covariance", len(features) + 1),
            scales=_scales(expect(data.get("scales"), dict, "'scales'")),
            provenance=expect(data.get("provenance"), dict, "'provenance'"),
            calibration=_calibration(expect(data.get("calibration", {}), dict, "'calibration'")),
        )

    def to_json(self) -> str:
        """Write as JSON; the numbers are kept as they are."""
        return json.dumps(
            {
                "format": FORMAT,
                "provenance": self.provenance,
                "scales": asdict(self.scales),
                "calibration": asdict(self.calibration),
                "features": self.features,
                "items": self.items,
                "center": self.center.tolist(),
                "scale": self.scale.tolist(),
                "weights": self.weights.tolist(),
                "covariance": self.covariance.tolist(),
            },
            ensure_ascii=False,
        )

    def save(self, path: FilePath) -> None:
        """Write to a file that `load` reads, or to standard output for ``"-"``; an old file is replaced in one step.

        Raises
        ------
        DataError
            If the file cannot be written. An old one is unchanged then.
        """
        with writing(path) as file:
            file.write(f"{self.to_json()}\n".encode())

    def design(self, features: Floats) -> Floats:
        """Standardise friend features, clip them to four deviations, append a constant.

        Parameters
        ----------
        features : float array of shape (n, len(FEATURES))
            As `privwiz.features.friend_features` gives them.

        Returns
        -------
        float array of shape (n, d + 1)
        """
        standardised = np.clip((features[:, self._columns] - self.center) / self.scale, -_CLIP, _CLIP)
        return np.concatenate([standardised, np.ones((len(features), 1))], axis=1)

    def weights_for(self, items: tuple[str, ...]) -> Floats:
        """Mean weights of these items, shape (len(items), d + 1).

        An item that was not trained gets the average of those that were, and zeros where none was.
        """
        width = len(self.features) + 1
        average = self.weights.mean(axis=0) if self.items else np.zeros(width)
        known = dict(zip(self.items, self.weights, strict=True))
        return np.array([known.get(item, average) for item in items]).reshape(len(items), width)

    @cached_property
    def _columns(self) -> npt.NDArray[np.intp]:
        position = {name: k for k, name in enumerate(FEATURES)}
        return np.array([position[name] for name in self.features], np.intp)


@cache
def _shipped() -> Prior:
    return Prior.from_json(files("privwiz").joinpath("data/default_prior.json").read_text("utf-8"))


def _array(name: str, values: object, shape: tuple[int, ...]) -> Floats:
    try:
        array = np.array(values, float)
    except (TypeError, ValueError) as error:
        raise DataError(f"prior: {name} is not an array of numbers ({error})") from None
    if array.shape != shape:
        raise DataError(f"prior: {name} has shape {array.shape}; its features and items need {shape}")
    if not np.isfinite(array).all():
        raise DataError(f"prior: {name} holds a number that is not finite")
    array.flags.writeable = False
    return array


def _names(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(expect(name, str, f"a name in {key!r}") for name in expect(data.get(key), list, repr(key)))


def _row(values: object, where: str) -> Floats:
    return np.array([expect(value, float, f"a number in {where}") for value in expect(values, list, where)], float)


def _table(data: Mapping[str, Any], key: str, width: int) -> Floats:
    rows = [_row(row, f"a row of {key!r}") for row in expect(data.get(key), list, repr(key))]
    uneven = [len(row) for row in rows if len(row) != width]
    if uneven:
        raise DataError(f"a row of {key!r} has {uneven[0]} numbers; with these features it must have {width}")
    return np.array(rows).reshape(len(rows), width)


def _calibration(given: Mapping[str, Any]) -> Calibration:
    names = [part.name for part in fields(Calibration)]
    unknown = sorted(given.keys() - names)
    if unknown:
        raise DataError(f"calibration {unknown[0]!r} is not known to this version; use the one that made this prior")
    return Calibration(**{name: expect(value, float, f"calibration {name!r}") for name, value in given.items()})


def _scales(given: Mapping[str, Any]) -> KernelScales:
    names = [part.name for part in fields(KernelScales)]
    unknown = sorted(given.keys() - names)
    if unknown:
        raise DataError(f"kernel scale {unknown[0]!r} is not known to this version; use the one that made this prior")
    return KernelScales(**{name: expect(given.get(name), float, f"kernel scale {name!r}") for name in names})

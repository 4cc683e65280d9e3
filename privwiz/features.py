"""Friend features: numbers about a friend that mean the same for every user, so that their weights can be learnt federatedly."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from privwiz.circles import MIN_SIZE, Circles
from privwiz.errors import DataError
from privwiz.graphs import FIELDS, EgoNetwork

__all__ = ["FEATURES", "LEVELS", "FriendFeatures", "friend_features"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.integer]

LEVELS: Mapping[str, float] = MappingProxyType({"coarse": 1.0, "medium": 2.0, "fine": 8.0})
"""The circle levels that are described, by resolution; the nearest level stands in where one is missing.

Three of the six: neighbouring resolutions find nearly the same circles, and every column costs all users upload and noise.
"""

_MAIN_FIELDS = ("hometown", "location", "school", "school_year", "concentration", "employer")
_NEAR_CONSTANT = ("gender", "locale")
_CIRCLE_FIELDS = tuple(name for name in FIELDS if name not in (*_NEAR_CONSTANT, "position"))

_PER_LEVEL = {
    "size_share": "Size of the friend's {} circle as a share of all friends.",
    "log_size": "Natural logarithm of the size of the {} circle.",
    "density": "Share of the pairs in the {} circle that are friends with each other; 0 for a circle of one.",
    "ties_inside": "Share of the friend's ties that stay inside the {} circle; 0 without ties.",
    "reach": "Share of the others in the {} circle that are mutual friends; 0 for a circle of one.",
    "alone": "1 if the friend is alone in the {} circle, else 0.",
}
_PER_FIELD = {
    "same": (FIELDS, "1 if a value of {} is the same as the user's, else 0."),
    "has": (_MAIN_FIELDS, "1 if the profile has a {}, else 0."),
    "user_without": (_MAIN_FIELDS, "1 if the user's own profile has no {}, else 0."),
    "circle_same": (_CIRCLE_FIELDS, "Share of the medium circle whose {} is the same as the user's."),
    "circle_mode": (("gender", *_CIRCLE_FIELDS), "Share of the medium circle that has its most frequent {}."),
    "has_mode": (_CIRCLE_FIELDS, "1 if the friend has the most frequent {} of the medium circle, else 0."),
}

FEATURES: Mapping[str, str] = MappingProxyType(
    {
        "log_degree": "Natural logarithm of 1 + the number of mutual friends.",
        "degree_share": "Mutual friends as a share of all friends.",
        "degree_rank": "Share of the friends who have fewer mutual friends; those who have as many count half.",
        "clustering": "Share of the pairs of mutual friends that are friends with each other; 0 with fewer than two.",
        "core": "Core number as a share of the network's largest.",
        "log_pagerank": "Natural logarithm of PageRank (damping .85) times the number of friends; 0 is average.",
        "isolated": "1 if there is no mutual friend, else 0.",
        "user_tie_rank": "Share of the friends whose tie with the user is weaker, equals counted half; .5 if unknown.",
        "user_tie_unknown": "1 if the strengths of the ties with the user are unknown, else 0.",
        "tie_strength": "Mean strength m of the friend's ties as m / (m + the network's mean); .5 is average or unknown.",
        **{f"{level}_{name}": text.format(level) for level in LEVELS for name, text in _PER_LEVEL.items()},
        **{f"{column}_{name}": text.format(name) for column, (names, text) in _PER_FIELD.items() for name in names},
        "shared_fields": "Number of profile fields, gender and locale aside, with a value that is the same as the user's.",
        "completeness": "Share of the known profile fields that the profile fills.",
    }
)
"""Name -> what the column means, in one sentence, in the order of the columns.

A most frequent value counts from two members on, in circles of three or more; otherwise its columns are 0.
"""


@dataclass(frozen=True, eq=False)
class FriendFeatures:
    """What is known of every friend, in columns that mean the same for every user.

    Parameters
    ----------
    names : tuple of str, length d
        The keys of `FEATURES`.
    values : float64 array of shape (n, d)
        One row per friend, in the order of ``network.friends``; finite; read-only.
    """

    names: tuple[str, ...]
    values: Floats


def friend_features(network: EgoNetwork, circles: Circles) -> FriendFeatures:
    """Describe each friend by its position, ties, circles and profile.

    The columns are those of `FEATURES` for every network. Names of friends, numbers and ids of circles, and the values of
    profile fields matter only by being equal or not, so renaming any of them changes nothing; weights enter only the columns on
    tie strength. The choice of columns follows the features that published privacy wizards use [1]_, [2]_.

    Parameters
    ----------
    network : EgoNetwork
        The user's friends.
    circles : Circles
        Circles of the same friends, at any resolutions.

    Returns
    -------
    FriendFeatures
        Shape (n, d), without NaN or infinity for any network, also one without friends, ties or profiles.

    Raises
    ------
    DataError
        If the circles are of other friends.

    References
    ----------
    .. [1] L. Fang, K. LeFevre, "Privacy Wizards for Social Networking Sites", WWW 2010,
       https://doi.org/10.1145/1772690.1772727
    .. [2] S. Jones, E. O'Neill, "Feasibility of Structural Network Clustering for Group-Based Privacy Control in Social
       Networks", SOUPS 2010 (hubs and outliers are treated differently), https://doi.org/10.1145/1837110.1837122

    Examples
    --------
    >>> import networkx as nx
    >>> from privwiz.circles import find_circles
    >>> from privwiz.graphs import ego_network
    >>> network = ego_network(nx.karate_club_graph(), 0)
    >>> features = friend_features(network, find_circles(network))
    >>> features.values.shape == (network.n, len(FEATURES))
    True
    >>> friend = network.index("11")
    >>> features.values[friend, features.names.index("isolated")]
    np.float64(1.0)
    """
    if circles.friends != network.friends:
        raise DataError("these circles are of other friends; find the circles of this network, then its features")
    labels = {level: _nearest_level(circles, resolution) for level, resolution in LEVELS.items()}
    columns = _position(network) | _strength(network) | _profile(network, labels["medium"])
    for level, label in labels.items():
        columns |= {f"{level}_{name}": column for name, column in _circle(network, label).items()}
    values = np.column_stack([columns[name] for name in FEATURES])
    values.setflags(write=False)
    return FriendFeatures(tuple(FEATURES), values)


def _nearest_level(circles: Circles, resolution: float) -> Ints:
    """Return the communities, numbered from 0 without gaps, of the level whose resolution has the nearest logarithm."""
    distance = [abs(math.log(found / resolution)) for found in circles.resolutions]
    label: Ints = np.unique(circles.labels[distance.index(min(distance))], return_inverse=True)[1]
    return label


def _tails(network: EgoNetwork) -> Ints:
    """Return the friend in whose row each entry of ``network.indices`` stands."""
    return np.repeat(np.arange(network.n), network.degree)


def _rank(values: Floats | Ints) -> Floats:
    """Return the share of values that are smaller, equal ones counted half, so that the order of the friends does not count."""
    ordered = np.sort(values)
    smaller, not_larger = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return np.asarray((smaller + not_larger) / 2 / max(len(values), 1))


def _position(network: EgoNetwork) -> dict[str, Floats]:
    n, degree, graph = network.n, network.degree, network.igraph
    core = np.asarray(graph.coreness(), dtype=float)
    return {
        "log_degree": np.log1p(degree),
        "degree_share": degree / max(n, 1),
        "degree_rank": _rank(degree),
        "clustering": np.asarray(graph.transitivity_local_undirected(mode="zero"), dtype=float),
        "core": core / max(core.max(initial=0), 1),
        "log_pagerank": np.log(np.asarray(graph.pagerank(), dtype=float) * n),
        "isolated": (degree == 0).astype(float),
    }


def _strength(network: EgoNetwork) -> dict[str, Floats]:
    n = network.n
    strength = np.full(n, 0.5)
    if network.weights is not None and network.weights.size:
        weights = network.weights / network.weights.max()
        tied = network.degree > 0
        mean = np.bincount(_tails(network), weights, minlength=n)[tied] / network.degree[tied]
        strength[tied] = mean / (mean + weights.mean())
    return {
        "user_tie_rank": np.full(n, 0.5) if network.ego_weights is None else _rank(network.ego_weights),
        "user_tie_unknown": np.full(n, float(network.ego_weights is None)),
        "tie_strength": strength,
    }


def _circle(network: EgoNetwork, label: Ints) -> dict[str, Floats]:
    inside = np.bincount(_tails(network), np.repeat(label, network.degree) == label[network.indices], network.n)
    size = np.bincount(label)
    others = size - 1
    density = np.bincount(label, inside) / np.maximum(size * others, 1)
    return {
        "size_share": size[label] / max(network.n, 1),
        "log_size": np.log(size[label]),
        "density": density[label],
        "ties_inside": inside / np.maximum(network.degree, 1),
        "reach": inside / np.maximum(others[label], 1),
        "alone": (others[label] == 0).astype(float),
    }


def _profile(network: EgoNetwork, label: Ints) -> dict[str, Floats]:
    shape = (network.n, len(FIELDS))
    who, field, value, agrees = _values(network)
    has, same, has_mode = np.zeros(shape, bool), np.zeros(shape, bool), np.zeros(shape, bool)
    has[who, field] = True
    same[who[agrees], field[agrees]] = True

    size = np.bincount(label)
    circle = label[who]
    key = circle * (value.max(initial=0) + 1) + value
    _, holder, count = np.unique(key, return_inverse=True, return_counts=True)
    most = np.zeros((len(size), len(FIELDS)), int)
    np.maximum.at(most, (circle, field), count[holder])
    most[(most < 2) | (size < MIN_SIZE)[:, None]] = 0
    modal = count[holder] == most[circle, field]
    has_mode[who[modal], field[modal]] = True
    one, at = np.nonzero(same)
    agreement = np.bincount(label[one] * len(FIELDS) + at, minlength=most.size).reshape(most.shape)

    per_field = {
        "same": same,
        "has": has,
        "user_without": np.tile([not network.ego_profile.get(name) for name in FIELDS], (network.n, 1)),
        "circle_same": (agreement / size[:, None])[label],
        "circle_mode": (most / size[:, None])[label],
        "has_mode": has_mode,
    }
    return {
        **{
            f"{column}_{name}": values
            for column, table in per_field.items()
            for name, values in zip(FIELDS, table.T.astype(float), strict=True)
        },
        "shared_fields": same[:, [name not in _NEAR_CONSTANT for name in FIELDS]].sum(1, dtype=float),
        "completeness": has.mean(1),
    }


def _values(network: EgoNetwork) -> tuple[Ints, Ints, Ints, npt.NDArray[np.bool_]]:
    """List the profile values: whose, of which field, the number of the (field, value), and whether the user has it too."""
    names, who, value = network.attributes
    fields = {name: f for f, name in enumerate(FIELDS)}
    field = np.array([fields.get(name, -1) for name, _ in names], np.intp)[value]
    agrees = np.array([text in network.ego_profile.get(name, ()) for name, text in names], bool)[value]
    comparable = field >= 0
    return who[comparable], field[comparable], value[comparable], agrees[comparable]

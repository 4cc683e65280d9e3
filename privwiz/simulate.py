"""Simulated policies: what a user might decide about every friend and item, given the user's real circles.

No public data set says who may see what of whom, so learning curves, the shipped prior and the sample files rest on
this documented generator. A simulated user trusts circles (family more than colleagues), strong ties and people alike,
and makes exceptions and slips. The circles are an input here and are never shown to what is being evaluated.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

from privwiz.circle_types import TELLING_FIELDS, CircleType, circle_type
from privwiz.decisions import Decision
from privwiz.errors import DataError, UnknownFriend, UnknownItem
from privwiz.graphs import EgoNetwork
from privwiz.items import CATALOGUE, ProfileItem, profile_items
from privwiz.regimes import Regime, find_regime

__all__ = ["Cell", "SimulatedPolicy", "sample_answers", "simulate_policy"]

Cell: TypeAlias = tuple[str, str, Decision]
"""Item, friend and what the user decides: a row of a policy or answers table without its user."""

_Bools = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]
_Indices = npt.NDArray[np.intp]

_SENSITIVITY = np.array([item.sensitivity for item in CATALOGUE])
# How much the population trusts each type of circle, in the order of CircleType.
_TRUST = np.array([1.0, 0.7, 0.0, -0.5, 0.0, -0.3])
# What it gives to each type beyond that: one row per item of the catalogue.
_AFFINITY = np.array(
    [
        [0.3, 0.3, 0.0, -0.3, 0.0, 0.0],  # birthday
        [0.4, 0.2, 0.0, -0.5, 0.0, 0.0],  # birth_year
        [0.2, 0.2, 0.3, 0.6, 0.0, -0.2],  # email
        [0.8, 0.6, 0.0, -0.2, 0.0, -0.4],  # phone
        [1.2, 0.4, -0.2, -0.6, 0.2, -0.6],  # address
        [0.2, 0.2, 0.0, 0.2, 0.3, 0.0],  # city
        [0.4, 0.8, 0.2, -1.0, 0.0, -0.2],  # photos
        [0.2, 0.5, 0.0, -0.5, 0.0, -0.2],  # relationship
        [0.8, 0.3, -0.2, -1.0, 0.2, -0.3],  # religion
        [0.2, 0.2, 0.2, 1.5, 0.0, 0.0],  # work
        [-0.2, 0.5, 0.2, -0.7, 0.0, -0.2],  # wall
        [0.0, 1.0, 0.1, -1.0, 0.2, -0.4],  # checkins
    ]
)
# Who may see the first may see the second.
_NESTED = (("phone", "email"), ("birth_year", "birthday"), ("address", "city"))
_ROW = {item.id: row for row, item in enumerate(CATALOGUE)}

_SMALLEST_CIRCLE = 2


@dataclass(frozen=True, eq=False)
class SimulatedPolicy:
    """Every decision of one simulated user.

    Parameters
    ----------
    items : tuple of ProfileItem, length J
    friends : tuple of str, length n
        In the order of the network.
    allow : bool array of shape (J, n), read-only
        Whether the friend may see the item: the truth that a wizard is measured against.
    clean : bool array of shape (J, n), read-only
        The same before exceptions over people and slips: what the user's rules say.
    ego : str
        The user.
    """

    items: tuple[ProfileItem, ...]
    friends: tuple[str, ...]
    allow: _Bools
    clean: _Bools
    ego: str

    def cells(self) -> Iterator[Cell]:
        """Yield every decision, item by item."""
        for item, row in zip(self.items, self.allow.tolist(), strict=True):
            for friend, allowed in zip(self.friends, row, strict=True):
                yield item.id, friend, Decision.ALLOW if allowed else Decision.DENY


class _Circles(NamedTuple):
    """The circles that decide: positions of the friends in each, its type, and how well connected its members are."""

    members: tuple[_Indices, ...]
    kind: _Indices
    tie: _Floats


def simulate_policy(
    network: EgoNetwork,
    circles: Iterable[Iterable[str]],
    regime: str | Regime = "mixed",
    seed: int = 0,
    items: Iterable[str | ProfileItem] | None = None,
) -> SimulatedPolicy:
    """Draw what the user of ``network`` decides about every friend and item.

    The order of the random draws is fixed, so equal arguments give equal policies; the generator is seeded with
    ``[seed, hash of "S" + ego, regime.index]``. All twelve items are drawn whatever ``items`` says.

    Parameters
    ----------
    network : EgoNetwork
        The user's friends; n = 0 is legal.
    circles : iterable of iterables of str
        The user's real circles as names of friends; may overlap, may be none. Those with fewer than 2 members are
        dropped.
    regime : str or Regime, default "mixed"
        Name in `privwiz.regimes.REGIMES`, or parameters of your own.
    seed : int, default 0
        0 or more.
    items : iterable of str or ProfileItem, optional
        Which items of the catalogue to return, in this order; default all.

    Returns
    -------
    SimulatedPolicy

    Raises
    ------
    UnknownFriend
        A circle names somebody who is not a friend.
    UnknownItem
        An item is not in the catalogue.
    DataError
        The regime is unknown, the seed is negative, or items are none or named twice.

    Examples
    --------
    >>> from privwiz.graphs import build_ego_network
    >>> network = build_ego_network("ada", ["bo", "cy", "di"], [("bo", "cy")])
    >>> policy = simulate_policy(network, [("bo", "cy")], "circle", seed=1, items=["phone", "city"])
    >>> policy.allow.shape
    (2, 3)
    """
    chosen = find_regime(regime)
    rows = _rows(items)
    if seed < 0:
        raise DataError(f"seed is {seed}; it must be 0 or more")
    rng = np.random.default_rng([seed, _hash("S" + network.ego), chosen.index])
    rank = _tie_rank(network)
    found = _circles(network, circles if chosen.by_circle else (), rank, fill=chosen.fill)
    allow = _decide_by_circle(found, network.n, chosen, rng)
    _apply_rules(allow, network, rank, chosen, rng)
    for narrow, wide in _NESTED:
        allow[_ROW[wide]] |= allow[_ROW[narrow]]
    clean = allow.copy()
    _apply_exceptions(allow, rank, chosen, rng)
    chosen_items = tuple(CATALOGUE[row] for row in rows)
    return SimulatedPolicy(chosen_items, network.friends, _frozen(allow[rows]), _frozen(clean[rows]), network.ego)


def sample_answers(policy: SimulatedPolicy, per_item: int, seed: int = 0) -> tuple[Cell, ...]:
    """Draw the answers of a user who is asked about ``per_item`` random friends for each item.

    Friends are drawn anew for each item, without repeats; a user with fewer friends answers about all of them. The
    answers come in the order of the policy; the user is part of the seed.

    Raises
    ------
    DataError
        ``per_item`` or ``seed`` is negative.
    """
    if per_item < 0 or seed < 0:
        raise DataError(f"per_item is {per_item} and seed is {seed}; both must be 0 or more")
    rng = np.random.default_rng([seed, _hash(policy.ego)])
    n = len(policy.friends)
    asked = [set(rng.permutation(n)[:per_item].tolist()) for _ in policy.items]
    return tuple(cell for k, cell in enumerate(policy.cells()) if k % n in asked[k // n])


def _rows(items: Iterable[str | ProfileItem] | None) -> list[int]:
    chosen = profile_items(None if items is None else tuple(items))
    for item in chosen:
        if item.id not in _ROW:
            raise UnknownItem(item.id, tuple(_ROW))
    return [_ROW[item.id] for item in chosen]


def _frozen(array: _Bools) -> _Bools:
    array.setflags(write=False)
    return array


def _hash(text: str) -> int:
    """Return a number below 2^31 that is the same on every machine, unlike the builtin ``hash``."""
    value = 0
    for character in text:
        value = (131 * value + ord(character)) % 2**31
    return value


def _tie_rank(network: EgoNetwork) -> _Floats:
    """Return each friend's place by number of ties, 0 (fewest) to 1 (most), equals in the order of the network."""
    degree = np.diff(network.indptr)
    place = degree.argsort(kind="stable").argsort()
    return np.asarray(place / max(1, network.n - 1), dtype=np.float64)


def _circles(network: EgoNetwork, circles: Iterable[Iterable[str]], rank: _Floats, *, fill: bool) -> _Circles:
    ties = sparse.csr_array((np.ones(len(network.indices)), network.indices, network.indptr), shape=(network.n, network.n))
    position = {friend: k for k, friend in enumerate(network.friends)}
    member = _membership(circles, position)
    if fill:
        _fill(member, ties)
    member = member[:, member.sum(axis=0) >= _SMALLEST_CIRCLE]
    size = member.sum(axis=0)
    density = (member * np.asarray(ties @ member)).sum(axis=0) / (size * (size - 1))
    members = tuple(np.flatnonzero(column) for column in member.T)
    values = {field: network.values(field) for field in TELLING_FIELDS}
    return _Circles(
        members,
        np.array(
            [circle_type(circle.tolist(), values, dense) for circle, dense in zip(members, density.tolist(), strict=True)],
            dtype=np.intp,
        ),
        np.array([rank[circle].mean() - 0.5 for circle in members]),
    )


def _membership(circles: Iterable[Iterable[str]], position: Mapping[str, int]) -> _Floats:
    """Return ones where a friend (row) is in a circle (column)."""
    named = [list(circle) for circle in circles]
    member = np.zeros((len(position), len(named)))
    for k, circle in enumerate(named):
        for friend in circle:
            if friend not in position:
                raise UnknownFriend(friend)
            member[position[friend], k] = 1
    return member


def _fill(member: _Floats, ties: "sparse.csr_array[np.float64]") -> None:
    """Put, in place, each friend in no circle into the circle with most ties to it per square root of 1 + size."""
    pull = (ties @ member) / np.sqrt(1 + member.sum(axis=0))
    free = np.flatnonzero((member.sum(axis=1) == 0) & (pull > 0).any(axis=1))
    if len(free):
        member[free, pull[free].argmax(axis=1)] = 1


def _decide_by_circle(circles: _Circles, n: int, regime: Regime, rng: np.random.Generator) -> _Bools:
    """Return who is let in by a circle; friends in no circle get one coin per item."""
    items, count, kind = len(CATALOGUE), len(circles.members), circles.kind
    openness = rng.normal(0, 0.8)
    of_type = rng.normal(0, 1, len(CircleType)) * regime.type_spread
    of_circle = rng.normal(0, 1, count) * regime.circle_spread
    need = openness + 1.2 - 3.2 * _SENSITIVITY
    trust = (
        need[:, None]
        + regime.shared * (_TRUST[kind] + _AFFINITY[:, kind])
        + of_type[kind]
        + of_circle
        + 4 * regime.tie * circles.tie
        + rng.normal(0, 1, (items, 1)) * 0.5
        + rng.normal(0, 1, (items, count)) * regime.cell_spread
    )
    to_others = need - (0.8 if regime.shared else 0.0) + rng.normal(0, 0.6, items)
    allow = np.zeros((items, n), dtype=bool)
    covered = np.zeros(n, dtype=bool)
    for k, circle in enumerate(circles.members):
        allow[np.ix_(trust[:, k] > 0, circle)] = True
        covered[circle] = True
    allow[:, ~covered] = (to_others > 0)[:, None]
    return allow


def _apply_rules(allow: _Bools, network: EgoNetwork, rank: _Floats, regime: Regime, rng: np.random.Generator) -> None:
    """Apply, item by item and in place, the user's rules about ties, attributes and gender, and the plain yes or no."""
    alike = _alike(network)
    genders = _genders(network)
    strong, weak, kept_out = rng.uniform(0.5, 0.9), rng.uniform(0.05, 0.3), int(rng.integers(2))
    for row, sensitivity in enumerate(_SENSITIVITY.tolist()):
        if rng.random() < regime.tie_rule:
            allow[row] |= rank >= np.clip(strong + 0.1 * rng.normal(), 0.3, 0.95)
        if alike and rng.random() < regime.attribute_rule:
            allow[row] |= alike[rng.integers(len(alike))]
        if rng.random() < regime.stranger_rule:
            allow[row] &= ~(rank < weak)
        by_gender = len(genders) == 2 and sensitivity >= 0.4
        if by_gender and rng.random() < regime.gender_rule:
            allow[row] &= ~genders[kept_out]
        mood = rng.random()
        if mood < 0.30 * (1 - sensitivity) ** 2:
            allow[row] = True
        elif mood > 1 - 0.25 * sensitivity**2:
            allow[row] = False


def _alike(network: EgoNetwork) -> list[_Bools]:
    """Return who shares an attribute with the user, for each attribute shared by 3 friends up to 80 % of them."""
    shares = []
    for field in TELLING_FIELDS:
        own = set(network.ego_profile.get(field, ()))
        same = np.array([not own.isdisjoint(values) for values in network.values(field)], dtype=bool)
        if 3 <= same.sum() < 0.8 * network.n:
            shares.append(same)
    return shares


def _genders(network: EgoNetwork) -> list[_Bools]:
    values = network.values("gender")
    return [
        np.array([gender in of_friend for of_friend in values], dtype=bool)
        for gender in sorted({gender for of_friend in values for gender in of_friend})
    ]


def _apply_exceptions(allow: _Bools, rank: _Floats, regime: Regime, rng: np.random.Generator) -> None:
    """Let some friends see all, keep some from all that matters, and turn some cells round, in place."""
    denied = rng.random(len(rank)) < regime.denied_people * (1.5 - rank)
    allowed = rng.random(len(rank)) < regime.allowed_people * (0.5 + rank)
    allow[:, allowed] = True
    allow[np.ix_(_SENSITIVITY > 0.2, denied)] = False
    cells = rng.random(allow.shape)
    allow ^= cells < regime.slip * rng.uniform(0, 2)

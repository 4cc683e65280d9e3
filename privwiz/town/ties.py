"""Ties: who of a synthetic town knows whom, and how closely."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from privwiz.town.families import ELSEWHERE, Person
from privwiz.town.lives import Gathering

__all__ = ["tie_people"]

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]

# Kind of gathering: how often two members of average sociability tie (the rate of a Poisson process), how close they are.
_KINDS = {
    "family": (9.0, 6.0),
    "relatives": (1.6, 2.0),
    "class": (4.0, 1.0),
    "school": (1.8, 0.5),
    "university": (3.0, 0.7),
    "course": (3.0, 0.7),
    "work": (2.0, 0.4),
    "team": (2.5, 1.5),
    "neighbourhood": (0.02, 0.4),
    "club": (1.8, 0.8),
    "friends": (5.0, 4.0),
}
_INTRODUCTIONS = 0.03
_ACQUAINTANCES = 4
_OUTSIDE = 0.1
"""What distance leaves of an outsider's sociability."""
_MORE_HOSTS, _FRIENDS_OF_A_HOST = 1.5, 0.3
"""Of an outsider, on average: people known in the town after the first, and friends met through each of them."""
_CLOSENESS_SPREAD = 0.5
_LEAST, _MOST = 0.1, 10.0
_FAINT = 0.2
"""How close people are who were introduced by a common friend, or know each other by chance."""


class _Ties:
    """Pairs of positions and how close each makes the two; a pair may come up more than once."""

    def __init__(self, n: int, rng: np.random.Generator) -> None:
        self.n = n
        self._rng = rng
        self._keys: list[_Ints] = []
        self._closeness: list[_Floats] = []

    def add(self, one: _Ints, other: _Ints, closeness: float) -> None:
        low, high = np.minimum(one, other), np.maximum(one, other)
        apart = low != high
        self._keys.append(low[apart].astype(np.int64) * self.n + high[apart])
        self._closeness.append(closeness * self._rng.lognormal(0, _CLOSENESS_SPREAD, int(apart.sum())))

    def total(self) -> tuple[_Ints, _Ints, _Floats]:
        """Return each pair once, lower position first, with the sum of its closeness."""
        keys, where = np.unique(np.concatenate([np.empty(0, np.int64), *self._keys]), return_inverse=True)
        closeness = np.zeros(len(keys))
        np.add.at(closeness, where, np.concatenate([np.empty(0), *self._closeness]))
        return keys // self.n, keys % self.n, closeness


def tie_people(
    people: Sequence[Person], gatherings: Sequence[Gathering], rng: np.random.Generator
) -> tuple[_Ints, _Ints, _Floats]:
    """Draw the ties among ``people``, who are all online.

    Two members i, j of a gathering tie with probability 1 - exp(-rate s_i s_j): s is a person's sociability, the rate
    that of the kind. Then friends introduce their friends to each other (triadic closure), some people meet by chance,
    and each outsider knows somebody in the town, perhaps through them a friend or two.

    Returns
    -------
    one, other : int64 arrays of shape (m,)
        Positions in ``people``, each pair once, ``one < other``.
    closeness : float64 array of shape (m,)
        From 0.1 (know each other by sight) to 10 (live together), two decimals.
    """
    position = {person.key: k for k, person in enumerate(people)}
    outside = np.array([person.place == ELSEWHERE for person in people])
    sociability = np.array([person.sociability for person in people]) * np.where(outside, _OUTSIDE, 1)
    ties = _Ties(len(people), rng)
    for gathering in gatherings:
        members = np.array([position[key] for key in gathering.members])
        rate, closeness = _KINDS[gathering.kind]
        one, other = np.triu_indices(len(members), 1)
        met = rng.random(len(one)) < -np.expm1(-rate * sociability[members[one]] * sociability[members[other]])
        ties.add(members[one[met]], members[other[met]], closeness)
    popular = sociability / sociability.sum()
    chance = round(_ACQUAINTANCES * len(people))
    ties.add(rng.choice(len(people), chance, p=popular), rng.choice(len(people), chance, p=popular), _FAINT)
    _introduce_friends(ties, sociability, rng)
    _visit(ties, outside, sociability, rng)
    one, other, sum_of_closeness = ties.total()
    return one, other, np.clip(sum_of_closeness, _LEAST, _MOST).round(2)


def _introduce_friends(ties: _Ties, sociability: _Floats, rng: np.random.Generator) -> None:
    """Tie pairs of friends of one person, whom a random end of a random tie picks: the more ties, the more often."""
    one, other, _ = ties.total()
    n, introductions = ties.n, round(_INTRODUCTIONS * len(one))
    friends = _friends(one, other, n)
    host = rng.choice(np.r_[one, other], introductions)
    degree = np.diff(friends.indptr)[host]
    guests = (friends.indices[friends.indptr[host] + np.floor(rng.random(introductions) * degree).astype(int)] for _ in "12")
    guest, second = (np.asarray(found, dtype=np.int64) for found in guests)
    likes = rng.random(introductions) < np.minimum(1, sociability[guest] * sociability[second])
    ties.add(guest[likes], second[likes], _FAINT)


def _visit(ties: _Ties, outside: npt.NDArray[np.bool_], sociability: _Floats, rng: np.random.Generator) -> None:
    """Tie each outsider to some hosts, the more sociable the likelier, and now and then to friends of a host."""
    outsiders = np.flatnonzero(outside)
    outsiders = np.repeat(outsiders, 1 + rng.poisson(_MORE_HOSTS, len(outsiders)))
    welcome = np.where(outside, 0, sociability**2)
    hosts = rng.choice(ties.n, len(outsiders), p=welcome / welcome.sum())
    ties.add(outsiders, hosts, _FAINT)
    one, other, _ = ties.total()
    friends = _friends(one, other, ties.n)
    for outsider, host in zip(outsiders.tolist(), hosts.tolist(), strict=True):
        of_host = friends.indices[friends.indptr[host] : friends.indptr[host + 1]]
        met = rng.choice(np.r_[of_host[of_host > host], of_host[of_host < host]], rng.poisson(_FRIENDS_OF_A_HOST))
        ties.add(np.full(len(met), outsider), met, _FAINT)


def _friends(one: _Ints, other: _Ints, n: int) -> "sparse.csr_array[np.float64]":
    """Return the ties in compressed sparse row form: symmetric, each row sorted."""
    return sparse.csr_array((np.ones(2 * len(one)), (np.r_[one, other], np.r_[other, one])), shape=(n, n))

"""Synthetic communities and simulated decisions as files: the tables that every command reads, and folders as SNAP has them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from privwiz.community import Community, simulate_users
from privwiz.errors import DataError
from privwiz.files import FilePath, writing
from privwiz.graphs import FIELDS, EgoNetwork
from privwiz.regimes import Regime
from privwiz.simulate import Cell, SimulatedPolicy, sample_answers
from privwiz.tables import write_table

__all__ = ["write_community", "write_decisions", "write_snap_ego_network"]

_Table: TypeAlias = tuple[tuple[str, ...], Sequence[Sequence[object]]]
"""Names of the columns, and the columns."""

_SNAP_FIELDS = {
    "concentration": "education;concentration;id",
    "school": "education;school;id",
    "school_year": "education;year;id",
    "hometown": "hometown;id",
    "language": "languages;id",
    "location": "location;id",
    "employer": "work;employer;id",
    "position": "work;position;id",
}


def write_community(
    community: Community,
    directory: FilePath,
    *,
    users: Iterable[str] | None = None,
    regime: str | Regime = "mixed",
    seed: int = 0,
    answers_per_item: int = 10,
    ending: str = ".csv",
) -> tuple[Path, ...]:
    """Write a community, the simulated policies of its users, and some of their answers, as tables.

    The tables are ``edges`` (source, target, weight), ``profiles`` (user, field, value), ``groups`` (kind, name, user:
    why people know each other, which no wizard reads), ``policies`` and ``answers`` (both user, item, friend, decision).

    Parameters
    ----------
    community : Community
    directory : path
        Made if it is not there; tables of these names in it are replaced.
    users : iterable of str, optional
        Whose policies and answers are written; default everybody's.
    regime, seed
        As in `privwiz.simulate.simulate_policy`; the seed also draws whom users answer about.
    answers_per_item : int, default 10
        About how many friends each user answers, per item.
    ending : str, default ".csv"
        ``".csv"`` or ``".parquet"``.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    DataError
        A user or regime is unknown, a number negative, the ending another, or a file cannot be written.
    MissingExtra
        Parquet is asked for and pyarrow is not installed.
    """
    policies = [policy for _, policy in simulate_users(community, users, regime, seed)]
    tables = {
        "edges": _table(("source", "target", "weight"), list(community.graph.edges(data="weight"))),
        "profiles": _table(("user", "field", "value"), _profile_rows(community)),
        "groups": _table(("kind", "name", "user"), [(g.kind, g.name, user) for g in community.groups for user in g.members]),
    }
    return _write_tables(tables | _decisions(policies, answers_per_item, seed), directory, ending)


def write_decisions(
    policies: Sequence[SimulatedPolicy],
    directory: FilePath,
    *,
    answers_per_item: int = 10,
    seed: int = 0,
    ending: str = ".csv",
) -> tuple[Path, ...]:
    """Write simulated policies, and some of their answers, as the tables ``policies`` and ``answers`` of `write_community`.

    Parameters
    ----------
    policies : sequence of SimulatedPolicy
        In the order in which they are written.
    directory, answers_per_item, seed, ending
        As in `write_community`.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    DataError
        A number is negative, the ending another, or a file cannot be written.
    MissingExtra
        Parquet is asked for and pyarrow is not installed.
    """
    return _write_tables(_decisions(policies, answers_per_item, seed), directory, ending)


def write_snap_ego_network(
    network: EgoNetwork, circles: Iterable[Iterable[str]], directory: FilePath, name: str = "0"
) -> tuple[Path, ...]:
    """Write an ego network as SNAP publishes them: anonymous, only `privwiz.graphs.FIELDS`, no strength of ties.

    The user is called ``name``, friends are numbered from 1 up in their order, and values of attributes from 0 up.

    Parameters
    ----------
    network : EgoNetwork
    circles : iterable of iterables of str
        The user's real circles as names of friends.
    directory : path
        Made if it is not there.
    name : str, default "0"
        What the five files are called, before ``.edges``, ``.feat``, ``.featnames``, ``.egofeat`` and ``.circles``.

    Raises
    ------
    UnknownFriend
        A circle names somebody who is not a friend.
    DataError
        The name is the number of a friend, or a file cannot be written.
    """
    number = {friend: str(k) for k, friend in enumerate(network.friends, start=1)}
    if name in number.values():
        raise DataError(f"{name!r} is the number of a friend; call the user '0' or something else")
    profiles = (network.ego_profile, *network.profiles.values())
    features = sorted({(field, value) for profile in profiles for field in FIELDS for value in profile.get(field, ())})

    def flags(profile: Mapping[str, Sequence[str]]) -> str:
        return " ".join("1" if value in profile.get(field, ()) else "0" for field, value in features)

    lines = {
        "edges": [
            f"{number[friend]} {number[network.friends[other]]}"
            for k, friend in enumerate(network.friends)
            for other in network.neighbors(k).tolist()
            if k < other
        ],
        "feat": [f"{number[friend]} {flags(network.profiles[friend])}" for friend in network.friends],
        "featnames": [f"{k} {_SNAP_FIELDS.get(field, field)};anonymized feature {k}" for k, (field, _) in enumerate(features)],
        "egofeat": [flags(network.ego_profile)],
        "circles": [
            "\t".join([f"circle{k}", *(number[network.friends[network.index(member)]] for member in circle)])
            for k, circle in enumerate(circles)
        ],
    }
    folder = _make_folder(directory)
    paths = []
    for suffix, text in lines.items():
        paths.append(folder / f"{name}.{suffix}")
        with writing(paths[-1]) as file:
            file.write("".join(f"{line}\n" for line in text).encode())
    return tuple(paths)


def _decisions(policies: Sequence[SimulatedPolicy], answers_per_item: int, seed: int) -> dict[str, _Table]:
    return {
        "policies": _decision_table((policy.ego, policy.cells()) for policy in policies),
        "answers": _decision_table((policy.ego, sample_answers(policy, answers_per_item, seed)) for policy in policies),
    }


def _decision_table(decided: Iterable[tuple[str, Iterable[Cell]]]) -> _Table:
    columns: tuple[list[str], ...] = ([], [], [], [])
    for user, cells in decided:
        # Not strict: a user without friends has no cells, and so no columns.
        for column, values in zip(columns, zip(*((user, *cell) for cell in cells), strict=True), strict=False):
            column.extend(values)
    return ("user", "item", "friend", "decision"), columns


def _table(names: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> _Table:
    return names, list(zip(*rows, strict=True)) or [()] * len(names)


def _write_tables(tables: Mapping[str, _Table], directory: FilePath, ending: str) -> tuple[Path, ...]:
    folder = _make_folder(directory)
    paths = []
    for name, (columns, values) in tables.items():
        paths.append(folder / f"{name}{ending}")
        write_table(paths[-1], dict(zip(columns, values, strict=True)))
    return tuple(paths)


def _profile_rows(community: Community) -> list[tuple[str, str, str]]:
    return [
        (user, field, value)
        for user, profile in community.graph.nodes(data=True)
        for field, values in profile.items()
        for value in ((values,) if isinstance(values, str) else values)
    ]


def _make_folder(directory: FilePath) -> Path:
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"the folder cannot be made ({error.strerror}); name another", source=str(directory)) from None
    return folder

"""Synthetic communities and simulated decisions as files: the tables that every command reads, and folders as SNAP has them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from privwiz.community import Community, simulate_users
from privwiz.errors import DataError
from privwiz.files import FilePath, writing
from privwiz.graphs import FIELDS, EgoNetwork
from privwiz.regimes import Regime
from privwiz.simulate import SimulatedPolicy, sample_answers
from privwiz.tables import write_table, writing_rows

__all__ = ["write_community", "write_decisions", "write_snap_ego_network"]

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
    policies = (policy for _, policy in simulate_users(community, users, regime, seed))
    decided = write_decisions(policies, directory, answers_per_item=answers_per_item, seed=seed, ending=ending)
    tables = {
        "edges": (("source", "target", "weight"), list(community.graph.edges(data="weight"))),
        "profiles": (("user", "field", "value"), _profile_rows(community)),
        "groups": (("kind", "name", "user"), [(g.kind, g.name, user) for g in community.groups for user in g.members]),
    }
    paths = []
    for name, (columns, rows) in tables.items():
        paths.append(Path(directory) / f"{name}{ending}")
        values = list(zip(*rows, strict=True)) or [()] * len(columns)
        write_table(paths[-1], dict(zip(columns, values, strict=True)))
    return (*paths, *decided)


def write_decisions(
    policies: Iterable[SimulatedPolicy],
    directory: FilePath,
    *,
    answers_per_item: int = 10,
    seed: int = 0,
    ending: str = ".csv",
) -> tuple[Path, ...]:
    """Write simulated policies, and some of their answers, as the tables ``policies`` and ``answers`` of `write_community`.

    Parameters
    ----------
    policies : iterable of SimulatedPolicy
        In the order in which they are written, one after the other; the tables are there when all are.
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
    folder, names = _make_folder(directory), ("user", "item", "friend", "decision")
    paths = tuple(folder / f"{name}{ending}" for name in ("policies", "answers"))
    with writing_rows(paths[0], names) as decide, writing_rows(paths[1], names) as answer:
        for policy in policies:
            decide((policy.ego, *cell) for cell in policy.cells())
            answer((policy.ego, *cell) for cell in sample_answers(policy, answers_per_item, seed))
    return paths


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

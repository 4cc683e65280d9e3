"""SNAP ego-network folders: ``ID.edges``, ``ID.feat``, ``ID.egofeat``, ``ID.featnames``; ``ID.circles`` for scores only.

J. McAuley and J. Leskovec, "Learning to Discover Social Circles in Ego Networks", NIPS 2012;
https://snap.stanford.edu/data/ego-Facebook.html
"""

import os
from collections.abc import Iterator
from itertools import compress
from pathlib import Path

from privwiz.errors import DataError
from privwiz.files import FilePath, read_lines
from privwiz.graphs import EgoNetwork, build_ego_network

__all__ = ["read_snap_circles", "read_snap_ego_network", "snap_egos"]

_CANONICAL = {
    "education;concentration;id": "concentration",
    "education;school;id": "school",
    "education;year;id": "school_year",
    "hometown;id": "hometown",
    "languages;id": "language",
    "location;id": "location",
    "work;employer;id": "employer",
    "work;position;id": "position",
}


def read_snap_ego_network(directory: FilePath, ego: str) -> EgoNetwork:
    """Read one ego network of a SNAP folder; its hand-made circles are not read.

    Friends are all who have a row in ``.feat`` or stand in ``.edges``: by SNAP's definition the ego knows them all. Who has no
    row has no profile. The feature ``education;school;id;anonymized feature 538`` becomes the value ``538`` of ``school``; a
    field outside `privwiz.graphs.FIELDS` gets a plain name, such as ``work_start_date``.

    Raises
    ------
    DataError
        If a file is missing or damaged; with file and line.
    """
    base = _base(directory, ego)
    features = _features(f"{base}.featnames")
    profiles: dict[str, dict[str, tuple[str, ...]]] = {}
    for line, (name, *flags) in _rows(f"{base}.feat"):
        if name in profiles or name == ego:
            wrong = "is the user, whose features stand in .egofeat" if name == ego else "has a row already"
            raise DataError(f"{name!r} {wrong}; delete this row", source=f"{base}.feat", line=line)
        profiles[name] = _profile(flags, features, f"{base}.feat", line)
    own = list(_rows(f"{base}.egofeat"))
    if len(own) != (1 if features else 0):
        wrong = f"{len(own)} rows; it must hold one, the features of the user {ego!r}"
        raise DataError(wrong, source=f"{base}.egofeat")
    ties = []
    for line, tie in _rows(f"{base}.edges"):
        if len(tie) != 2:
            raise DataError(f"{len(tie)} ids; a tie names two, separated by a space", source=f"{base}.edges", line=line)
        ties.append((tie[0], tie[1]))
    friends = {*profiles, *(name for tie in ties for name in tie)} - {ego}
    ego_profile = _profile(own[0][1], features, f"{base}.egofeat", own[0][0]) if own else {}
    return build_ego_network(ego, friends, ties, profiles, ego_profile)


def read_snap_circles(directory: FilePath, ego: str) -> tuple[tuple[str, ...], ...]:
    """Read the circles that the ego made by hand, to compare others with: the members of each, sorted; empty ones are left out.

    Raises
    ------
    DataError
        If the file is missing or not text.
    """
    circles = (tuple(sorted(set(members))) for _, (_, *members) in _rows(f"{_base(directory, ego)}.circles"))
    return tuple(circle for circle in circles if circle)


def snap_egos(directory: FilePath) -> tuple[str, ...]:
    """Return the egos whose ``.edges`` are in a folder, sorted."""
    return tuple(sorted(path.stem for path in Path(directory).glob("*.edges")))


def _base(directory: FilePath, ego: str) -> str:
    if not ego or ego in {".", ".."} or Path(ego).name != ego:
        raise DataError(f"{ego!r} is not the name of an ego; give the part of the file names before '.edges'")
    return os.path.join(directory, ego)  # noqa: PTH118 - messages show the path as given


def _rows(path: str) -> Iterator[tuple[int, list[str]]]:
    return ((line, words) for line, text in enumerate(read_lines(path), 1) if (words := text.split()))


def _features(path: str) -> list[tuple[str, str]]:
    """Return field and value of each column; ``17 work;start_date;anonymized feature 5`` is column 17."""
    features: list[tuple[str, str]] = []
    for line, words in _rows(path):
        name, _, value = " ".join(words[1:]).rpartition(";")
        value = value.removeprefix("anonymized feature ")
        if words[0] != str(len(features)) or not name or not value:
            wrong = f"not '{len(features)} FIELD;VALUE'; number the features from 0, one a line"
            raise DataError(wrong, source=path, line=line)
        features.append((_CANONICAL.get(name) or name.removesuffix(";id").replace(";", "_"), value))
    return features


def _profile(flags: list[str], features: list[tuple[str, str]], path: str, line: int) -> dict[str, tuple[str, ...]]:
    if len(flags) != len(features):
        wrong = f"{len(flags)} features where .featnames has {len(features)}; write one 0 or 1 for each"
        raise DataError(wrong, source=path, line=line)
    if flags.count("0") + flags.count("1") != len(flags):
        strange = next(flag for flag in flags if flag not in {"0", "1"})
        raise DataError(f"feature {strange!r} is neither 0 nor 1", source=path, line=line)
    profile: dict[str, tuple[str, ...]] = {}
    for name, value in compress(features, map("1".__eq__, flags)):
        profile[name] = (*profile.get(name, ()), value)
    return profile

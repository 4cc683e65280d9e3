"""Circles as JSON documents of the format ``privwiz.circles/2``; ``privwiz.circles/1``, without corrections, is read too."""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from privwiz.circles import MIN_SIZE, Circle, Circles, check_resolutions
from privwiz.communities import Labels, canonical_labels, community_members
from privwiz.errors import DataError
from privwiz.strict_json import expect

__all__ = ["FORMAT", "read_circles", "write_circles"]

FORMAT = "privwiz.circles/2"
_BEFORE_CORRECTIONS = "privwiz.circles/1"

_ID = re.compile(r"c([1-9][0-9]{0,17})")


def write_circles(circles: Circles) -> dict[str, Any]:
    """Return circles as data for a JSON document. Members are not repeated: they follow from the labels."""
    return {
        "format": FORMAT,
        "resolutions": list(circles.resolutions),
        "friends": list(circles.friends),
        "labels": circles.labels.tolist(),
        "circles": [_write_circle(circle) for circle in circles.circles],
        "isolated": circles.isolated,
        "last_id": circles.last_id,
        "dismissed": [
            {**_write_circle(circle), "level": circle.level, "members": list(circle.members)} for circle in circles.dismissed
        ],
    }


def read_circles(document: Mapping[str, Any]) -> Circles:
    """Read what `write_circles` wrote.

    Raises
    ------
    DataError
        If the document is of another format, damaged, or contradicts itself.
    """
    found = expect(document, dict, "circles").get("format")
    if found not in (FORMAT, _BEFORE_CORRECTIONS):
        raise DataError(f"the format of the circles is {found!r:.60}; {FORMAT!r} is needed here, find the circles again")
    resolutions = check_resolutions(
        [expect(gamma, float, "a resolution") for gamma in expect(document.get("resolutions"), list, "'resolutions'")]
    )
    friends = tuple(expect(friend, str, "a friend") for friend in expect(document.get("friends"), list, "'friends'"))
    if any(before >= after for before, after in pairwise(friends)):
        raise DataError("the friends of the circles are not sorted or come twice; the file was damaged, find the circles again")
    labels = _read_labels(expect(document.get("labels"), list, "'labels'"), len(resolutions), len(friends))
    isolated, last_id = (expect(document.get(name), int, f"{name!r}") for name in ("isolated", "last_id"))
    if not 0 <= isolated <= len(friends):
        raise DataError(f"the number of isolated friends is {isolated}; it must lie in 0..{len(friends)}")
    groups = [(k, group) for k, level in enumerate(labels) for group in community_members(level)]
    rows = expect(document.get("circles"), list, "'circles'")
    if len(rows) != len(groups):
        raise DataError(
            f"there are {len(rows)} circles, but {len(groups)} by the labels; the file was damaged, find the circles again"
        )
    circles = tuple(
        _read_circle(expect(row, dict, "a circle"), k, tuple(friends[i] for i in group.tolist()), last_id, found)
        for row, (k, group) in zip(rows, groups, strict=True)
    )
    dismissed: tuple[Circle, ...] = ()
    if found == FORMAT:
        rows = expect(document.get("dismissed"), list, "'dismissed'")
        dismissed = tuple(_read_dismissed(expect(row, dict, "a circle"), len(resolutions), last_id) for row in rows)
    if len({circle.id for circle in (*circles, *dismissed)}) < len(circles) + len(dismissed):
        raise DataError("two circles have the same id; the file was damaged, find the circles again")
    return Circles(resolutions, friends, labels, circles, isolated, last_id, dismissed)


def _write_circle(circle: Circle) -> dict[str, Any]:
    return {
        "id": circle.id,
        "name": circle.name,
        "name_zh": circle.name_zh,
        "lists_people": circle.lists_people,
        "corrected": circle.corrected,
    }


def _read_dismissed(row: Mapping[str, Any], levels: int, last_id: int) -> Circle:
    level = expect(row.get("level"), int, "the level of a dismissed circle")
    if not 0 <= level < levels:
        raise DataError(f"the level of a dismissed circle is {level}; the levels are 0 to {levels - 1}")
    members = [expect(friend, str, "a friend") for friend in expect(row.get("members"), list, "'members' of a dismissed circle")]
    if len(members) < MIN_SIZE or any(before >= after for before, after in pairwise(members)):
        raise DataError("the members of a dismissed circle are too few, not sorted or come twice; the file was damaged")
    return _read_circle(row, level, tuple(members), last_id, FORMAT)


def _read_labels(levels: list[Any], k: int, n: int) -> Labels:
    if len(levels) != k:
        raise DataError(f"there are labels for {len(levels)} levels, but {k} resolutions; find the circles again")
    for level in levels:
        row = expect(level, list, "the labels of a level")
        if len(row) != n or not all(type(label) is int and 0 <= label < n for label in row):
            raise DataError(
                f"the labels of a level must be {n} numbers from 0 to {n - 1}, one per friend; find the circles again"
            )
    labels = np.array(levels, dtype=np.int32).reshape(k, n)
    if any((canonical_labels(level) != level).any() for level in labels):
        raise DataError("communities are not numbered from the largest down; the file was damaged, find the circles again")
    return labels


def _read_circle(row: Mapping[str, Any], level: int, members: tuple[str, ...], last_id: int, document_format: str) -> Circle:
    circle_id, name, name_zh = (expect(row.get(key), str, f"{key!r} of a circle") for key in ("id", "name", "name_zh"))
    number = _ID.fullmatch(circle_id)
    if number is None or int(number[1]) > last_id:
        raise DataError(f"{circle_id!r:.60} is not the id of a circle up to 'c{last_id}'; find the circles again")
    lists_people = expect(row.get("lists_people"), bool, f"'lists_people' of circle {circle_id!r}")
    corrected = document_format == FORMAT and expect(row.get("corrected"), bool, f"'corrected' of circle {circle_id!r}")
    return Circle(circle_id, level, members, name, name_zh, lists_people, corrected)

"""The policy in the languages of others: tables, OpenFGA tuples, Cedar policies. What is not granted here is denied there."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from privwiz.errors import DataError
from privwiz.files import STANDARD, FilePath, ending
from privwiz.policy import Policy
from privwiz.tables import write_table
from privwiz.words import check_language

__all__ = [
    "cedar_policies",
    "cedar_schema",
    "cedar_string",
    "chunks",
    "openfga_id",
    "openfga_model",
    "openfga_tuples",
    "policy_columns",
    "resource_id",
    "write_policy_table",
]

OPENFGA_USER_BYTES = 512
OPENFGA_OBJECT_BYTES = 256
OPENFGA_WRITE_TUPLES = 100


def policy_columns(policy: Policy, language: str = "en") -> dict[str, list[Any]]:
    """Return the cells as columns ``user, item, friend, decision, probability, reason``, in the order of iteration.

    Raises
    ------
    DataError
        If the language is not known.
    """
    check_language(language)
    cells = list(policy)
    return {
        "user": [policy.ego] * len(cells),
        "item": [cell.item for cell in cells],
        "friend": [cell.friend for cell in cells],
        "decision": [cell.decision.value for cell in cells],
        "probability": [cell.probability for cell in cells],
        "reason": [cell.reason.text(language) for cell in cells],
    }


def write_policy_table(policy: Policy, path: FilePath, kind: str, language: str = "en") -> None:
    """Write the `policy_columns` to a file of this kind, ``".csv"`` or ``".parquet"``; ``"-"`` is CSV on standard output.

    Raises
    ------
    DataError
        If the path has another ending, the language is not known, or the file cannot be written.
    MissingExtra
        If Parquet is to be written and pyarrow is not installed.
    """
    if ending(path) != kind and (kind, path) != (".csv", STANDARD):
        raise DataError(f"ends in {ending(path)!r}; give a path that ends in {kind!r}", source=str(path))
    write_table(path, policy_columns(policy, language))


def openfga_id(name: str) -> str:
    """Write any name so that OpenFGA takes it as an id: all but ``A-Z a-z 0-9 - . _ ~`` is percent-encoded as UTF-8.

    OpenFGA refuses white space, ``:``, ``#`` and ``@``, and reads ``*`` as "everyone". Different names give different ids,
    because ``%`` is encoded too; `urllib.parse.unquote` gives the name back.

    >>> openfga_id("ann@example.org"), openfga_id("*")
    ('ann%40example.org', '%2A')
    """
    return quote(name, safe="")


def resource_id(ego: str, item: str) -> str:
    """Return the id of one user's item in OpenFGA and Cedar: two encoded names, joined by the ``/`` that neither has.

    >>> resource_id("alice", "phone"), resource_id("a/b", "c")
    ('alice/phone', 'a%2Fb/c')
    """
    return f"{openfga_id(ego)}/{openfga_id(item)}"


def openfga_tuples(policy: Policy) -> list[dict[str, str]]:
    """Return one tuple ``user:FRIEND can_view item:USER/ITEM`` for each shown cell, and nothing else.

    Only grants, no wildcard and no exclusion: a lost tuple hides something, it never shows anything. They fit the model
    of `openfga_model`. Ids are written by `openfga_id`.

    Raises
    ------
    DataError
        If an id is longer than OpenFGA stores: 512 bytes for ``user:FRIEND``, 256 for ``item:USER/ITEM``.
    """
    tuples = []
    for item in policy.items:
        subject = _openfga_limit(f"item:{resource_id(policy.ego, item.id)}", OPENFGA_OBJECT_BYTES)
        for friend in policy.allowed(item.id):
            user = _openfga_limit(f"user:{openfga_id(friend)}", OPENFGA_USER_BYTES)
            tuples.append({"user": user, "relation": "can_view", "object": subject})
    return tuples


def openfga_model() -> dict[str, Any]:
    """Return the authorization model (schema 1.1) that `openfga_tuples` are written for: an item is viewed by users."""
    users = {"directly_related_user_types": [{"type": "user"}]}
    item = {"type": "item", "relations": {"can_view": {"this": {}}}, "metadata": {"relations": {"can_view": users}}}
    return {"schema_version": "1.1", "type_definitions": [{"type": "user"}, item]}


def chunks(tuples: Sequence[dict[str, str]], size: int = OPENFGA_WRITE_TUPLES) -> Iterator[list[dict[str, str]]]:
    """Cut tuples into lists of at most ``size``: an OpenFGA server takes 100 in one Write unless it is set otherwise.

    Raises
    ------
    DataError
        If ``size`` is not positive.
    """
    if size < 1:
        raise DataError(f"chunks of {size} tuples are not possible; give a size from 1 up")
    return (list(tuples[start : start + size]) for start in range(0, len(tuples), size))


def cedar_policies(policy: Policy) -> str:
    """Return one Cedar ``permit`` per item that somebody sees, which names each of them; the rest Cedar denies by default.

    Principals are ``User::"FRIEND"``, the action is ``Action::"view"``, resources are ``Item::"USER/ITEM"`` as `resource_id`
    writes them. They pass validation against `cedar_schema`. No ``forbid`` is written: nothing is permitted that needs one.
    """
    return "\n".join(
        _CEDAR_PERMIT.format(
            resource=cedar_string(resource_id(policy.ego, item.id)),
            friends=",\n    ".join(f"User::{cedar_string(friend)}" for friend in allowed),
        )
        for item in policy.items
        if (allowed := policy.allowed(item.id))
    )


def cedar_schema() -> str:
    """Return the Cedar schema that `cedar_policies` are written for."""
    return 'entity User;\nentity Item;\naction "view" appliesTo { principal: [User], resource: [Item] };\n'


def cedar_string(text: str) -> str:
    r"""Write a Cedar string literal: quote, backslash and whatever does not print become escapes.

    >>> print(cedar_string('Bo "B"\n'))
    "Bo \u{22}B\u{22}\u{a}"
    """
    plain = (char if char.isprintable() and char not in '"\\' else f"\\u{{{ord(char):x}}}" for char in text)
    return f'"{"".join(plain)}"'


_CEDAR_PERMIT = """\
@id({resource})
permit (principal, action == Action::"view", resource == Item::{resource})
when {{
  [
    {friends}
  ].contains(principal)
}};
"""


def _openfga_limit(name: str, limit: int) -> str:
    if len(name) > limit:
        raise DataError(f"{name[:60]!r}... has {len(name)} bytes; OpenFGA takes {limit}: give this user or item a shorter id")
    return name

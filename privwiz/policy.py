"""The policy: what each friend may see of each profile item, and why."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from privwiz.audiences import Group, audiences_document
from privwiz.decisions import DECIDED, STATED, Change, Decision, PolicyDiff, decide, decide_numbers, threshold
from privwiz.errors import DataError, UnknownFriend, UnknownItem
from privwiz.files import FilePath
from privwiz.items import ProfileItem, profile_items
from privwiz.reasons import Reason, Reasons, ReasonTable, reason_table

__all__ = ["STATED", "Change", "Decision", "Policy", "PolicyDiff", "Suggestion", "threshold"]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One cell of the policy.

    Parameters
    ----------
    item, friend : str
    decision : `Decision`
    probability : float
        That the user would allow it, as estimated from the answers.
    reason : `Reason`
    """

    item: str
    friend: str
    decision: Decision
    probability: float
    reason: Reason


@dataclass(frozen=True, eq=False)
class Policy:
    """The access-control matrix of one user: items x friends -> `Decision`.

    Parameters
    ----------
    ego : str
        The user.
    items : tuple of `ProfileItem`, length J
    friends : tuple of str, length n
    probability : float64 array of shape (J, n)
        That the user would allow the cell; a read-only copy is kept.
    stated : int8 array of shape (J, n)
        What the user said about the very cell, numbers of `STATED`: 0 nothing, 1 allow, -1 deny, 2 not sure.
    reasons : `Reasons`
        Asked for the cells about which the user said nothing; the others explain themselves. Its reasons call friends by
        ``names``.
    names : tuple of str, length n
        What people call the friends; their ids if it is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from privwiz.items import profile_items
    >>> phone = profile_items(["phone"])
    >>> policy = Policy(
    ...     "alice",
    ...     phone,
    ...     ("bob", "carol"),
    ...     np.array([[0.9, 0.6]]),
    ...     np.zeros((1, 2), dtype=np.int8),
    ...     lambda item, friend: Reason("prior", phone[item], ("bob", "carol")[friend]),
    ... )
    >>> [cell.decision.value for cell in policy]
    ['allow', 'ask']
    >>> policy.view_as("carol")
    {'phone': False}

    Raises
    ------
    DataError
        If shapes do not match, a probability is not a number in 0..1, an entry of ``stated`` is not one of `STATED`, or a name is
        empty, comes twice or cannot be written as UTF-8.
    """

    ego: str
    items: tuple[ProfileItem, ...]
    friends: tuple[str, ...]
    probability: npt.NDArray[np.float64]
    stated: npt.NDArray[np.int8]
    reasons: Reasons
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        items, friends = profile_items(tuple(self.items)), tuple(self.friends)
        for name in (self.ego, *friends, *(item.id for item in items)):
            _check_name(name)
        if len(set(friends)) != len(friends):
            twice = next(friend for friend in friends if friends.count(friend) > 1)
            raise DataError(f"friend {twice!r} comes twice in the policy of {self.ego!r}; list each friend once")
        names = tuple(self.names) or friends
        if len(names) != len(friends):
            raise DataError(f"{len(names)} names for {len(friends)} friends; give each friend a name, or none at all")
        probability, stated = np.array(self.probability, dtype=np.float64), np.array(self.stated)
        shape = (len(items), len(friends))
        for name, array in (("probability", probability), ("stated", stated)):
            if array.shape != shape:
                raise DataError(f"{name} has shape {array.shape}; {shape[0]} items and {shape[1]} friends need {shape}")
        bad = np.argwhere(~((probability >= 0) & (probability <= 1)))
        if len(bad):
            j, f = bad[0]
            where = f"the probability of item {items[j].id!r} for friend {friends[f]!r}"
            raise DataError(f"{where} is {probability[j, f]}; it must lie in 0..1")
        bad = np.argwhere(~np.isin(stated, list(STATED.values())))
        if len(bad):
            j, f = bad[0]
            numbers = ", ".join(f"{number} ({word})" for word, number in STATED.items())
            where = f"stated of item {items[j].id!r} for friend {friends[f]!r}"
            raise DataError(f"{where} is {stated[j, f]}; it must be one of {numbers}")
        stated = stated.astype(np.int8)
        probability.setflags(write=False)
        stated.setflags(write=False)
        kept = {"items": items, "friends": friends, "probability": probability, "stated": stated, "names": names}
        for name, value in kept.items():
            object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[type["Policy"], tuple[object, ...]]:
        """Pickle with the reasons found: what finds them may hold a whole posterior."""
        return Policy, (self.ego, self.items, self.friends, self.probability, self.stated, self.reason_table, self.names)

    @cached_property
    def numbers(self) -> npt.NDArray[np.int8]:
        """The decision of every cell as its position in `privwiz.decisions.DECIDED`: shape (J, n), read-only."""
        numbers = decide_numbers(self.items, self.probability, self.stated)
        numbers.setflags(write=False)
        return numbers

    @cached_property
    def decisions(self) -> npt.NDArray[np.object_]:
        """`Decision` of every cell: object array of shape (J, n), read-only."""
        decisions = decide(self.items, self.probability, self.stated)
        decisions.setflags(write=False)
        return decisions

    @cached_property
    def shown(self) -> npt.NDArray[np.bool_]:
        """What is enforced: bool array of shape (J, n), True exactly where the decision is `Decision.ALLOW`; read-only."""
        shown = np.asarray(self.numbers == DECIDED.index(Decision.ALLOW))
        shown.setflags(write=False)
        return shown

    @cached_property
    def reason_table(self) -> ReasonTable:
        """The reasons of all cells, found."""
        return reason_table(self._reason, len(self.items), self.names)

    def __getitem__(self, cell: tuple[str, str]) -> Suggestion:
        """Return the suggestion for (item, friend).

        Raises
        ------
        UnknownItem, UnknownFriend
        DataError
            If it is asked for anything but one cell.
        """
        if not isinstance(cell, tuple) or len(cell) != 2:
            raise DataError(f"{cell!r} is no cell of the policy; ask for policy[item, friend], or use view_as(friend)")
        item, friend = cell
        return self._suggestion(self._row(item), self._column(friend))

    def __iter__(self) -> Iterator[Suggestion]:
        """Go through all suggestions, item by item."""
        return (self._suggestion(j, f) for j in range(len(self.items)) for f in range(len(self.friends)))

    def __len__(self) -> int:
        """Return the number of cells, J n."""
        return self.decisions.size

    def decision(self, item: str, friend: str) -> Decision:
        """Return the decision of one cell; raises `UnknownItem` or `UnknownFriend`."""
        decision: Decision = self.decisions[self._row(item), self._column(friend)]
        return decision

    def probabilities(self, item: str) -> npt.NDArray[np.float64]:
        """Return the probability of "allow" for every friend, shape (n,), in the order of `friends`; raises `UnknownItem`."""
        row: npt.NDArray[np.float64] = self.probability[self._row(item)]
        return row

    def allowed(self, item: str) -> tuple[str, ...]:
        """Return the friends who see the item; raises `UnknownItem`."""
        return tuple(friend for friend, shown in zip(self.friends, self.shown[self._row(item)], strict=True) if shown)

    def counts(self, item: str) -> dict[str, int]:
        """Return how many friends have each decision, such as ``{"allow": 3, "deny": 5, "ask": 1}``; raises `UnknownItem`."""
        row = self.decisions[self._row(item)].tolist()
        return {decision.value: row.count(decision) for decision in Decision}

    def view_as(self, friend: str) -> dict[str, bool]:
        """Return item -> whether this friend sees it; raises `UnknownFriend`."""
        column = self.shown[:, self._column(friend)]
        return {item.id: bool(shown) for item, shown in zip(self.items, column, strict=True)}

    def table(self) -> dict[tuple[str, str], Decision]:
        """Return (item, friend) -> decision: what a service stores and `PolicyDiff.apply` takes."""
        cells = ((item.id, friend) for item in self.items for friend in self.friends)
        return dict(zip(cells, self.decisions.ravel().tolist(), strict=True))

    def diff(self, other: "Policy") -> PolicyDiff:
        """Return what changes from this policy to ``other``, of the same user, with any items and friends.

        Raises
        ------
        DataError
            If the policies are of two users.
        """
        if self.ego != other.ego:
            raise DataError(f"one policy is of {self.ego!r}, the other of {other.ego!r}; compare policies of one user")
        return PolicyDiff.between(self.ego, self.table(), other.table())

    def to_json(self, indent: int | None = None) -> str:
        """Write the whole policy, reasons included, as JSON of the format ``privwiz.policy/1`` (``docs/formats.md``)."""
        from privwiz.policy_json import write_policy

        return write_policy(self, indent)

    @staticmethod
    def from_json(text: str) -> "Policy":
        """Read what `to_json` wrote, and take every decision again.

        Raises
        ------
        DataError
            If the text is damaged, of another format, or contradicts itself, such as a stored ``allow`` that does not follow
            from its own probability, cost ratio and what the user said.
        """
        from privwiz.policy_json import read_policy

        return read_policy(text)

    def to_csv(self, path: FilePath, language: str = "en") -> None:
        """Write ``user,item,friend,decision,probability,reason`` to a file that ends in ``.csv``, or to standard output (``-``).

        Raises
        ------
        DataError
            If the ending is another, the language is not known, or the file cannot be written.
        """
        from privwiz.export import write_policy_table

        write_policy_table(self, path, ".csv", language)

    def to_parquet(self, path: FilePath, language: str = "en") -> None:
        """Write the columns of `to_csv` to a file that ends in ``.parquet``; raises `MissingExtra` without pyarrow."""
        from privwiz.export import write_policy_table

        write_policy_table(self, path, ".parquet", language)

    def to_audiences(self, circles: Iterable[Group] = ()) -> dict[str, Any]:
        """Return who may see each item as circles, people and exceptions: a document that JSON can hold.

        Raises the errors of `privwiz.audiences.audience`.
        """
        asked = np.asarray(self.decisions == Decision.ASK, dtype=bool)
        return audiences_document(self.ego, self._rows, self.friends, self.shown, asked, circles)

    def to_openfga(self) -> list[dict[str, str]]:
        """Return one OpenFGA tuple for each shown cell; see `privwiz.export.openfga_tuples`."""
        from privwiz.export import openfga_tuples

        return openfga_tuples(self)

    def to_cedar(self) -> str:
        """Return Cedar policies that permit exactly the shown cells; see `privwiz.export.cedar_policies`."""
        from privwiz.export import cedar_policies

        return cedar_policies(self)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {item.id: j for j, item in enumerate(self.items)}

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {friend: f for f, friend in enumerate(self.friends)}

    def _row(self, item: str) -> int:
        if item not in self._rows:
            raise UnknownItem(item, tuple(self._rows))
        return self._rows[item]

    def _column(self, friend: str) -> int:
        if friend not in self._columns:
            raise UnknownFriend(friend)
        return self._columns[friend]

    def _reason(self, j: int, f: int) -> Reason:
        stated = self.stated[j, f]
        if stated == STATED["nothing"]:
            return self.reasons(j, f)
        if stated == STATED["not sure"]:
            return Reason("unsure", self.items[j], self.names[f])
        return Reason("own", self.items[j], self.names[f], "allow" if stated == STATED["allow"] else "deny")

    def _suggestion(self, j: int, f: int) -> Suggestion:
        probability = float(self.probability[j, f])
        return Suggestion(self.items[j].id, self.friends[f], self.decisions[j, f], probability, self._reason(j, f))


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise DataError(f"{name!r} is not a name; users, friends and items need non-empty texts")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DataError(f"the name {name!r} holds half a character and cannot be written to a file; correct it") from None

"""Why a cell of the policy is as it is, in words that people read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError
from privwiz.items import ProfileItem
from privwiz.words import AUDIENCES, check_language, join_names

__all__ = ["ANSWERS", "Reason", "ReasonTable", "Reasons", "reason_table"]

ANSWERS: Mapping[str, tuple[str, ...]] = {
    "own": ("allow", "deny"),
    "unsure": ("",),
    "circle": ("none", "some", "most", "all", "allow", "deny"),
    "friends": ("allow", "deny"),
    "audience": tuple(AUDIENCES),
    "prior": ("",),
}
"""Each kind of reason, and the answers of the user that it can rest on."""

_CIRCLE = {
    "none": ("you said nobody there may see your {item}", "您说过其中没有人可以看到您的{item}"),
    "some": ("you said some there may see your {item}", "您说过其中一部分人可以看到您的{item}"),
    "most": ("you said most there may see your {item}", "您说过其中大多数人可以看到您的{item}"),
    "all": ("you said all there may see your {item}", "您说过其中所有人都可以看到您的{item}"),
    "allow": ("you allowed it to see your {item}", "您允许这个圈子看到您的{item}"),
    "deny": ("you did not allow it to see your {item}", "您不允许这个圈子看到您的{item}"),
}
_FRIENDS = {
    "allow": ("You let {friends}, close to {friend}, see your {item}.", "您允许与{friend}关系近的{friends}看到您的{item}。"),
    "deny": ("You hid your {item} from {friends}, close to {friend}.", "您不让与{friend}关系近的{friends}看到您的{item}。"),
}
_AUDIENCE = {
    "nobody": ("You said nobody may see your {item}.", "您说过没有人可以看到您的{item}。"),
    "few": ("You said few of your friends may see your {item}.", "您说过只有少数好友可以看到您的{item}。"),
    "half": ("You said about half of your friends may see your {item}.", "您说过大约一半好友可以看到您的{item}。"),
    "most": ("You said most of your friends may see your {item}.", "您说过大多数好友可以看到您的{item}。"),
    "everybody": ("You said everybody may see your {item}.", "您说过所有人都可以看到您的{item}。"),
}
_OWN = ("You set this yourself.", "这是您自己设定的。")
_UNSURE = ("You were not sure, so it stays hidden until you decide.", "您还不确定，所以在您决定之前不会显示。")
_PRIOR = (
    "A guess from what is usual for your {item}; no single answer of yours says more about it yet.",
    "这是根据一般情况对您的{item}所作的推测；您的回答中还没有哪一条更能说明问题。",
)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one cell is as it is.

    Parameters
    ----------
    kind : str
        ``"own"`` (the user said so), ``"unsure"`` (the user said "not sure"), ``"circle"`` (an answer about a circle
        the friend is in), ``"friends"`` (answers about the friends closest to this one), ``"audience"`` (how many may
        see the item), ``"prior"`` (no single answer says more about it than what is usual).
    item : `ProfileItem`
        What the answer was about: the cell's item, or another one that the cell was learned from.
    friend : str
        What people call the cell's friend.
    answer : str
        What the user said, one of ``ANSWERS[kind]``.
    circle : (str, str) or None
        The circle's name in English and Chinese; for the kind ``"circle"`` only.
    friends : tuple of str
        What people call the closest friends, nearest first; for the kind ``"friends"`` only.

    Examples
    --------
    >>> from privwiz.items import profile_item
    >>> print(Reason("circle", profile_item("phone"), "Bo", "most", circle=("Work", "同事")))
    Bo is in “Work”; you said most there may see your phone number.

    Raises
    ------
    DataError
        If kind, answer, circle and friends do not go together.
    """

    kind: str
    item: ProfileItem
    friend: str
    answer: str = ""
    circle: tuple[str, str] | None = None
    friends: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.answer not in ANSWERS.get(self.kind, ()):
            raise DataError(f"a reason of kind {self.kind!r} cannot rest on the answer {self.answer!r}; see ANSWERS")
        if (self.circle is not None) != (self.kind == "circle") or bool(self.friends) != (self.kind == "friends"):
            parts = f"circle {self.circle!r}, friends {self.friends!r}"
            raise DataError(f"a reason of kind {self.kind!r} has the wrong parts: {parts}")

    def text(self, language: str = "en") -> str:
        """Return one sentence in ``language`` (``"en"`` or ``"zh"``).

        Raises
        ------
        DataError
            If the language is not known.
        """
        chinese = check_language(language) == "zh"
        item = self.item.text(language)
        match self.kind:
            case "own":
                return _OWN[chinese]
            case "unsure":
                return _UNSURE[chinese]
            case "friends":
                names = join_names(self.friends, language)
                return _FRIENDS[self.answer][chinese].format(friends=names, friend=self.friend, item=item)
            case "audience":
                return _AUDIENCE[self.answer][chinese].format(item=item)
            case "prior":
                return _PRIOR[chinese].format(item=item)
        said = _CIRCLE[self.answer][chinese].format(item=item)
        circle = (self.circle or ("", ""))[chinese]
        circled = f"“{circle}”{'' if circle.endswith('圈子') else '圈子'}里"
        return f"{self.friend}在{circled}；{said}。" if chinese else f"{self.friend} is in “{circle}”; {said}."

    def __str__(self) -> str:
        """Return the English sentence."""
        return self.text()


class Reasons(Protocol):
    """Finds the reason of a cell when it is asked for: position of the item, position of the friend -> `Reason`.

    A callable, so that a wizard need not find thousands of reasons that nobody reads.
    """

    def __call__(self, item: int, friend: int, /) -> Reason:
        """Return why this cell is as it is."""
        ...


@dataclass(frozen=True, eq=False)
class ReasonTable:
    """Reasons that were found once and for all: the `Reasons` of a policy that was stored.

    Parameters
    ----------
    names : tuple of str, length n
        What people call the friends.
    distinct : tuple of `Reason`
        Each different reason once, with no friend (``friend=""``): cells that differ in nothing else share one.
    index : int32 array of shape (J, n)
        Which of them each cell has.
    """

    names: tuple[str, ...]
    distinct: tuple[Reason, ...]
    index: npt.NDArray[np.int32]

    def __call__(self, item: int, friend: int, /) -> Reason:
        """Return why this cell is as it is."""
        reason: Reason = replace(self.distinct[self.index[item, friend]], friend=self.names[friend])
        return reason


def reason_table(reasons: Reasons, n_items: int, names: tuple[str, ...]) -> ReasonTable:
    """Ask ``reasons`` for every cell, once, and keep what differs; ``names`` is what people call the friends.

    Raises
    ------
    DataError
        If a reason is about another friend than its cell.
    """
    index = np.zeros((n_items, len(names)), dtype=np.int32)
    seen: dict[tuple[str, str, str, tuple[str, str] | None, tuple[str, ...]], int] = {}
    distinct: list[Reason] = []
    for item in range(n_items):
        for friend, name in enumerate(names):
            reason = reasons(item, friend)
            if reason.friend != name:
                raise DataError(f"the reason of a cell of friend {name!r} is about {reason.friend!r}; give each cell its own")
            key = (reason.kind, reason.item.id, reason.answer, reason.circle, reason.friends)
            if key not in seen:
                seen[key] = len(distinct)
                distinct.append(replace(reason, friend=""))
            index[item, friend] = seen[key]
    index.setflags(write=False)
    return ReasonTable(names, tuple(distinct), index)

"""Profile items: what there is to protect, how sensitive it is, and what to call it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher

from privwiz.errors import DataError, UnknownItem

__all__ = ["CATALOGUE", "DEFAULT_COST_RATIO", "ProfileItem", "is_among", "near_item", "profile_item", "profile_items"]

DEFAULT_COST_RATIO = 5.0


@dataclass(frozen=True, slots=True)
class ProfileItem:
    """One thing to protect.

    Parameters
    ----------
    id : str
        The key used in answers, policies and files.
    sensitivity : float
        From 0 (harmless) to 1 (very private); orders the items where people see them.
    en, zh : str
        What people read.
    cost_ratio : float
        How many times worse a wrong ``allow`` is than a wrong ``deny``.
    """

    id: str
    sensitivity: float
    en: str
    zh: str
    cost_ratio: float = DEFAULT_COST_RATIO

    def __post_init__(self) -> None:
        if not self.id:
            raise DataError("a profile item needs a non-empty id")
        if not 0 <= self.sensitivity <= 1:
            raise DataError(f"sensitivity of item {self.id!r} is {self.sensitivity}; it must lie in 0..1")
        if not 1 <= self.cost_ratio < float("inf"):
            raise DataError(f"cost ratio of item {self.id!r} is {self.cost_ratio}; it must be a finite number from 1 up")

    def text(self, language: str = "en") -> str:
        """Return the item's name in ``language`` (``"en"`` or ``"zh"``)."""
        return self.zh if language == "zh" else self.en


CATALOGUE: tuple[ProfileItem, ...] = (
    ProfileItem("birthday", 0.30, "birthday", "生日"),
    ProfileItem("birth_year", 0.50, "year of birth", "出生年份"),
    ProfileItem("email", 0.45, "e-mail address", "电子邮箱"),
    ProfileItem("phone", 0.75, "phone number", "电话号码"),
    ProfileItem("address", 0.85, "home address", "家庭住址"),
    ProfileItem("city", 0.25, "city", "所在城市"),
    ProfileItem("photos", 0.50, "photos", "照片"),
    ProfileItem("relationship", 0.45, "relationship status", "感情状况"),
    ProfileItem("religion", 0.60, "religion", "宗教信仰"),
    ProfileItem("work", 0.30, "job", "工作信息"),
    ProfileItem("wall", 0.40, "posts", "动态"),
    ProfileItem("checkins", 0.70, "check-ins", "签到位置"),
)

_BY_ID = {item.id: item for item in CATALOGUE}


def profile_item(item: "str | ProfileItem") -> ProfileItem:
    """Return the catalogue's item of this id, or a plain item for an id that the catalogue does not know.

    >>> profile_item("phone").text("zh")
    '电话号码'
    >>> profile_item("shoe_size").sensitivity
    0.5
    """
    if isinstance(item, ProfileItem):
        return item
    if not isinstance(item, str):
        raise DataError(f"{item!r} is not the id of a profile item; give a string such as 'phone'")
    known = _BY_ID.get(item)
    return known if known is not None else ProfileItem(item, 0.5, item.replace("_", " "), item)


def profile_items(items: "list[str | ProfileItem] | tuple[str | ProfileItem, ...] | None" = None) -> tuple[ProfileItem, ...]:
    """Resolve ids and items, in the order given; ``None`` is the whole catalogue.

    Raises
    ------
    DataError
        If there is none, or one is named twice.
    """
    resolved = CATALOGUE if items is None else tuple(profile_item(item) for item in items)
    if not resolved:
        raise DataError("no profile items; name at least one, such as 'phone'")
    ids = [item.id for item in resolved]
    twice = sorted({item for item in ids if ids.count(item) > 1})
    if twice:
        raise DataError(f"profile items named twice: {', '.join(twice)}")
    return resolved


def is_among(item: str, items: Collection[str]) -> bool:
    """Whether an answer about an item is about one of ``items``; False for another of the catalogue: it says nothing of these.

    >>> is_among("shoe_size", ["phone", "shoe_size"]), is_among("city", ["phone", "shoe_size"])
    (True, False)

    Raises
    ------
    UnknownItem
        If it may be one of ``items`` under another name, for what the answer hides must not be lost: for an id that nobody knows,
        and for one of the catalogue that is near an id that is not of it.
    """
    if item not in items and (item not in _BY_ID or near_item(item, [one for one in items if one not in _BY_ID])):
        raise UnknownItem(item, tuple(items))
    return item in items


def near_item(item: str, others: Iterable[str]) -> str | None:
    """Return the one of other ids that an id is most like, if they may be meant to be the same, whatever their case.

    >>> near_item("phnoe", ["photos", "phone"]), near_item("phone", ["Phone_number"]), near_item("city", ["shoe_size"])
    ('phone', 'Phone_number', None)
    """
    likeness = {other: _likeness(item.lower(), other.lower()) for other in others}
    near = max(likeness, key=likeness.__getitem__, default=None)
    return near if near is not None and likeness[near] >= _NEAR else None


def _likeness(one: str, other: str) -> float:
    return 1.0 if one in other or other in one else SequenceMatcher(None, one, other).ratio()


_NEAR = 0.75
"""How alike two ids are, at most 1, that may be one misspelt: `phnoe` and `phone` are 0.8, `address` and `access` 0.77."""

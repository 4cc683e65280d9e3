"""Screens: what the wizard asks at once, in words, and which screens there are to choose from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import numpy.typing as npt

from privwiz.answers import AUDIENCE_SHARES, CELL_CHOICES, UNSURE
from privwiz.circles import Circle
from privwiz.errors import DataError
from privwiz.items import ProfileItem
from privwiz.words import check_language, join_names, nearest_audience

__all__ = [
    "KINDS",
    "MAX_TOGGLES",
    "NEARLY_ALL",
    "Proposal",
    "Screen",
    "Toggle",
    "circle_phrase",
    "disjoint_circles",
    "fresh_cells",
    "propose",
]

KINDS = ("audience", "circle", "circles", "item", "friend", "cell")
MAX_TOGGLES = 12
NEARLY_ALL = 0.8
"""A group of more than this share of all friends is asked about as the audience, not as a circle."""

_AUDIENCE_ANSWERS = AUDIENCE_SHARES | {"allow": AUDIENCE_SHARES["most"], "deny": AUDIENCE_SHARES["nobody"]}
_FRIEND_CANDIDATES = 24
_CELL_CANDIDATES = 16

_ASK = {
    "audience": ("How many of your friends may see your {item}?", "您的{item}可以给多少好友看？"),
    "circle": ("How many of {who} may see your {item}?", "{who}中，多少人可以看您的{item}？"),
    "friend": ("May {who} see your {item}?", "{who}可以看您的{item}吗？"),
}
_TITLE = {
    "audience": ("How many of your friends may see each of these?", "下面每一项，可以给多少好友看？"),
    "circle": ("What may {about} see?", "{about}可以看什么？"),
    "circles": ("What may each of these groups see?", "下面这些好友分组，可以看什么？"),
    "item": ("Who may see your {about}?", "谁可以看您的{about}？"),
    "friend": ("What may {about} see?", "{about}可以看什么？"),
    "cell": ("One question about {about}", "关于{about}的一个问题"),
}


@dataclass(frozen=True, slots=True)
class Toggle:
    """One line of a screen: one item, for one friend or one group.

    Parameters
    ----------
    profile_item : ProfileItem
    friends : tuple of str
        Whom it is about.
    guess : str or float
        What the model would answer: one of ``choices``, or a share 0..1 for an audience.
    choices : tuple of str
        ``("allow", "deny")`` for one friend; ``("none", "some", "most", "all")`` for a circle, where ``"allow"`` and
        ``"deny"``, for the most of it, are understood too; empty for an audience: a share 0..1, or one of nobody, few, half,
        most, everybody, or ``"allow"`` for most and ``"deny"`` for nobody.
    probability : float
        Of ``allow`` for one friend; the expected share for a group.
    sure : bool
        Whether the guess would be set without asking.
    who : (str, str)
        The friend or circle in English and Chinese; empty for an audience.
    likeliest : str
        The answer that is most probable, in the words of the choices, or of nobody, few, half, most, everybody for an audience.
        For a group that little is known about it is seldom the guess, which is the level of the expected share.
    """

    profile_item: ProfileItem
    friends: tuple[str, ...]
    guess: str | float
    choices: tuple[str, ...]
    probability: float
    sure: bool
    who: tuple[str, str] = ("", "")
    likeliest: str = ""

    @property
    def item(self) -> str:
        """Id of the item."""
        return self.profile_item.id

    @property
    def preset(self) -> str | None:
        """What may be filled in before the user says anything: the likeliest answer where the model is sure of it, else nothing.

        A guess that is sure but not the likeliest, such as "most" where it may well be "all", would only have to be changed.
        """
        guess = self.guess if isinstance(self.guess, str) else nearest_audience(self.guess)
        return guess if self.sure and guess == self.likeliest else None

    def text(self, language: str = "en") -> str:
        """Return the question in ``language`` (``"en"`` or ``"zh"``)."""
        chinese = check_language(language) == "zh"
        form = "audience" if not self.choices else "friend" if self.choices == CELL_CHOICES else "circle"
        return _ASK[form][chinese].format(item=self.profile_item.text(language), who=self.who[chinese])

    def read(self, answer: object) -> str | float | None:
        """Return what an answer to this toggle says, as the log keeps it: the words for an audience become shares.

        >>> toggle = Toggle(ProfileItem("phone", 0.75, "phone number", "电话号码"), ("ann", "bo"), 0.2, (), 0.3, sure=True)
        >>> toggle.read("most"), toggle.read(1), toggle.read("unsure"), toggle.read(None)
        (0.8, 1.0, 'unsure', None)

        Raises
        ------
        DataError
            If the answer is not one that this toggle takes; the message lists those.
        """
        words = tuple(dict.fromkeys((*(self.choices or AUDIENCE_SHARES), *CELL_CHOICES)))
        if answer is None:
            return None
        if isinstance(answer, str) and answer in (*words, UNSURE):
            return str(answer) if self.choices or answer == UNSURE else _AUDIENCE_ANSWERS[answer]
        if not self.choices and isinstance(answer, Real) and not isinstance(answer, bool) and 0 <= float(answer) <= 1:
            return float(answer)
        also = "" if self.choices else ", or a share 0..1"
        raise DataError(
            f"answer {answer!r} about {self.item!r} is not one of the choices: {', '.join(words)}, {UNSURE}{also}, or None"
        )


@dataclass(frozen=True, slots=True)
class Screen:
    """What the wizard shows at once. Nothing in it counts until it is given back to `privwiz.Wizard.answer`.

    Parameters
    ----------
    kind : str
        ``"audience"`` (all items), ``"circle"`` (one circle, all items), ``"circles"`` (a few circles, for each the items that
        tell most), ``"item"`` (one item, several circles), ``"friend"`` (one friend, all items) or ``"cell"`` (one friend, one
        item).
    toggles : tuple of Toggle
        At most `MAX_TOGGLES`.
    about : (str, str)
        What it is about, in English and Chinese.
    gain : float
        Cells of the matrix that are wrong now and expected to be right after it.
    effort : float
        One, plus the number of toggles that the user is expected to change.
    position : int
        Length of the log when it was made; a screen that has been overtaken by another answer is refused.
    """

    kind: str
    toggles: tuple[Toggle, ...]
    about: tuple[str, str]
    gain: float
    effort: float
    position: int

    def text(self, language: str = "en") -> str:
        """Return the heading in ``language`` (``"en"`` or ``"zh"``)."""
        chinese = check_language(language) == "zh"
        return _TITLE[self.kind][chinese].format(about=self.about[chinese])


def circle_phrase(circle: Circle, people: Sequence[str]) -> tuple[str, str]:
    """Return a circle's name in quotes, with some of its people unless the name itself says them, in English and Chinese.

    >>> circle_phrase(Circle("c1", 0, ("a", "b", "c", "d"), "Work", "同事"), ["Ann", "Bo", "Cy", "Di"])
    ('“Work” (Ann, Bo and 2 others)', '“同事”（Ann、Bo等4人）')
    """
    if circle.lists_people:
        return f"“{circle.name}”", f"“{circle.name_zh}”"
    return f"“{circle.name}” ({join_names(people)})", f"“{circle.name_zh}”（{join_names(people, 'zh')}）"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A screen that could be asked.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    cells : tuple of (int, int)
        Position of the item and row of the model, one for each toggle.
    """

    kind: str
    cells: tuple[tuple[int, int], ...]


def disjoint_circles(n: int, members: Sequence[npt.NDArray[np.intp]]) -> tuple[tuple[int, ...], ...]:
    """Coarse, fine and medium sets of at most `MAX_TOGGLES` circles that share nobody: what one item can be asked for at once.

    Greedy: the largest circles first; those nearest to a twelfth of all friends first; those nearest to a sixth first.

    Parameters
    ----------
    n : int
        Number of friends.
    members : sequence of int arrays
        Of each circle.

    Returns
    -------
    tuple of tuple of int
        Numbers of the circles; the different ones of the three sets that hold two circles or more.

    >>> disjoint_circles(8, [np.array([0, 1, 2]), np.array([4, 5, 6]), np.array([0, 1, 2, 3])])
    ((2, 1), (0, 1))
    """
    sets = []
    for ideal in (n, n / 12, n / 6):
        used = np.zeros(n, bool)
        chosen: list[int] = []
        for k in sorted(range(len(members)), key=lambda k: abs(len(members[k]) - ideal)):
            if len(chosen) < MAX_TOGGLES and not used[members[k]].any():
                used[members[k]] = True
                chosen.append(k)
        if len(chosen) > 1:
            sets.append(tuple(chosen))
    return tuple(dict.fromkeys(sets))


def propose(
    kinds: Iterable[str],
    items: Sequence[int],
    groups: Sequence[tuple[int, ...]],
    circles: int,
    everybody: int | None,
    shown: frozenset[tuple[int, tuple[int, ...]]],
    doubt: npt.NDArray[np.floating],
    rng: np.random.Generator,
) -> list[Proposal]:
    """List the screens worth considering but those of several circles, which `privwiz.choice.Outlook.compose` makes.

    No toggle that was shown before is in any.

    The audience of an item is not asked again either when it was asked before a few friends joined or left: while the group
    shown then is more than `NEARLY_ALL` of today's friends.

    Parameters
    ----------
    kinds : subset of `KINDS`
    items : sequence of int
        Positions of the items that may be asked about.
    groups : sequence of tuple of int
        Members of each group, sorted; group g is row n + g.
    circles : int
        The first so many groups are circles to ask about.
    everybody : int or None
        Which group is all friends.
    shown : set of (item, members)
        Every toggle that was shown.
    doubt : float array of shape (J, n)
        Probability that the guess for a cell is wrong; single cells are drawn by it.
    rng : numpy.random.Generator
        Draws which friends and cells are considered.
    """
    n = doubt.shape[1]
    kinds = set(kinds)
    proposals = []
    if "audience" in kinds and everybody is not None:
        asked = {j for j, group in shown if len(group) > NEARLY_ALL * n}
        proposals += _split("audience", [(j, n + everybody) for j in items if j not in asked])
    fresh: list[list[int]] = [[] for _ in range(circles)]
    for j, row in fresh_cells(n, items, groups[:circles], shown):
        fresh[row - n].append(j)
    if "circle" in kinds:
        for g in range(circles):
            proposals += _split("circle", [(j, n + g) for j in fresh[g]])
    if "item" in kinds:
        proposals += _about_items(n, items, groups[:circles], fresh)
    open_cells = np.zeros(doubt.shape, bool)
    open_cells[list(items)] = True
    single = [(j, members[0]) for j, members in shown if len(members) == 1]
    open_cells[tuple(np.array(single, np.intp).reshape(-1, 2).T)] = False
    if "friend" in kinds:
        proposals += _about_friends(open_cells, rng)
    if "cell" in kinds:
        proposals += _about_cells(open_cells, doubt, rng)
    return proposals


def fresh_cells(
    n: int, items: Iterable[int], groups: Sequence[tuple[int, ...]], shown: frozenset[tuple[int, tuple[int, ...]]]
) -> list[tuple[int, int]]:
    """Return the (item, row) of every group, whose rows follow those of n friends, and item that were not shown together."""
    return [(j, n + g) for g, group in enumerate(groups) for j in items if (j, group) not in shown]


def _about_items(
    n: int, items: Sequence[int], circles: Sequence[tuple[int, ...]], fresh: Sequence[Sequence[int]]
) -> list[Proposal]:
    """Screens of one item for several disjoint circles; ``fresh`` says which items a circle was not shown for."""
    partitions = disjoint_circles(n, [np.array(circle) for circle in circles])
    cells = [[(j, n + g) for g in partition if j in fresh[g]] for j in items for partition in partitions]
    return [Proposal("item", tuple(some)) for some in dict.fromkeys(map(tuple, cells)) if len(some) > 1]


def _about_friends(open_cells: npt.NDArray[np.bool_], rng: np.random.Generator) -> list[Proposal]:
    """Some friends drawn by chance, each with all items not yet asked."""
    free = rng.permutation(np.flatnonzero(open_cells.any(axis=0)))[:_FRIEND_CANDIDATES]
    cells = [[(int(j), int(i)) for j in np.flatnonzero(open_cells[:, i])] for i in free]
    return [screen for some in cells for screen in _split("friend", some)]


def _about_cells(open_cells: npt.NDArray[np.bool_], doubt: npt.NDArray[np.floating], rng: np.random.Generator) -> list[Proposal]:
    """The single cells most in doubt, and as many drawn by chance."""
    at = np.flatnonzero(open_cells)
    unsure = at[np.argsort(-doubt.ravel()[at], kind="stable")[:_CELL_CANDIDATES]]
    drawn = rng.permutation(at)[:_CELL_CANDIDATES]
    return [Proposal("cell", (divmod(int(cell), doubt.shape[1]),)) for cell in np.union1d(unsure, drawn)]


def _split(kind: str, cells: list[tuple[int, int]]) -> list[Proposal]:
    return [Proposal(kind, tuple(cells[k : k + MAX_TOGGLES])) for k in range(0, len(cells), MAX_TOGGLES)]

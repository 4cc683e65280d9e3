"""Screens as documents: given out with an id that names the state they were made for, and taken back by it."""

from collections.abc import Iterable
from typing import Any

from privwiz.answers import CELL_CHOICES, CIRCLE_SHARES, Entry
from privwiz.belief import Layout
from privwiz.errors import DataError
from privwiz.screens import Screen, Toggle
from privwiz_api.problems import Problem
from privwiz_api.signing import Signer
from privwiz_api.states import State

__all__ = ["answered", "next_screens"]

_VALUES = (
    "Give one value for each toggle of the screen: one of its choices, or where it has none a share from 0 to 1 or nobody, few, "
    "half, most, everybody; null says nothing."
)


def next_screens(
    state: State, signer: Signer, kinds: Iterable[str] | None, items: Iterable[str] | None, count: int
) -> list[dict[str, Any]]:
    """Return the next screens: each as if those before it were left without an answer."""
    assert state.wizard is not None
    with state.lock:
        layout = state.wizard.belief().layout
        wizard = state.wizard.fork()
        screens = []
        for _ in range(count):
            screen = wizard.next_screen(kinds, items)
            if screen is None:
                break
            screens.append(_write(state, signer, screen, layout))
            if count > 1:
                wizard.skip(screen)
    return screens


def answered(state: State, signer: Signer, screen: str, values: list[str | float | None]) -> Entry:
    """Return the entry of the log that a confirmed screen makes.

    Raises
    ------
    Problem
        422 for an id that was not given out for this user, or values that do not fit the screen's toggles; 409 if the state is no
        longer the one it was made for.
    """
    stated = signer.read(screen, _purpose(state))
    if stated is None:
        raise Problem(422, "no-such-screen", "The id of a screen was not given out for this user.")
    etag, kind, cells = stated
    if etag != state.version.etag:
        raise Problem(409, "screen-overtaken", "The screen is out of date, something changed since; ask for the next one.")
    assert state.wizard is not None
    with state.lock:
        layout = state.wizard.belief().layout
        wizard = state.wizard.fork()
    n, everybody = layout.network.n, layout.everybody
    toggles = []
    for j, row in cells:
        members = (row,) if row < n else layout.groups[row - n]
        choices = CELL_CHOICES if row < n else () if row - n == everybody else tuple(CIRCLE_SHARES)
        toggles.append(Toggle(state.items[j], tuple(layout.network.friends[i] for i in members), 0.0, choices, 0.0, sure=False))
    try:
        wizard.answer(Screen(kind, tuple(toggles), ("", ""), 0.0, 0.0, len(state.log)), values)
    except DataError:
        raise Problem(422, "values", _VALUES) from None
    return wizard.log[-1]


def _write(state: State, signer: Signer, screen: Screen, layout: Layout) -> dict[str, Any]:
    position = {item.id: j for j, item in enumerate(state.items)}
    cells = [[position[toggle.item], _row(layout, toggle.friends)] for toggle in screen.toggles]
    return {
        "id": signer.sign([state.version.etag, screen.kind, cells], _purpose(state)),
        "kind": screen.kind,
        "title": screen.text("en"),
        "title_zh": screen.text("zh"),
        "toggles": [
            {
                "item": toggle.item,
                "friends": toggle.friends,
                "guess": toggle.guess,
                "choices": toggle.choices,
                "sure": toggle.sure,
                "likeliest": toggle.likeliest,
                "preset": toggle.preset,
                "text": toggle.text("en"),
                "text_zh": toggle.text("zh"),
            }
            for toggle in screen.toggles
        ],
    }


def _row(layout: Layout, friends: tuple[str, ...]) -> int:
    """Return the row of the model that is about these: a friend's, or a group's after all friends'."""
    members = layout.network.positions(friends)
    return members[0] if len(members) == 1 else layout.network.n + layout.groups.index(members)


def _purpose(state: State) -> str:
    return f"screen/{state.tenant}/{state.user}"

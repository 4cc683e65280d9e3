"""What a person types under a screen, and what it means. Forgiving about form, strict about sense: nothing is guessed."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from privwiz.commands.texts import tell, value_text

if TYPE_CHECKING:
    from privwiz.screens import Toggle

__all__ = ["Action", "Reply", "Value", "read_action", "read_reply", "vocabulary"]

Action: TypeAlias = Literal["confirm", "skip", "undo", "why", "policy", "quit", "help", "misread"]
Value: TypeAlias = str | float | None
"""What a toggle is set to: one of its choices, a share, ``"unsure"``, or None for not said."""

UNSURE = "unsure"

_ACTIONS: Mapping[str, Action] = {
    "": "confirm",
    "s": "skip",
    "skip": "skip",
    "跳过": "skip",
    "u": "undo",
    "undo": "undo",
    "撤销": "undo",
    "w": "why",
    "why": "why",
    "为什么": "why",
    "p": "policy",
    "policy": "policy",
    "结果": "policy",
    "q": "quit",
    "quit": "quit",
    "exit": "quit",
    "退出": "quit",
    "停止": "quit",
    "h": "help",
    "help": "help",
    "?": "help",
    "帮助": "help",
}
_SUGGESTIONS = ("g", "guess", "guesses", "suggestions", "建议", "采用")
_ALWAYS = {"unsure": UNSURE, "?": UNSURE, "不确定": UNSURE}
_NO_ANSWER = ("-", "—", "–")
_FRIEND = {
    "allow": "allow",
    "deny": "deny",
    "yes": "allow",
    "no": "deny",
    "允许": "allow",
    "可以": "allow",
    "不允许": "deny",
    "不可以": "deny",
}
_CIRCLE = {key: key for key in ("none", "some", "most", "all", "allow", "deny")} | {
    "都不行": "none",
    "一部分人可以": "some",
    "少数人可以": "some",
    "大多数人可以": "most",
    "都可以": "all",
    "允许": "allow",
    "可以": "allow",
    "不允许": "deny",
    "不可以": "deny",
}
_AUDIENCE = {key: key for key in ("nobody", "few", "half", "most", "everybody")} | {
    "none": "nobody",
    "deny": "nobody",
    "everyone": "everybody",
    "all": "everybody",
    "没有人": "nobody",
    "都不行": "nobody",
    "不可以": "nobody",
    "少数人": "few",
    "大约一半好友": "half",
    "一半": "half",
    "大多数人": "most",
    "所有人": "everybody",
    "都可以": "everybody",
}
_LONGEST_NUMBER = 9

_GAPS = re.compile(r"[\s,;:=，、；]+")
_TOKEN = re.compile(r"\d+[-–~]\d+(?!\d|%)|\d+(?:\.\d+)?%|\d+|[^\W\d_]+|\?|[-–—]|.")
_NOT_SURE = re.compile(r"\b(not sure|don't know|dont know)\b")


@dataclass(frozen=True, slots=True)
class Reply:
    """One line, understood or not.

    Parameters
    ----------
    action : str
    values : tuple
        What each toggle is set to; for the action ``"confirm"``.
    problem : str
        What was not understood; for the action ``"misread"``.
    """

    action: Action
    values: tuple[Value, ...] = ()
    problem: str = ""


class _Misread(Exception):
    """Carries what was not understood."""


def vocabulary(toggle: "Toggle") -> Mapping[str, str]:
    """Return every word that can be said about a toggle, English and Chinese, and the value it stands for."""
    return _ALWAYS | (_FRIEND if toggle.choices == ("allow", "deny") else _CIRCLE if toggle.choices else _AUDIENCE)


def read_reply(line: str, toggles: "Sequence[Toggle]", language: str = "en") -> Reply:
    """Understand one line about the toggles of a screen.

    >>> from privwiz.items import profile_item
    >>> from privwiz.screens import Toggle
    >>> toggles = [
    ...     Toggle(profile_item(item), ("bo",), "deny", ("allow", "deny"), 0.1, True, likeliest="deny")
    ...     for item in ("phone", "email", "city")
    ... ]
    >>> read_reply("2-3 allow", toggles).values, read_reply("d 1=?", toggles).values
    (('deny', 'allow', 'allow'), ('unsure', 'deny', 'deny'))
    >>> read_reply("4 allow", toggles).problem
    'There is no number 4; the numbers are 1 to 3.'
    """
    action = read_action(line)
    if action is not None:
        return Reply(action, tuple(toggle.preset for toggle in toggles) if action == "confirm" else ())
    try:
        return Reply("confirm", _values(_NOT_SURE.sub(UNSURE, _normal(line)), toggles, language))
    except _Misread as problem:
        return Reply("misread", problem=str(problem))


def read_action(line: str) -> Action | None:
    """Return the action that a line is, such as ``"undo"``; None where it is not one."""
    return _ACTIONS.get(_normal(line))


def _normal(line: str) -> str:
    return unicodedata.normalize("NFKC", line).strip().casefold()


def _values(text: str, toggles: "Sequence[Toggle]", language: str) -> tuple[Value, ...]:
    values: list[Value] = [toggle.preset for toggle in toggles]
    chosen: list[int] = []
    numbered: dict[int, Value] = {}
    tokens = list(_tokens(text))
    for position, token in enumerate(tokens):
        if position == 0 and token in _SUGGESTIONS:
            values = [toggle.likeliest for toggle in toggles]
        elif re.fullmatch(r"\d+([-–~]\d+)?", token):
            chosen += _numbers(token, len(toggles), language)
        elif chosen or position == 0:
            for k in chosen or range(len(toggles)):
                values[k] = _value(token, toggles[k], language)
                if k in chosen and numbered.setdefault(k, values[k]) != values[k]:
                    raise _Misread(tell("two_values", language, token=k + 1))
            chosen = []
        else:
            _value(token, toggles[0], language)
            raise _Misread(tell("no_number", language, token=token))
    if chosen:
        audience = not toggles[0].choices
        example = value_text("few" if audience else toggles[0].choices[-1], language, audience=audience)
        raise _Misread(tell("no_value", language, token=tokens[-1], example=example))
    return tuple(values)


def _tokens(text: str) -> Iterator[str]:
    for part in _GAPS.split(text):
        yield from _TOKEN.findall(part)


def _numbers(token: str, last: int, language: str) -> list[int]:
    first, *rest = (int(number[:_LONGEST_NUMBER]) for number in re.split(r"[-–~]", token))
    numbers = list(range(first, min(rest[0], last + 1) + 1)) if rest else [first]
    for number in (first, *rest):
        if not 1 <= number <= last:
            raise _Misread(tell("no_such_line", language, token=number, last=last))
    if not numbers:
        raise _Misread(tell("not_understood", language, token=token))
    return [number - 1 for number in numbers]


def _value(token: str, toggle: "Toggle", language: str) -> Value:
    if token in _NO_ANSWER:
        return None
    if len(token) > 1 and token.endswith("%"):
        if toggle.choices:
            raise _Misread(tell("share_only", language, token=token))
        if float(token[:-1]) > 100:
            raise _Misread(tell("too_much", language, token=token))
        return float(token[:-1]) / 100
    known = vocabulary(toggle)
    if token in known:
        return known[token]
    meant = {value for word, value in known.items() if word.startswith(token)}
    if len(meant) == 1:
        return meant.pop()
    if not meant:
        raise _Misread(tell("not_understood", language, token=token))
    words = [word for word in known if word.startswith(token)]
    raise _Misread(tell("ambiguous", language, token=token, choices=tell("and", language).join(words)))

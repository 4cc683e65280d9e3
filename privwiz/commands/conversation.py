"""The wizard's talk with a person in a terminal: screens, replies, and the policy as it stands."""

import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from privwiz.commands.replies import Reply, read_action, read_reply
from privwiz.commands.summary import policy_summary
from privwiz.commands.terminal import bar, cut, pad, plain, terminal_width, text_width
from privwiz.commands.texts import NOT_SAID, tell, value_text
from privwiz.words import AUDIENCES

if TYPE_CHECKING:
    from privwiz.screens import Screen, Toggle
    from privwiz.wizard import Wizard

__all__ = ["Terminal", "converse", "counted", "show_screen"]

_NEARLY_DONE = 1.5
"""Cells set right per unit of effort, below which little is left to gain; the wizard stops at `privwiz.asking.LEAST_GAIN`."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where the talk takes place.

    Parameters
    ----------
    language : str
    on_stderr : bool
        Whether standard output is kept free for the policy.
    """

    language: str
    on_stderr: bool = False

    def say(self, text: str = "") -> None:
        """Print a text."""
        click.echo(text, err=self.on_stderr)

    def tell(self, key: str, **values: object) -> None:
        """Print one of the texts of `privwiz.commands.texts`."""
        self.say(tell(key, self.language, **values))

    def ask(self) -> str | None:
        """Read one line; None at the end of the input. What no terminal echoes is printed."""
        if sys.stdin is None:
            return None
        if sys.stdin.isatty() and sys.stdout.isatty() and not self.on_stderr:
            import readline  # noqa: F401 - gives `input` a line that can be edited

            try:
                return input("> ")
            except EOFError:
                self.say()
                return None
        click.echo("> ", nl=False, err=self.on_stderr)
        line = sys.stdin.readline()
        if not sys.stdin.isatty():
            self.say(plain(line.rstrip("\r\n")))
        return line.rstrip("\r\n") if line else None


def converse(
    wizard: "Wizard", terminal: Terminal, save: Callable[[], None], kinds: Collection[str] | None = None, limit: int | None = None
) -> None:
    """Ask screen after screen until no more pays, the user stops, ``limit`` screens have been left behind, or the input ends.

    Parameters
    ----------
    save : callable
        Called after every change, before the next screen is shown.
    """
    left = 0
    while limit is None or left < limit:
        screen = wizard.next_screen(kinds)
        if screen is not None:
            show_screen(wizard, screen, terminal)
        elif wizard.network.n:
            terminal.tell("no_more")
            terminal.tell("last_hint")
        else:
            return
        reply = _last_reply(wizard, terminal) if screen is None else _reply(wizard, screen, terminal)
        if reply.action == "quit":
            return
        if reply.action == "undo":
            left -= _undo(wizard, terminal)
        elif screen is not None:
            _leave(wizard, screen, reply, terminal)
            left += 1
        save()
        terminal.say()
    if limit:
        terminal.tell("enough", number=limit)


def show_screen(wizard: "Wizard", screen: "Screen", terminal: Terminal) -> None:
    """Print a screen: how far the wizard is, the question, a line for each toggle, and what can be typed."""
    language, width = terminal.language, terminal_width()
    terminal.say(click.style(_headline(wizard, screen, language, width), dim=True))
    terminal.say(click.style(plain(screen.text(language)), bold=True))
    labels = [plain(_label(screen, toggle, language)) for toggle in screen.toggles]
    column = min(max(map(text_width, labels)), width - 24)
    who = ("", "")
    for number, (toggle, label) in enumerate(zip(screen.toggles, labels, strict=True), start=1):
        if screen.kind == "circles" and toggle.who != who:
            who = toggle.who
            terminal.say(f"  {cut(plain(who[language == 'zh']), width - 2)}")
        likeliest = value_text(toggle.likeliest, language, audience=not toggle.choices)
        state = click.style(likeliest, bold=True) if toggle.preset else f"{NOT_SAID}  {click.style(f'{likeliest}?', dim=True)}"
        terminal.say(f"  {number:>2}  {pad(cut(label, column), column)}  {state}")
    terminal.say(click.style(_hint(screen, language), dim=True))


def counted(noun: str, number: int, language: str) -> str:
    """Return ``"1 screen"`` or ``"4 screens"``; so for every noun of which the texts have both."""
    return tell(f"one_{noun}" if number == 1 else f"{noun}s", language, number=number)


def _headline(wizard: "Wizard", screen: "Screen", language: str, width: int) -> str:
    progress = wizard.progress()
    right = 1 - progress.expected_wrong / progress.cells
    undecided = 1 - progress.decided / progress.cells
    pays = "pays" if screen.gain >= _NEARLY_DONE * screen.effort else "pays_little"
    worth = [] if screen.kind == "cell" else [tell(pays, language, gain=round(screen.gain))]
    parts = [
        tell("screen", language, number=progress.screens + 1),
        f"{bar(right, 10)} {tell('right', language, share=round(100 * right), open=round(100 * undecided))}",
        *worth,
    ]
    line = " · ".join(parts)
    return f"{line} {'─' * max(0, width - text_width(line) - 1)}"


def _label(screen: "Screen", toggle: "Toggle", language: str) -> str:
    if screen.kind == "cell":
        return toggle.text(language)
    if screen.kind == "item":
        return toggle.who[language == "zh"]
    return toggle.profile_item.text(language)


def _hint(screen: "Screen", language: str) -> str:
    toggle = screen.toggles[0]
    words = [value_text(word, language, audience=not toggle.choices) for word in toggle.choices or AUDIENCES]
    one, other = (words[-1], words[0]) if toggle.choices else (words[-2], words[1])
    example = (
        tell("example", language, one=one, other=other)
        if len(screen.toggles) >= 5
        else tell("example_one", language, one=one, other=other)
    )
    choices = (", " if language == "en" else "、").join(words)
    lines = [
        tell("hint", language, example=example),
        tell("choices" if toggle.choices else "choices_audience", language, choices=choices),
    ]
    return "\n".join(lines)


def _reply(wizard: "Wizard", screen: "Screen", terminal: Terminal) -> Reply:
    """Read lines until one changes something or stops."""
    while (line := terminal.ask()) is not None:
        reply = read_reply(line, screen.toggles, terminal.language)
        match reply.action:
            case "help":
                terminal.tell("help")
            case "why":
                _explain(wizard, screen, terminal)
            case "policy":
                terminal.say(policy_summary(wizard.policy(), wizard.circles, terminal.language))
            case "misread":
                terminal.say(reply.problem)
            case "quit":
                terminal.tell("stop")
                return reply
            case _:
                return reply
    terminal.tell("end_of_input")
    return Reply("quit")


def _last_reply(wizard: "Wizard", terminal: Terminal) -> Reply:
    """Read lines where no screen is left, until one takes the last screen back or stops."""
    while (line := terminal.ask()) is not None:
        action = read_action(line)
        if action == "undo":
            return Reply("undo")
        if action in ("confirm", "quit"):
            return Reply("quit")
        if action == "policy":
            terminal.say(policy_summary(wizard.policy(), wizard.circles, terminal.language))
            continue
        if action is None:
            terminal.tell("not_taken", token=plain(line.strip()))
        terminal.tell("last_hint")
    return Reply("quit")


def _leave(wizard: "Wizard", screen: "Screen", reply: Reply, terminal: Terminal) -> None:
    values = reply.values if reply.action == "confirm" else (None,) * len(screen.toggles)
    wizard.answer(screen, values)
    said = sum(value is not None for value in values)
    if said:
        terminal.tell("noted", said=said, left=len(values) - said)
    else:
        terminal.tell("skipped")


def _undo(wizard: "Wizard", terminal: Terminal) -> int:
    """Take the last entry back; return how many screens fewer have been left behind."""
    entry = wizard.undo()
    if entry is None:
        terminal.tell("nothing_to_undo")
        return 0
    label = entry.kind == "label"
    terminal.tell("undone", what=tell("undone_label" if label else "undone_screen", terminal.language))
    return 0 if label else 1


def _explain(wizard: "Wizard", screen: "Screen", terminal: Terminal) -> None:
    progress = wizard.progress()
    terminal.tell("why_gain", cells=progress.cells, wrong=round(progress.expected_wrong), gain=max(1, round(screen.gain)))
    terminal.tell("why_friend" if screen.kind == "cell" else f"why_{screen.kind}")
    terminal.tell("why_guess")

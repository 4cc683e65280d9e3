"""``privwiz evaluate``: how well the answers that users gave are predicted from their other answers."""

import json
import math
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from privwiz.commands.answered import answers_by_user, each_cell_once, networks, read_answers
from privwiz.commands.options import (
    CLASSIFIERS,
    Command,
    Words,
    check_output,
    graph_options,
    prior_option,
    progress,
    read_items,
    read_prior,
    seed_option,
)
from privwiz.commands.terminal import pad, plain, render_table, terminal_width
from privwiz.decisions import Decision
from privwiz.errors import DataError, PrivwizError
from privwiz.files import STANDARD, ending, writing
from privwiz.words import amount, list_some

if TYPE_CHECKING:
    from privwiz.commands.answered import Said
    from privwiz.evaluate import HeldOut
    from privwiz.graphs import EgoNetwork
    from privwiz.items import ProfileItem
    from privwiz.metrics import Interval
    from privwiz.tables import Table

__all__ = ["evaluate"]

FORMAT = "privwiz.evaluation/1"

_METRICS: Mapping[str, tuple[str, str]] = {
    "accuracy": (
        "accuracy, % ↑",
        "answers predicted right, taking allow or deny, whichever is likelier; mean over items of users",
    ),
    "balanced_accuracy": (
        "balanced accuracy, % ↑",
        "mean of the right share of what was allowed and of what was denied; guessing gives 50, less if these are few",
    ),
    "false_allow": ("wrongly allowed, % ↓", "of the cells that the user denied, those for which allow is found likelier"),
    "auc": (
        "AUC ↑",
        "area under the ROC curve: how often allowed friends rank before denied ones; guessing gives 0.5, less if these are few",
    ),
    "brier": ("Brier score ↓", "mean squared error of the probability; always saying one half gives 0.25"),
    "calibration_error": ("calibration error ↓", "distance between the probability of allow and how often allow was right"),
    "set_share": (
        "decided, %",
        "decided without asking the user: allow above a probability of 5/6 (c / (1 + c) at cost ratio c), deny below 1/2",
    ),
    "set_accuracy": ("  of these right, % ↑", "right share of what is decided"),
    "cost": ("cost of a cell ↓", "deciding so, if allowing wrongly costs 5, and denying or asking what should be allowed 1"),
}
_PERCENT = ("accuracy", "balanced_accuracy", "false_allow", "set_share", "set_accuracy")
_OWN = {
    "privwiz": "the wizard's model and prior",
    "no-prior": "the same with a prior that knows nothing beforehand",
    "majority": "an item's share of allow in the other answers, the same for every friend: what has to be beaten",
}
_ROUGH = 20
_LABEL, _COLUMN = 22, 9


@dataclass
class _LeftOut:
    """What is not evaluated, and why."""

    folds: int
    failed: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    items: int = 0
    unsure: int = 0

    def admits(self, user: str, given: Mapping[tuple[str, str], str]) -> bool:
        """Whether this user's answers are about enough friends; count what they leave out."""
        decided = [cell for cell, decision in given.items() if decision != Decision.ASK]
        self.unsure += len(given) - len(decided)
        if len({friend for _, friend in decided}) < self.folds:
            self.users.append(user)
            return False
        self.items += sum(number < self.folds for number in Counter(item for item, _ in decided).values())
        return True

    def notes(self) -> list[str]:
        """Say it, a sentence for each reason that happened."""
        notes = []
        if self.users:
            few = f"with answers about fewer than {self.folds} friends ({plain(list_some(self.users))})"
            notes.append(f"Left out: {amount(len(self.users), 'user')} {few}.")
        if self.items:
            notes.append(f"Left out: {amount(self.items, 'item')} of users, with fewer than {self.folds} answers.")
        if self.unsure:
            notes.append(f"Left out: {amount(self.unsure, 'answer')} “ask”: nothing is right or wrong there.")
        return notes

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"failed": self.failed, "users": self.users, "items": self.items, "answers": self.unsure}


@click.command(cls=Command, short_help="Measure how well given answers are predicted.")
@graph_options
@click.option(
    "--answers",
    required=True,
    metavar="FILE",
    help="Table user,item,friend,decision (allow, deny or ask); - is CSV on standard input.",
)
@click.option(
    "--user",
    "users",
    multiple=True,
    metavar="ID",
    help="Evaluate this user only; may be repeated.  [default: every user of the answers]",
)
@click.option(
    "--items",
    metavar="A,B,...|FILE",
    help="Evaluate these items only: names separated by commas, or a table (.csv, .parquet) with the column item and, if wanted, "
    "cost_ratio (how many times worse a wrong allow is).  [default: every item of the answers]",
)
@prior_option
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    default=5,
    show_default=True,
    metavar="N",
    help="Into how many parts a user's friends are dealt; each part is predicted from the answers about the others.",
)
@seed_option
@click.option(
    "--compare",
    type=Words(CLASSIFIERS[1:]),
    default="tree,logistic",
    show_default=True,
    help=f"Classic classifiers to try as well: {', '.join(CLASSIFIERS[1:])}.",
)
@click.option(
    "--out",
    metavar="FILE",
    help="Also write the figures: .json, or a table with a row for each user, method and item (.csv, .parquet; - is CSV on "
    "standard output, in place of what is printed).",
)
def evaluate(  # noqa: PLR0913, PLR0917 - click hands over every option
    graph: str,
    profiles: str | None,
    answers: str,
    users: tuple[str, ...],
    items: str | None,
    prior: str | None,
    folds: int,
    seed: int,
    compare: tuple[str, ...],
    out: str | None,
) -> None:
    r"""Measure how well given answers are predicted, by cross-validation.

    The friends whom a user's answers are about are dealt into parts by chance, and the answers about each part are predicted from
    those about all others: by privwiz, by privwiz without its prior, by the most frequent answer, and by classic classifiers.

    A user needs answers (allow or deny) about as many friends as there are parts, and so does an item; others are left out and
    counted. A user whose answers cannot be used is named with the reason, the others are evaluated; the exit code is then 1.

    Example:
      privwiz evaluate --graph sample_graphs/town/edges.csv --profiles sample_graphs/town/profiles.csv \
        --answers sample_graphs/town/answers.csv
    """
    from privwiz.evaluate import cross_validate

    if out is not None:
        check_output(out, (".json", ".csv", ".parquet"))
    table = read_answers(answers)
    said = answers_by_user(table)
    chosen = _chosen(users, said, table)
    only = read_items(items)
    validate = partial(cross_validate, items=only, prior=read_prior(prior), folds=folds, seed=seed, classifiers=compare)
    network_of = networks(graph, profiles)
    rows: list[HeldOut] = []
    left = _LeftOut(folds)
    with progress(chosen, "Evaluating") as steps:
        for user in steps:
            try:
                network = network_of(user)
                given = _given(network, said[user], table, only)
                if left.admits(user, given):
                    rows += validate(network, given)
            except PrivwizError as error:
                left.failed.append(user)
                click.echo(f"Error: {plain(str(error))}", err=True)
    if rows:
        _report(rows, left, out)
    elif not left.failed:
        raise DataError(
            f"no user has {folds} answers (allow or deny) about an item; give more answers or lower --folds", source=table.source
        )
    if len(chosen) > 1 and left.failed:
        some = plain(list_some(left.failed))
        click.echo(f"Error: {len(left.failed)} of {amount(len(chosen), 'user')} could not be evaluated: {some}", err=True)
    if left.failed:
        click.get_current_context().exit(1)


def _chosen(users: Sequence[str], said: Mapping[str, object], table: "Table") -> tuple[str, ...]:
    if not said:
        raise DataError("no answers in it; add rows", source=table.source)
    for user in users:
        if user not in said:
            raise DataError(f"user {user!r} has no answers in it; the users are {list_some(said, 5)}", source=table.source)
    return tuple(dict.fromkeys(users or said))


def _given(
    network: "EgoNetwork", said: "Sequence[Said]", table: "Table", only: "tuple[ProfileItem, ...] | None"
) -> dict[tuple[str, str], str]:
    """Return one user's answers about the items, checked."""
    wanted = None if only is None else {item.id for item in only}
    given = {}
    for answer in each_cell_once(table, said):
        try:
            network.index(answer.friend)
        except PrivwizError as error:
            raise table.error(answer.row, str(error)) from None
        if wanted is None or answer.item in wanted:
            given[answer.item, answer.friend] = answer.decision
    return given


def _report(rows: "Sequence[HeldOut]", left: _LeftOut, out: str | None) -> None:
    """Print the tables, and write the figures."""
    users = dict.fromkeys(row.user for row in rows)
    methods = tuple(dict.fromkeys(row.method for row in rows))
    found = {method: _intervals([row for row in rows if row.method == method]) for method in methods}
    if out != STANDARD:
        cells = sum(row.score.cells for row in rows if row.method == methods[0])
        click.echo(
            f"{amount(len(users), 'user')}, {amount(cells, 'answer')}. Each is predicted from the user's answers about other "
            f"friends ({left.folds} parts).\n↑ higher is better, ↓ lower is better."
        )
        room = max(1, (terminal_width() - _LABEL) // (_COLUMN + 2))
        for start in range(0, len(methods), room):
            click.echo(f"\n{_table({name: found[name] for name in methods[start : start + room]}, intervals=len(users) > 1)}")
        click.echo(f"\n{_legend(methods)}\n\n{_notes(rows, len(users), left)}")
    if out is None:
        return
    if ending(out) == ".json":
        _write_json(out, rows, found, left)
    else:
        from privwiz.tables import write_table

        write_table(out, _columns(rows))


def _intervals(rows: "Sequence[HeldOut]") -> "dict[str, Interval]":
    from privwiz.metrics import bootstrap

    return bootstrap([row.score for row in rows], [row.user for row in rows])


def _table(found: "Mapping[str, Mapping[str, Interval]]", *, intervals: bool) -> str:
    lines = []
    for metric, (label, _) in _METRICS.items():
        shown = [values[metric] for values in found.values()]
        lines.append([pad(label, _LABEL), *(pad(_figure(metric, each.value), _COLUMN, right=True) for each in shown)])
        if intervals:
            spans = ["" if math.isnan(each.low) else f"{_end(metric, each.low)}-{_end(metric, each.high)}" for each in shown]
            lines.append(["", *spans])
    return render_table(["", *found], lines, right=range(1, len(found) + 1))


def _figure(metric: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{100 * value:.1f}" if metric in _PERCENT else f"{value:.2f}"


def _end(metric: str, value: float) -> str:
    return f"{100 * value:.0f}" if metric in _PERCENT else f"{value:.2f}"


def _legend(methods: Sequence[str]) -> str:
    """Say what the columns and rows are."""
    meanings = {name: _OWN[name] for name in methods if name in _OWN} | {label.strip(): text for label, text in _METRICS.values()}
    return "\n".join(
        textwrap.fill(text, terminal_width(), initial_indent=pad(label, _LABEL + 2), subsequent_indent=" " * (_LABEL + 2))
        for label, text in meanings.items()
    )


def _notes(rows: "Sequence[HeldOut]", users: int, left: _LeftOut) -> str:
    """Say what the figures do not cover."""
    if users == 1:
        notes = ["No intervals: they say how much users differ, and there is only one."]
    else:
        rough = f" From {users} users they are rough." if users < _ROUGH else ""
        notes = [f"Below each figure: its 95 % interval, from drawing users again.{rough}"]
    ranked = [not math.isnan(row.score.auc) for row in rows if row.method == "privwiz"]
    if not all(ranked):
        notes.append(
            f"AUC and balanced accuracy need both answers: {sum(ranked)} of {len(ranked)} items of users have them, and only "
            "these count there."
        )
    notes += left.notes()
    return "\n".join(textwrap.fill(text, terminal_width()) for text in notes)


def _columns(rows: "Sequence[HeldOut]") -> dict[str, list[Any]]:
    """Return a table with a row for each user, method and item; of each list of bins a column for each bin."""
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in (asdict(row) | asdict(row.score)).items():
            if isinstance(value, tuple):
                for k, each in enumerate(value, start=1):
                    columns.setdefault(f"{name}_{k}", []).append(each)
            elif name != "score":
                columns.setdefault(name, []).append(_or_none(value))
    return columns


def _write_json(path: str, rows: "Sequence[HeldOut]", found: "Mapping[str, Mapping[str, Interval]]", left: _LeftOut) -> None:
    methods = {
        method: {metric: dict(zip(each._fields, map(_or_none, each), strict=True)) for metric, each in values.items()}
        for method, values in found.items()
    }
    scores = [
        {"user": row.user, "method": row.method, "item": row.item}
        | {name: _or_none(value) for name, value in asdict(row.score).items()}
        for row in rows
    ]
    document = {"format": FORMAT, "folds": left.folds, "methods": methods, "left_out": left.to_dict(), "scores": scores}
    with writing(path) as file:
        file.write(json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False).encode())


def _or_none(value: Any) -> Any:
    """Return None for NaN, and anything else as it is."""
    return None if isinstance(value, float) and math.isnan(value) else value

"""What a run did: counts for programs, and a page for people."""

import html
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from privwiz.decisions import DECIDED
from privwiz.words import amount

__all__ = ["SHOWN", "ChunkReport", "batch_report"]

SHOWN = 20
"""How many of the slowest users, and of those who failed, a report names."""

_COLOURS = {"allow": "#009E73", "ask": "#E69F00", "deny": "#0072B2"}
"""Told apart by people with any colour vision (Okabe and Ito 2008)."""
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#202124}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #D5D8DC}"
    "th:first-child,td:first-child{text-align:left}.text td,.text th{text-align:left}"
    ".bar{display:flex;width:16rem;height:1rem}.bar i{display:block}"
)


@dataclass(slots=True)
class ChunkReport:
    """Counts of one part of a run, or, added up, of all.

    Parameters
    ----------
    outcomes : Counter
        How many users have each status.
    decisions : Counter
        How many cells have each (item, decision).
    rejected : Counter
        How many rows were rejected, by (table, reason).
    errors : list of (user, message)
        The first users who failed.
    slowest : list of (seconds, user, friends)
        The slowest users, the slowest first.
    seconds : float
        Processor time.
    """

    outcomes: "Counter[str]" = field(default_factory=Counter)
    decisions: "Counter[tuple[str, str]]" = field(default_factory=Counter)
    rejected: "Counter[tuple[str, str]]" = field(default_factory=Counter)
    errors: list[tuple[str, str]] = field(default_factory=list)
    slowest: list[tuple[float, str, int]] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: "ChunkReport") -> None:
        """Add another part's counts."""
        for name in ("outcomes", "decisions", "rejected"):
            getattr(self, name).update(getattr(other, name))
        self.errors = [*self.errors, *other.errors][:SHOWN]
        self.slowest = sorted([*self.slowest, *other.slowest], reverse=True)[:SHOWN]
        self.seconds += other.seconds

    def to_dict(self) -> dict[str, Any]:
        """Return it as data for a JSON document; `from_dict` reads it."""
        return {
            "users": dict(sorted(self.outcomes.items())),
            "decisions": [[*cell, count] for cell, count in self.decisions.items()],
            "rejected": [[*row, count] for row, count in sorted(self.rejected.items())],
            "errors": self.errors,
            "slowest": self.slowest,
            "processor_seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "ChunkReport":
        """Read what `to_dict` wrote."""
        return cls(
            Counter(data["users"]),
            Counter({(item, decision): count for item, decision, count in data["decisions"]}),
            Counter({(table, reason): count for table, reason, count in data["rejected"]}),
            [(user, message) for user, message in data["errors"]],
            [(seconds, user, friends) for seconds, user, friends in data["slowest"]],
            data["processor_seconds"],
        )


def batch_report(report: ChunkReport, seconds: float, workers: int) -> dict[str, str]:
    """Return the texts of ``report.json`` and of ``report.html``, one page that loads nothing.

    Parameters
    ----------
    report : ChunkReport
        Of the whole run.
    seconds : float
        How long it took; of an interrupted run, since it went on.
    workers : int
    """
    every = amount(sum(report.outcomes.values()), "user")
    document = {"format": "privwiz.batch-report/1", **report.to_dict(), "seconds": seconds, "workers": workers}
    labelled = report.outcomes["labelled"]
    each = f", {1000 * report.seconds / labelled:.1f} ms of processor time for each" if labelled else ""
    unchanged, failed = report.outcomes["unchanged"], report.outcomes["failed"]
    sentences = [
        f"{every}: {labelled:,} labelled, {unchanged:,} unchanged since the earlier run, {failed:,} without a policy.",
        f"It took {_duration(seconds)} with {amount(workers, 'process', 'processes')}{each}.",
        "Every cell that is not allow is hidden. No policy is in force before its user, or whoever decides for it, accepts it.",
    ]
    parts = [
        f"<p>{html.escape(' '.join(sentences))}</p>",
        _decisions(report),
        _table("Users who failed", ("user", "why"), report.errors, "errors.csv has all of them."),
        _table(
            "Rows that could not be used",
            ("table", "reason", "rows"),
            [(table, reason, f"{count:,}") for (table, reason), count in report.rejected.most_common()],
            "rejected.csv has all of them.",
        ),
        _table(
            "Slowest users",
            ("user", "friends", "milliseconds"),
            [(user, f"{friends:,}", f"{1000 * took:.1f}") for took, user, friends in report.slowest],
            "Processor time.",
        ),
    ]
    page = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>privwiz label</title><style>{_STYLE}</style>\n'
        f"<h1>Policies of {amount(labelled, 'user')}</h1>\n" + "\n".join(parts) + "\n</html>\n"
    )
    return {"report.json": f"{json.dumps(document, ensure_ascii=False, indent=1)}\n", "report.html": page}


def _decisions(report: ChunkReport) -> str:
    items = list(dict.fromkeys(item for item, _ in report.decisions))
    rows = []
    for item in items:
        counts = [report.decisions[item, decision.value] for decision in reversed(DECIDED)]
        cells = max(sum(counts), 1)
        shares = [count / cells for count in counts]
        bar = "".join(
            f'<i style="width:{100 * share:.2f}%;background:{_COLOURS[decision.value]}"></i>'
            for share, decision in zip(shares, reversed(DECIDED), strict=True)
        )
        numbers = "".join(f"<td>{100 * share:.1f} %</td>" for share in shares)
        rows.append(
            f'<tr><td>{html.escape(item)}</td>{numbers}<td>{sum(counts):,}</td><td><div class="bar">{bar}</div></td></tr>'
        )
    head = "".join(f"<th>{name}</th>" for name in ("item", "allow", "ask", "deny", "cells", ""))
    return f"<h2>Decisions</h2><table><tr>{head}</tr>{''.join(rows)}</table>"


def _table(title: str, names: tuple[str, ...], rows: Any, foot: str) -> str:
    if not rows:
        return f"<h2>{title}</h2><p>None.</p>"
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<h2>{title}</h2><table class="text"><tr>{head}</tr>{body}</table><p>{html.escape(foot)}</p>'


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"

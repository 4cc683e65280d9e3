"""Write docs/results.md and its plots from the results of the label-efficiency benchmark: no figure on the page is typed by hand.

Run: ``python docs/results_page.py RESULTS_DIR docs/results.md [--readme README.md]``, where RESULTS_DIR holds ``rows.parquet``
and ``facts.json``. The plots go into the folder ``docs/results/``; ``--readme`` also replaces what stands in that file between
``<!-- results:begin -->`` and ``<!-- results:end -->``. Equal input gives equal files.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import results_text as words
from results_data import ROLES, Results, read_results, sample
from results_measures import answers_to, as_good, difference, level, present, ranked, rivals, shown_though_denied, taps, users
from results_plots import draw_plots
from results_text import NONE, interval, number, table, verdict

from privwiz.errors import DataError
from privwiz.files import read_text, writing
from privwiz.metrics import Interval, ItemScore, bootstrap, summarise

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
LEVEL, FEW, SCREENS = 10, (5, 10, 20), (1, 2, 3, 5, 10, 15, 20, 30)
EFFORT, TAPS = (20, 40, 60, 80), (5, 10, 20, 30)
ANSWERS, LAST = (0, 1, 2, 3, 5, 8, 10, 15, 20, 25), 25

Value = Callable[[str, str, int], str]
"""What a cell shows for a method, a regime and a checkpoint."""


def page(results: Results, folder: str) -> str:
    """Return the whole page; its plots are in ``folder``, as seen from the page."""
    sections = [
        head(results),
        matrix(results, folder),
        losses(results),
        every_cell(results),
        effort(results, folder),
        per_item(results, folder),
        safety(results, folder),
        room(results),
        cost(results),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def head(results: Results) -> str:
    """Say what was measured, on what, and what it is worth."""
    facts, friends = results.facts, list(results.facts.egos.values())
    items = len(set(results.columns["item"].tolist()))
    data = f"Data: {facts.data}, {len(friends)} networks"
    data += f" of {min(friends)} to {max(friends)} friends" if friends else ""
    data += f", {facts.draws} simulated policies each" if facts.draws else ""
    data += f"; {items} profile items. Regimes of simulated policies: {', '.join(facts.regimes)}."
    left_out = [
        f"Left out, {reason}: {', '.join(map(str, many)) if isinstance(many, list) else many}."
        for reason, many in facts.skipped.items()
    ]
    return "\n\n".join([words.HEAD, data, *left_out, words.COUNTED, "## Methods", "\n".join(method_lines(results))])


def method_lines(results: Results) -> Iterable[str]:
    """Yield a line for every method with rows: what it is, and what part it plays."""
    facts, shown = results.facts, set(results.columns["method"].tolist())
    played = {method: role for role in reversed(ROLES) for method in (getattr(facts, role), facts.items.get(role)) if method}
    for method, text in facts.methods.items():
        if method in shown:
            role = played.get(method)
            part = f" ({words.ROLE_WORDS[role]})" if role else ""
            yield f"- {f'**{method}**' if role == 'ours' else method}{part}: {text}"


def matrix(results: Results, folder: str) -> str:
    """Report the accuracy on nontrivial items after so many screens about the whole matrix."""
    if not results.checkpoints("screens"):
        return ""
    ours, at_level = results.role("ours", "screens"), present(results, "screens", [LEVEL])
    parts = [
        words.MATRIX.format(level=LEVEL),
        f"![Accuracy on non-trivial items after so many screens, one panel per regime]({folder}/screens.svg)",
        *curve_tables(results, "screens", SCREENS),
    ]
    if at_level:
        parts += [
            f"### Level after {LEVEL} screens, with interval",
            regime_table(results, "screens", at_level, with_interval(results)),
        ]
    if at_level and ours and results.facts.targets:
        parts += [f"### Targets after {LEVEL} screens", target_table(results, ours)]
    if ours and rivals(results, "screens"):
        parts += [words.DIFFERENCES, *difference_tables(results, "screens", FEW)]
    return "\n\n".join(parts)


def losses(results: Results) -> str:
    """List every regime, checkpoint and rival where the main method is not clearly ahead."""
    rows, total = [], 0
    for unit, wanted, nontrivial in (
        ("screens", FEW, True),
        ("screens", FEW, False),
        ("effort", EFFORT, True),
        ("answers", FEW, True),
    ):
        compared = rivals(results, unit) if results.role("ours", unit) else []
        compared = [name for name in compared if name not in results.facts.variants]
        for regime, rival in ((regime, rival) for regime in results.regimes(unit) for rival in compared):
            for at in present(results, unit, wanted):
                found = difference(results, unit, regime, rival, at, nontrivial=nontrivial)
                if found is None:
                    continue
                total += 1
                if said := verdict(found[0]):
                    measure = f"{unit}, {'non-trivial' if nontrivial else 'all cells'}"
                    rows.append([measure, regime, rival, str(at), interval(found[0], sign=True), said])
    if not total:
        return ""
    behind = sum(row[-1].startswith("behind") for row in rows)
    text = words.LOSSES.format(total=total, ahead=total - len(rows), unclear=len(rows) - behind, behind=behind)
    listed = (
        table(["counted by", "regime", "rival", "at", "difference", "in words"], rows, left=3) if rows else "Nowhere in this run."
    )
    return f"{text}\n\n{listed}"


def every_cell(results: Results) -> str:
    """Report accuracy on all items, and what would be shown against the user's will."""
    ats = present(results, "screens", FEW)
    if not ats:
        return ""
    when = f"after {joined(ats)} screens"
    parts = [
        words.EVERY_CELL.format(when=when),
        regime_table(results, "screens", ats, accuracy(results, "screens", nontrivial=False)),
        words.FALSE_ALLOW.format(when=when),
        regime_table(results, "screens", ats, share(results, lambda scores: summarise(scores)["false_allow"])),
        words.FALSE_ALLOW_AT_COST.format(when=when),
        regime_table(results, "screens", ats, share(results, shown_though_denied)),
    ]
    return "\n\n".join(parts)


def effort(results: Results, folder: str) -> str:
    """Report accuracy at equal effort, and how many taps the screens took."""
    units, screens, parts = present(results, "effort", EFFORT), present(results, "screens", TAPS), []
    if units:
        parts += [
            words.EFFORT.format(units=joined(units)),
            f"![Accuracy on non-trivial items at equal effort, one panel per regime]({folder}/effort.svg)",
            regime_table(results, "effort", units, accuracy(results, "effort", nontrivial=True)),
        ]
    if screens:

        def value(method: str, regime: str, at: int) -> str:
            return number(taps(sample(results, "screens", regime, method, at)))

        parts += [words.TAPS.format(screens=joined(screens)), regime_table(results, "screens", screens, value)]
    return "\n\n".join(["## Equal effort", *parts]) if parts else ""


def per_item(results: Results, folder: str) -> str:
    """Report accuracy after so many answers about one item, and how many answers it takes to be as good as the rival or 90 %."""
    if not results.checkpoints("answers"):
        return ""
    last, rival = results.checkpoints("answers")[-1], results.role("rival", "answers")

    def needed(method: str, regime: str, at: int) -> str:
        found = as_good(results, method, regime, str(rival), at)
        return f"> {at}" if found is None else str(found)

    def ninety(method: str, regime: str, at: int) -> str:
        found = answers_to(results, method, regime, 0.9)
        return f"> {at}" if math.isinf(found) else number(found, 0)

    parts = [
        words.PER_ITEM,
        f"![Accuracy on non-trivial items after so many answers about the item, one panel per regime]({folder}/answers.svg)",
        *curve_tables(results, "answers", ANSWERS),
    ]
    if rival and present(results, "answers", [LAST]):
        parts += [words.AS_GOOD.format(rival=rival, last=LAST), regime_table(results, "answers", [LAST], needed)]
    return "\n\n".join([*parts, words.NINETY, regime_table(results, "answers", [last], ninety)])


def safety(results: Results, folder: str) -> str:
    """Report what would be set, and how often wrongly, after ten screens at the items' cost."""
    if not present(results, "screens", [LEVEL]):
        return ""
    roles = [results.role(name, "screens") for name in ("ours", "gp_rival", "rival", "no_prior")]
    methods = list(dict.fromkeys(filter(None, roles))) or results.methods("screens")
    header = "set;right of these;wrong of allowed;left to ask;denied but shown;calibration error;Brier;cost".split(";")
    parts = [
        words.SAFETY.format(level=LEVEL),
        f"![Share truly allowed against predicted probability, one panel per regime]({folder}/reliability.svg)",
    ]
    for title, nontrivial in (("All cells", False), ("Non-trivial items", True)):
        rows = [
            [regime, *named(results, "screens", method, safety_cells(results, method, regime, nontrivial=nontrivial))]
            for regime in results.regimes("screens")
            for method in methods
        ]
        parts += [f"### {title}", table(["regime", "method", *header], rows, left=2)]
    return "\n\n".join(parts)


def safety_cells(results: Results, method: str, regime: str, *, nontrivial: bool) -> list[str]:
    """Return the figures of one row about safety."""
    scores = sample(results, "screens", regime, method, LEVEL, nontrivial=nontrivial).scores
    found = summarise(scores) | {"shown": shown_though_denied(scores)}
    shares = "set_share set_accuracy wrong_among_allowed ask_share shown calibration_error".split()
    return [*(number(100 * found[name]) for name in shares), number(found["brier"], 3), number(found["cost"], 3)]


def room(results: Results) -> str:
    """Report how far the main method is from knowing the real circles, and from knowing the rules."""
    ours, oracle, ceiling = results.role("ours", "screens"), results.role("oracle", "screens"), results.facts.ceiling
    if not (oracle or ceiling) or not present(results, "screens", [LEVEL]):
        return ""
    show, last = accuracy(results, "screens", nontrivial=True), results.checkpoints("screens")[-1]
    columns = [(ours, at) for at in dict.fromkeys((LEVEL, last)) if ours] + [(oracle, LEVEL)] * bool(oracle)
    rows = [
        [regime, *(show(str(method), regime, at) for method, at in columns)]
        + ([number(ceiling.get(regime, math.nan))] if ceiling else [])
        for regime in results.regimes("screens")
    ]
    header = ["regime", *(f"{method}, {at} screens" for method, at in columns)] + ["noise-free policy"] * bool(ceiling)
    text = [words.ROOM] + [words.REAL_CIRCLES.format(oracle=oracle)] * bool(oracle) + [words.CEILING] * bool(ceiling)
    return "\n".join(text) + "\n\n" + table(header, rows)


def cost(results: Results) -> str:
    """Report the time it took, and with what."""
    facts, parts = results.facts, ["## Cost"]
    if facts.cpu_seconds:
        rows = [[name, "not measured" if value is None else number(1000 * value)] for name, value in facts.cpu_seconds.items()]
        parts.append(table(["CPU time per screen", "ms"], rows))
    run = [f"{facts.workers} worker processes"] if facts.workers else []
    run += [f"{number(facts.seconds / 60)} minutes"] if facts.seconds is not None else []
    run += [f"{name} {version}" for name, version in sorted(facts.versions.items())]
    if run:
        parts.append(f"The run: {', '.join(run)}.")
    return "\n\n".join(parts) if len(parts) > 1 else ""


def curve_tables(results: Results, unit: str, wanted: Iterable[int]) -> Iterable[str]:
    """Yield one table per regime: the accuracy of every method at every checkpoint."""
    ats, show = present(results, unit, wanted), accuracy(results, unit, nontrivial=True)
    for regime in results.regimes(unit):
        methods = ranked(results, unit, [regime], rank_at(ats))
        rows = [named(results, unit, method, [show(method, regime, at) for at in ats]) for method in methods]
        yield f"### {regime}\n\n" + table([f"after {unit}:", *map(str, ats)], rows)


def regime_table(results: Results, unit: str, ats: Sequence[int], value: Value) -> str:
    """Return a table of methods and regimes; a cell holds the values at all checkpoints."""
    regimes = results.regimes(unit)
    rows = [
        named(results, unit, method, [joined(value(method, regime, at) for at in ats) for regime in regimes])
        for method in ranked(results, unit, regimes, rank_at(ats))
    ]
    return table(["", *regimes], rows)


def difference_tables(results: Results, unit: str, wanted: Iterable[int]) -> Iterable[str]:
    """Yield one table per checkpoint: by how much the main method is ahead of each other method in each regime."""
    regimes = results.regimes(unit)
    for at in present(results, unit, wanted):
        rows = [
            [rival, *(difference_text(results, unit, regime, difference(results, unit, regime, rival, at)) for regime in regimes)]
            for rival in rivals(results, unit)
        ]
        yield table([f"after {at} {unit}, ahead of:", *regimes], rows)


def target_table(results: Results, ours: str) -> str:
    """Compare the main method with what was aimed at."""
    rows = []
    for regime in results.regimes("screens"):
        if regime in results.facts.targets:
            target, reached = results.facts.targets[regime], 100 * level(results, "screens", ours, regime, LEVEL)
            said = "reached" if reached >= target else f"missed by {number(target - reached)}"
            rows.append([regime, number(reached), number(target), said])
    return table(["regime", ours, "target", "in words"], rows)


def rank_at(ats: Sequence[int]) -> int:
    """Return the checkpoint by which methods are put in order."""
    return LEVEL if LEVEL in ats else ats[-1]


def joined(values: Iterable[object]) -> str:
    """Write the values of several checkpoints side by side."""
    return " / ".join(map(str, values))


def named(results: Results, unit: str, method: str, cells: Sequence[str]) -> list[str]:
    """Put the name of its method before a row: the main one bold, the one that knows more than a product could in italics."""
    mark = {results.role("oracle", unit): "*", results.role("ours", unit): "**"}.get(method, "")
    return [f"{mark}{cell}{mark}" for cell in (method, *cells)]


def accuracy(results: Results, unit: str, *, nontrivial: bool) -> Value:
    """Return what shows a mean accuracy in percent, and of how many users it is if not of all."""

    def value(method: str, regime: str, at: int) -> str:
        found = summarise(sample(results, unit, regime, method, at, nontrivial=nontrivial).scores)["accuracy"]
        count = len(set(sample(results, unit, regime, method, at).users))
        return number(100 * found) + (f" (n = {count})" if 0 < count < users(results, unit, regime) else "")

    return value


def share(results: Results, measure: Callable[[Sequence[ItemScore]], float]) -> Value:
    """Return what shows a share of all cells in percent."""
    return lambda method, regime, at: number(100 * measure(sample(results, "screens", regime, method, at).scores))


def with_interval(results: Results) -> Value:
    """Return what shows a mean accuracy on nontrivial items in percent with its interval."""

    def value(method: str, regime: str, at: int) -> str:
        found = sample(results, "screens", regime, method, at, nontrivial=True)
        return interval(bootstrap(found.scores, found.users)["accuracy"])

    return value


def difference_text(results: Results, unit: str, regime: str, found: tuple[Interval, int] | None) -> str:
    """Format a difference with its interval, and say where it is no clear lead or not of all users."""
    if found is None:
        return NONE
    lead, count = found
    few = f"n = {count}" if count < users(results, unit, regime, nontrivial=True) else ""
    said = "; ".join(filter(None, (verdict(lead), few)))
    return interval(lead, sign=True) + (f" ({said})" if said else "")


def readme_table(results: Results) -> str:
    """Return the table for the README: three methods after ten screens, and how far the main one is ahead.

    Raises
    ------
    DataError
        If the facts do not name the methods, or there are no rows after ten screens.
    """
    ours, gp, rival = (results.role(name, "screens") for name in ("ours", "gp_rival", "rival"))
    if ours is None or gp is None or rival is None or not present(results, "screens", [LEVEL]):
        wanted = "'ours', 'gp_rival' and 'rival'"
        raise DataError(f"no table for the README without rows after {LEVEL} screens of what facts.json calls {wanted}; add them")
    show, rows = accuracy(results, "screens", nontrivial=True), []
    for regime in results.regimes("screens"):
        ahead = [
            difference_text(results, "screens", regime, difference(results, "screens", regime, o, LEVEL)) for o in (gp, rival)
        ]
        rows.append([regime, f"**{show(ours, regime, LEVEL)}**", show(gp, regime, LEVEL), show(rival, regime, LEVEL), *ahead])
    header = ["regime", f"**{ours}**", gp, rival, f"ahead of {gp}", f"ahead of {rival}"]
    return words.README.format(level=LEVEL, data=results.facts.data) + "\n\n" + table(header, rows)


def with_table(text: str, content: str, source: str) -> str:
    """Replace what stands between the markers.

    Raises
    ------
    DataError
        If there is not exactly one pair of markers, in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise DataError(f"needs the lines {BEGIN} and {END} once each, in this order; add them", source=source)
    return f"{text[: text.index(BEGIN)]}{BEGIN}\n\n{content}\n\n{text[text.index(END) :]}"


def write(text: str, path: Path) -> None:
    """Write a text file in one step."""
    with writing(path) as file:
        file.write(text.encode())


def main(arguments: Sequence[str] | None = None) -> int:
    """Write page, plots and the table of the README; return 2 if the results cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, metavar="RESULTS_DIR", help="folder with rows.parquet and facts.json")
    parser.add_argument("page", type=Path, metavar="PAGE", help="such as docs/results.md; plots go into the folder docs/results")
    parser.add_argument("--readme", type=Path, help="file whose table between the markers is replaced")
    given = parser.parse_args(arguments)
    plots = given.page.with_suffix("")
    try:
        results = read_results(given.results)
        text = page(results, plots.name)
        readme = with_table(read_text(given.readme), readme_table(results), str(given.readme)) if given.readme else None
        draw_plots(results, plots)
        write(text, given.page)
        if readme is not None:
            write(readme, given.readme)
    except (DataError, OSError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

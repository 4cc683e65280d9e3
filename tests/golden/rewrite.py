"""Write the golden files again: ``python tests/golden/rewrite.py``, after a change that is meant to change policies.

``ada.wizard.json`` is a saved wizard of Ada, the main user of ``sample_graphs/town``: circles as they were found then, the
audience of every item, the first forty answers of ``sample_graphs/town/answers.csv``, and three answers about one group.
``ada.policy.csv`` is the policy that follows from it, one row per friend: for each item a letter for the decision (a allow,
d deny, ? ask) and the probability of allow.
"""

import csv
import sys
from pathlib import Path

from privwiz import Policy, Wizard, read_ego_network

HERE = Path(__file__).parent
SESSION, POLICY = HERE / "ada.wizard.json", HERE / "ada.policy.csv"
TOWN = HERE.parents[1] / "sample_graphs" / "town"
AUDIENCE = ["most", "few", "half", "few", "nobody", "everybody", "half", "few", "few", "most", "half", "few"]
LETTERS = {"allow": "a", "deny": "d", "ask": "?"}


def ada():
    """Return the ego network of Ada."""
    return read_ego_network(TOWN / "edges.csv", "ada", TOWN / "profiles.csv")


def answered() -> Wizard:
    """Return Ada's wizard after a fixed list of answers."""
    wizard = Wizard(ada(), seed=0)
    wizard.answer(wizard.next_screen({"audience"}), AUDIENCE)
    with (TOWN / "answers.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["user"] == "ada"]
    for row in rows[:40]:
        wizard.label(row["item"], row["friend"], row["decision"])
    screen = wizard.next_screen({"circle"}, ["photos", "work", "wall"], least_gain=0)
    wizard.answer(screen, ["all", "none", "some"])
    return wizard


def rows(policy: Policy) -> list[list[str]]:
    """Return the policy as a compact table with a heading."""
    table = [["friend", *(item.id for item in policy.items)]]
    for friend in policy.friends:
        cells = [policy[item.id, friend] for item in policy.items]
        table.append([friend, *(f"{LETTERS[cell.decision]}{cell.probability:.3f}" for cell in cells)])
    return table


def main() -> None:
    """Write both files."""
    wizard = answered()
    SESSION.write_text(wizard.to_json() + "\n", encoding="utf-8")
    with POLICY.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows(wizard.policy()))
    sys.stdout.write(f"wrote {SESSION.name} and {POLICY.name}\n")


if __name__ == "__main__":
    main()

"""What labelling many users costs, beside what an engineer would write with networkx and scikit-learn, on the same users.

The rival takes the ego network out of a networkx graph, finds communities by `louvain_communities`, makes one-hot columns of the
community and of every profile value, and fits a decision tree for each item. Both run in the same pool of processes and write
Parquet; accuracy is over the cells that no answer is about, of items that the user neither opens nor closes to nearly all.

Run: ``python benchmarks/batch.py [--people N] [--users N] [--friends N] [--workers N]``
"""

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import networkx as nx
import numpy as np
import pyarrow as pa
from pyarrow import parquet as pq
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.tree import DecisionTreeClassifier

from privwiz.batch import BatchInput, Resources, label_many, warm_up
from privwiz.case import Labelling, case_fingerprint, label_case
from privwiz.circles import RESOLUTIONS
from privwiz.communities import leiden
from privwiz.community import Community, simulate_community, simulate_users
from privwiz.community_files import write_community
from privwiz.items import CATALOGUE
from privwiz.policy_parts import write_policies
from privwiz.prior import Prior
from privwiz.readers import read_graph
from privwiz.rejected import RejectedRows
from privwiz.simulate import SimulatedPolicy, sample_answers
from privwiz.store_builder import build_store
from privwiz.tables import read_table, write_table
from privwiz.workers import Work, run_tasks

ANSWERS = 60
CHUNK = 60
NAMES = ("user", "item", "friend", "decision")
ITEMS = [item.id for item in CATALOGUE]
LABELLING = Labelling(CATALOGUE, Prior.default())
MILLISECONDS_LIMIT, RATIO_LIMIT = 12.0, 10.0


def write_tables(folder: Path, people: int, count: int, friends: int) -> tuple[Community, dict[str, SimulatedPolicy]]:
    """Write a town, and answers of the users whose number of friends is nearest to ``friends``; return these users' policies."""
    town = simulate_community(people)
    users = sorted(town.users, key=lambda user: (abs(len(town.friends(user)) - friends), user))[:count]
    write_community(town, folder, users=users[:1], ending=".parquet")
    policies = {policy.ego: policy for _, policy in simulate_users(town, users)}
    rows = [(user, *cell) for user, policy in policies.items() for cell in sample_answers(policy, ANSWERS // len(ITEMS), 0)]
    write_table(folder / "answers.parquet", {name: [row[k] for row in rows] for k, name in enumerate(NAMES)})
    return town, policies


def start_rival(folder: Path, users: list[str]) -> Work:
    """Return what labels a chunk of users as an engineer would, and returns the seconds it took."""
    graph = read_graph(folder / "edges.parquet", folder / "profiles.parquet")
    answers: dict[str, dict[str, dict[str, str]]] = {}
    for user, item, friend, decision in read_table(folder / "answers.parquet", NAMES).rows():
        answers.setdefault(user, {}).setdefault(item, {})[friend] = decision

    def work(part: int) -> float:
        begun = time.process_time()
        rows: list[tuple[str, str, str, str, float]] = []
        for user in users[part * CHUNK : (part + 1) * CHUNK]:
            friends = sorted(graph[user])
            network = graph.subgraph(friends)
            communities = nx.community.louvain_communities(network, seed=0)
            number = {friend: k for k, community in enumerate(communities) for friend in community}
            values = [
                [
                    f"community={number[friend]}",
                    *(f"{field}={value}" for field, held in graph.nodes[friend].items() for value in held),
                ]
                for friend in friends
            ]
            X = MultiLabelBinarizer().fit_transform(values)
            position = {friend: k for k, friend in enumerate(friends)}
            for item in ITEMS:
                said = answers[user].get(item, {})
                known = [position[friend] for friend in said]
                y = [decision == "allow" for decision in said.values()]
                tree = DecisionTreeClassifier(random_state=0).fit(X[known], y)
                chance = tree.predict_proba(X)[:, -1] if tree.classes_[-1] else np.zeros(len(friends))
                rows += [
                    (user, item, friend, "allow" if p > 0.5 else "deny", p) for friend, p in zip(friends, chance, strict=True)
                ]
        names = ("user", "item", "friend", "decision", "probability")
        table = pa.table({name: [row[k] for row in rows] for k, name in enumerate(names)})
        pq.write_table(table, folder / f"rival-{part}.parquet", compression="zstd")
        return time.process_time() - begun

    return work


def quality(table: pa.Table, folder: Path, policies: dict[str, SimulatedPolicy]) -> tuple[float, float]:
    """Return accuracy of p > 1/2 and area under the curve, over cells without an answer, of items that are no foregone thing."""
    said = set(read_table(folder / "answers.parquet", NAMES).rows("user", "item", "friend"))
    truth, chance, curves = [], [], []
    by_item: dict[tuple[str, str], list[tuple[bool, float]]] = {}
    lookup = {
        (user, item.id): dict(zip(policy.friends, policy.allow[j].tolist(), strict=True))
        for user, policy in policies.items()
        for j, item in enumerate(policy.items)
        if 0.1 <= policy.allow[j].mean() <= 0.9
    }
    columns = (table[name].to_pylist() for name in ("user", "item", "friend", "probability"))
    for user, item, friend, probability in zip(*columns, strict=True):
        if (user, item) in lookup and (user, item, friend) not in said:
            by_item.setdefault((user, item), []).append((lookup[user, item][friend], probability))
    for cells in by_item.values():
        allowed, likely = zip(*cells, strict=True)
        truth += allowed
        chance += likely
        if len(set(allowed)) == 2:
            curves.append(roc_auc_score(allowed, likely))
    return float(np.mean((np.array(chance) > 0.5) == np.array(truth))), float(np.mean(curves))


def parts(folder: Path, users: list[str]) -> dict[str, float]:
    """Return milliseconds of processor time per user of each step, in this process."""
    with RejectedRows(folder / "rejected.csv") as rejected:
        store = build_store(
            folder / "store", folder / "edges.parquet", folder / "profiles.parquet", folder / "answers.parquet", rejected
        )
    people = [store.people.number(user) for user in users]
    warm_up(LABELLING)
    spent: dict[str, float] = {}

    def measured(name: str, step: object) -> list:
        begun = time.process_time()
        results = [step(k) for k in range(len(users))]  # type: ignore[operator]
        spent[name] = 1000 * (time.process_time() - begun) / len(users)
        return results

    networks = measured("cut the ego network out", lambda k: store.ego_network(people[k]))
    said = measured("read the answers", lambda k: store.said(people[k]))
    measured("fingerprint", lambda k: case_fingerprint(networks[k], said[k], LABELLING))
    measured("of this: circles (the floor)", lambda k: leiden(networks[k], RESOLUTIONS, 0))
    labelled = measured("label", lambda k: label_case(networks[k], said[k], LABELLING))
    begun = time.process_time()
    with (folder / "part.parquet").open("wb") as file:
        write_policies(labelled, ITEMS, "flat", file, reasons=False)
    spent["write"] = 1000 * (time.process_time() - begun) / len(users)
    return spent


def main() -> int:
    """Measure, print the tables, and return 1 if a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=4000)
    parser.add_argument("--users", type=int, default=120)
    parser.add_argument("--friends", type=int, default=250)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _, policies = write_tables(folder, given.people, given.users, given.friends)
        users = sorted(policies)
        friends = np.mean([len(policy.friends) for policy in policies.values()])
        print(f"{len(users)} users of {friends:.0f} friends, {len(ITEMS)} items, {ANSWERS} answers; {given.workers} processes")
        tables = BatchInput(folder / "edges.parquet", folder / "answers.parquet", folder / "profiles.parquet")
        run = label_many(tables, folder / "out", LABELLING, resources=Resources(given.workers, CHUNK))
        ours = 1000 * run.report.seconds / len(users)
        tasks = range(-(-len(users) // CHUNK))
        theirs = 1000 * sum(run_tasks(partial(start_rival, folder, users), tasks, given.workers)) / len(users)
        mine = quality(pq.read_table(folder / "out" / "policies"), folder, policies)
        other = quality(pa.concat_tables(pq.read_table(folder / f"rival-{part}.parquet") for part in tasks), folder, policies)
        print(f"\n{'':<42}{'ms/user':>9}{'users/CPU s':>13}{'accuracy':>10}{'AUC':>7}")
        for label, milliseconds, (accuracy, auc) in (
            ("privwiz label", ours, mine),
            ("networkx + one-hot + trees", theirs, other),
        ):
            print(f"{label:<42}{milliseconds:>9.1f}{1000 / milliseconds:>13.1f}{accuracy:>10.3f}{auc:>7.3f}")
        print(f"{'ratio':<42}{theirs / ours:>9.1f}")
        print("\nprocessor time of one user, ms; and core-hours of a million users")
        for step, milliseconds in parts(folder, users).items():
            print(f"{step:<42}{milliseconds:>9.2f}{milliseconds / 3.6:>9.2f}")
        print(f"{'all, as measured in the run':<42}{ours:>9.2f}{ours / 3.6:>9.2f}")
        broken = ours > MILLISECONDS_LIMIT or theirs / ours < RATIO_LIMIT or mine[0] < other[0]
        print(
            f"limits ({MILLISECONDS_LIMIT:.0f} ms; ratio {RATIO_LIMIT:.0f}; accuracy no worse): "
            + ("BROKEN" if broken else "kept")
        )
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())

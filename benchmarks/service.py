"""The REST service under load, beside a bare Flask route that answers as many bytes, in the same run.

Every server is a real one: gunicorn with threads, one worker each, so that a request's CPU time is what the server's processes
spent, divided by the requests. The load comes from threads of this process on the same two cores. Users have 250 friends in
circles of about 30 and 12 items.

- *policy read*: ``GET policy`` of users whose policy is written already. The rivals: a bare route that writes the same document
  (``jsonify``), and one that has its bytes.
- *confirmed screen*: ``POST answers``, which brings the next screen or is followed by a request for it, and the first read of the
  new policy. The rival: the library, which takes in the same answers, chooses the next screen, and decides every cell.
- *mixed*: one confirmed screen to five policy reads. *New friend*: ``POST friends``, and suggestions for every item come back.
- *many users*: policy reads of 1,000 and of ``--users`` users in one SQLite file, cold (each user's first) and warm.

Run: ``python benchmarks/service.py [--seconds 60] [--users 100000]``.
"""

import argparse
import http.client
import itertools
import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import networkx as nx
from joserfc import jwt
from joserfc.jwk import OctKey
from threadpoolctl import threadpool_limits

from privwiz import EgoNetwork, Wizard, ego_network
from privwiz_api.client import Client, Refused, User

FRIENDS = 250
CIRCLE = 30
ROUNDS = 5
SECRET = "not a secret: it is drawn for nothing but this benchmark"  # noqa: S105
TENANT = "sns"

BARE = """
import json, sys
from flask import Flask, Response, jsonify
from gunicorn.app.base import BaseApplication
body = open(sys.argv[2], "rb").read()
document = json.loads(body)
app = Flask("bare")
app.get("/written", endpoint="written")(lambda: Response(body, content_type="application/json"))
app.get("/document", endpoint="document")(lambda: jsonify(document))
class Server(BaseApplication):
    def load_config(self):
        chosen = {"bind": "127.0.0.1:" + sys.argv[1], "worker_class": "gthread", "workers": 1, "threads": 4, "preload_app": True,
                  "keepalive": 5, "control_socket_disable": True}
        for name, value in chosen.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)
    def load(self):
        return app
Server().run()
"""


def people(friends: int, seed: int = 0) -> EgoNetwork:
    """Make a user with so many friends, in circles that know each other and share a school."""
    blocks = [CIRCLE] * (friends // CIRCLE) + [friends % CIRCLE] * (friends % CIRCLE > 0)
    graph = nx.random_partition_graph(blocks, 0.4, 1.5 / friends, seed=seed)
    nx.set_node_attributes(graph, {k: f"school {k // CIRCLE}" for k in range(friends)}, "school")
    graph = nx.relabel_nodes(graph, {k: f"friend {k:04}" for k in range(friends)})
    graph.add_edges_from(("me", friend) for friend in list(graph))
    return ego_network(graph, "me")


@dataclass
class Server:
    """A running server: its port, and the process whose children answer."""

    process: subprocess.Popen[bytes]
    port: int

    def cpu(self) -> float:
        """Seconds of CPU that all its processes have spent."""
        ticks = 0
        for pid in [self.process.pid, *_children(self.process.pid)]:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def token(self, subject: str = "backend", scope: str = "sns") -> str:
        """Sign a token."""
        claims = {"iss": "sns", "aud": "privwiz", "sub": subject, "tenant": TENANT, "scope": scope}
        return jwt.encode({"alg": "HS256"}, claims | {"exp": int(time.time()) + 36_000}, OctKey.import_key(SECRET))

    def user(self, name: str) -> User:
        """Return a user, over a connection of its own."""
        return Client(f"http://127.0.0.1:{self.port}", self.token(), timeout=120).user(name)


def _children(pid: int) -> list[int]:
    own = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]
    return own + [below for child in own for below in _children(child)]


@contextmanager
def serving(command: list[str], port: int, **environment: str) -> Iterator[Server]:
    """Start a server, wait until it answers, and stop it."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, *command], env={**os.environ, **environment}, stdout=log, stderr=log)
    try:
        for _ in range(600):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                connection.request("GET", "/healthz")
                connection.getresponse().read()
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise SystemExit(f"the server at port {port} did not start")
        yield Server(process, port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def service(database: Path, port: int) -> AbstractContextManager[Server]:
    """Start the service on a database."""
    return serving(
        ["-c", "from privwiz.cli import main; main()", "serve", "--workers", "1", "--port", str(port)],
        port,
        DATABASE_URL=f"sqlite:///{database}",
        PRIVWIZ_JWT_SECRET=SECRET,
        PRIVWIZ_BACKEND_RATE="100000000",
    )


@dataclass
class Load:
    """What clients have seen: milliseconds by kind of request, and refusals by status."""

    times: dict[str, list[float]] = field(default_factory=dict)
    refused: dict[int, int] = field(default_factory=dict)

    def timed(self, kind: str, work: Callable[[], object]) -> object:
        """Do a request and note how long it took, or that it was refused."""
        start = time.perf_counter()
        try:
            return work()
        except Refused as error:
            self.refused[error.status] = self.refused.get(error.status, 0) + 1
            return None
        finally:
            self.times.setdefault(kind, []).append(1000 * (time.perf_counter() - start))

    def row(self, kind: str) -> str:
        """Say how often and how long: median, 95th and 99th of a hundred."""
        found = sorted(self.times[kind])
        at = [found[min(len(found) - 1, int(share * len(found)))] for share in (0.5, 0.95, 0.99)]
        return f"{len(found):6} requests, p50 {at[0]:7.1f} ms, p95 {at[1]:7.1f} ms, p99 {at[2]:7.1f} ms"


def hammer(server: Server, path: str, seconds: float, threads: int = 4) -> tuple[int, float, Load]:
    """Read one path as fast as it goes; return requests, CPU seconds of the server, and latencies."""
    load, token, end = Load(), server.token(), time.monotonic() + seconds
    load.times["read"] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        while time.monotonic() < end:
            start = time.perf_counter()
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            answer.read()
            load.times["read"].append(1000 * (time.perf_counter() - start))
            if answer.status != 200:
                load.refused[answer.status] = load.refused.get(answer.status, 0) + 1

    before = server.cpu()
    _together([client] * threads)
    return len(load.times["read"]), server.cpu() - before, load


def _together(clients: list[Callable[[], None]]) -> None:
    running = [threading.Thread(target=client) for client in clients]
    for one in running:
        one.start()
    for one in running:
        one.join()


def said(screen: dict[str, object], rng: random.Random) -> list[str]:
    """Answer a screen at random."""
    toggles: list[dict[str, object]] = screen["toggles"]  # type: ignore[assignment]
    return [rng.choice(list(toggle["choices"]) or ["few", "half", "most"]) for toggle in toggles]  # type: ignore[call-overload]


def reads(ours: Server, bare: Server, seconds: float) -> None:
    """Policy reads beside both bare routes, in turn."""
    cpu: dict[str, list[float]] = {}
    rates: list[float] = []
    latest = Load()
    for _ in range(ROUNDS):
        for name, server, path in (
            ("service", ours, "/v1/users/u0/policy"),
            ("bare, document", bare, "/document"),
            ("bare, bytes", bare, "/written"),
        ):
            count, spent, load = hammer(server, path, seconds)
            assert not load.refused, load.refused
            cpu.setdefault(name, []).append(1e6 * spent / count)
            if name == "service":
                rates.append(count / seconds)
                latest.times.setdefault("read", []).extend(load.times["read"])
    own = cpu["service"]
    for name, values in cpu.items():
        ratio = statistics.median(mine / other for mine, other in zip(own, values, strict=True))
        print(f"policy read, {name:15} {statistics.median(values):6.0f} us of CPU; the service takes {ratio:4.2f} times as much")
    print(f"policy read, service         {statistics.median(rates):6.0f} requests/s, 4 clients; {latest.row('read')}")


def library(network: EgoNetwork, screens: int) -> float:
    """Milliseconds of CPU that the library takes for a confirmed screen: answers in, next screen, every cell decided."""
    spent, counted = 0.0, 0
    for seed in itertools.count():
        wizard, rng = Wizard(network), random.Random(seed)
        screen = wizard.next_screen()
        while screen is not None:
            answers = [rng.choice(list(toggle.choices) or ["few", "half", "most"]) for toggle in screen.toggles]
            before = time.process_time()
            wizard.answer(screen, answers)
            screen = wizard.next_screen()
            _ = wizard.policy().decisions
            spent += time.process_time() - before
            counted += 1
            if counted == screens:
                return 1000 * spent / counted
    raise AssertionError


def confirmed(ours: Server, users: list[str], screens: int, *, together: bool) -> tuple[float, Load]:
    """Milliseconds of CPU of a confirmed screen, and latencies; ``together``, the next one comes with the answer."""
    load, rng, spent, counted = Load(), random.Random(0), 0.0, 0
    for name in users:
        user = ours.user(name)
        screen = user.next_screen()
        while screen is not None and counted < screens:
            answers = said(screen, rng)
            before = ours.cpu()
            if together:
                screen = load.timed("answers", lambda u=user, s=screen, a=answers: u.answer_and_next(s, a))
            else:
                load.timed("answers", lambda u=user, s=screen, a=answers: u.answer(s, a))
                screen = load.timed("next screen", user.next_screen)
            load.timed("new policy", user.policy)
            spent += ours.cpu() - before
            counted += 1
    return 1000 * spent / counted, load


def mixed(ours: Server, users: list[str], seconds: float, threads: int = 4) -> Load:
    """One confirmed screen to five policy reads of other users, from several clients."""
    load, end = Load(), time.monotonic() + seconds

    def client(own: list[str], seed: int) -> None:
        rng, me = random.Random(seed), ours.user(own[0])
        for name in itertools.cycle(own):
            user = User(me.client, name)
            screen = load.timed("next screen", user.next_screen)
            for _ in range(10):
                if screen is None or time.monotonic() > end:
                    break
                answers = said(screen, rng)
                screen = load.timed("answers", lambda u=user, s=screen, a=answers: u.answer_and_next(s, a))
                for _ in range(5):
                    other = User(me.client, rng.choice(users))
                    load.timed("read", other.policy)
            if time.monotonic() > end:
                return

    _together([lambda own=users[k::threads], k=k: client(own, k) for k in range(threads)])
    return load


def new_friends(user: User, friends: int, count: int) -> Load:
    """Send new friends, each tied to some friends of one circle."""
    load = Load()
    for k in range(count):
        first = CIRCLE * (k % (friends // CIRCLE))
        ties = [f"friend {first + i:04}" for i in range(8)]
        load.timed("new friend", lambda k=k, ties=ties, first=first: user.add_friend(
            f"new {k}", ties, {"school": [f"school {first // CIRCLE}"]}
        ))  # fmt: skip
    return load


def copy_users(database: Path, template: str, count: int) -> None:
    """Give so many users the network of one, by rows: ``many 0``, ``many 1``, ..."""
    with sqlite3.connect(database) as connection:
        for table, key in (("users", "id"), ("networks", "user")):
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            columns = ", ".join(f'"{name}"' for name in names)
            values = ", ".join("'many ' || value" if name == key else f'"{name}"' for name in names)
            connection.execute(
                f"INSERT INTO {table} ({columns}) WITH RECURSIVE n(value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM n "  # noqa: S608
                f'WHERE value + 1 < ?) SELECT {values} FROM {table}, n WHERE "{key}" = ?',
                (count, template),
            )


def many_users(folder: Path, port: int, counts: tuple[int, ...]) -> None:
    """Policy reads in files of few and of many users."""
    for count in counts:
        database = folder / f"{count}.db"
        with service(database, port) as ours:
            ours.user("template").put_network(people(FRIENDS))
        copy_users(database, "template", count)
        with service(database, port) as ours:
            load, rng = Load(), random.Random(0)
            chosen = [f"many {k}" for k in rng.sample(range(count), 300)]
            me = ours.user(chosen[0])
            for kind in ("cold", "warm"):
                for name in chosen:
                    load.timed(kind, User(me.client, name).policy)
        assert not load.refused, load.refused
        size = database.stat().st_size / 2**20
        for kind in ("cold", "warm"):
            print(f"{count:7} users ({size:6.0f} MB), {kind} read: {load.row(kind)}")
        database.unlink()


def main() -> None:
    """Print one line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of mixed load [default: 60]")
    parser.add_argument("--users", type=int, default=100_000, help="in the large file [default: 100000]")
    arguments = parser.parse_args()
    threadpool_limits(1)  # as in the service
    network = people(FRIENDS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with service(folder / "bench.db", 8181) as ours:
            users = [f"u{k}" for k in range(200)]
            ours.user("u0").put_network(network)
            for user in users[1:]:
                ours.user(user).put_network(network)
            body = json.dumps(ours.user("u0").policy())
            (folder / "body.json").write_text(body, encoding="utf-8")
            print(f"a policy has {len(body) / 1000:.0f} kB")
            with serving(["-c", BARE, "8182", str(folder / "body.json")], 8182) as bare:
                reads(ours, bare, min(4, arguments.seconds / 10))
            own = library(network, 60)
            for how, together, those in (("in one request", True, users[1:31]), ("in two", False, users[31:61])):
                theirs, load = confirmed(ours, those, 60, together=together)
                print(f"confirmed screen {how}: service {theirs:.1f} ms of CPU, library {own:.1f} ms, {theirs / own:.2f} times")
                for kind in load.times:
                    print(f"  {kind:12} {load.row(kind)}")
            load = mixed(ours, users[61:], arguments.seconds)
            total = sum(map(len, load.times.values()))
            print(f"mixed load: {total / arguments.seconds:.0f} requests/s; refused: {load.refused or 'none'}")
            for kind in load.times:
                print(f"  {kind:12} {load.row(kind)}")
            print(f"new friend,  {FRIENDS:5} friends: {new_friends(ours.user('u0'), FRIENDS, 150).row('new friend')}")
            large = ours.user("large")
            large.put_network(people(2000))
            print(f"new friend,   2000 friends: {new_friends(large, 2000, 150).row('new friend')}")
        many_users(folder, 8183, (1000, arguments.users))


if __name__ == "__main__":
    main()

"""Faults under load: killed workers and servers, a database that is killed, a full disk; nothing acknowledged is lost."""

import contextlib
import os
import random
import signal
import threading
import time
import uuid
from collections import Counter

import pytest

from privwiz_api.client import Client, Refused
from privwiz_api.database import Database
from privwiz_api.migrate import migrate

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("PRIVWIZ_KILLS", "6"))
"""How often workers are killed; the server, which takes longer to come back, a third as often."""

USERS = ("ann", "bob", "cleo")


class Load:
    """Users who answer and decide, each in a thread of its own, and remember what was acknowledged."""

    def __init__(self, url, token, network):
        self.url, self.token, self.network = url, token, network
        self.said, self.shown, self.retries, self.failures = Counter(), {}, 0, []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.use, args=(user, k)) for k, user in enumerate(USERS)]

    def begin(self):
        """Make the users, then start."""
        client = Client(self.url, self.token)
        for user in USERS:
            client.user(user).put_network(self.network)
        client.close()
        for thread in self.threads:
            thread.start()

    def wait_for_more(self):
        """Wait until one more write is acknowledged."""
        known, end = sum(self.said.values()), time.monotonic() + 60
        while sum(self.said.values()) == known:
            assert time.monotonic() < end, "nothing is acknowledged any more"
            time.sleep(0.02)

    def end(self):
        """Stop the users and wait for them."""
        self.stop.set()
        for thread in self.threads:
            thread.join(120)

    def use(self, name, seed):
        """Allow and deny cells, one after the other; a friend whom nobody allowed is never shown."""
        rng, user = random.Random(seed), Client(self.url, self.token, tries=40, timeout=20).user(name)
        friends = sorted(self.network["friends"])[:4]
        try:
            while not self.stop.is_set():
                cell = ("phone", rng.choice(friends))
                decision = rng.choice(("allow", "deny"))
                if rng.random() < 0.5:
                    user.label("email", cell[1], decision)
                    self.said[name] += 1
                    continue
                user.override(user.policy(), [{"item": cell[0], "friend": cell[1], "decision": decision}])
                self.said[name] += 1
                self.shown.setdefault(name, {})[cell] = decision == "allow"
        except Refused as refused:
            self.failures.append(refused)
        finally:
            user.client.close()

    def check(self):
        """Compare what the service has with what it acknowledged."""
        client = Client(self.url, self.token, tries=40)
        assert self.failures == []
        for name in USERS:
            user = client.user(name)
            recorded = user.everything()["answers"]
            assert len(recorded) == self.said[name], "an answer was lost, or counted twice"
            shown = {(row["item"], friend) for row in user.policy()["items"] for friend in row["in_force"]}
            assert shown == {cell for cell, allowed in self.shown.get(name, {}).items() if allowed}, (
                "a decision was lost or turned"
            )
        client.close()


@pytest.mark.parametrize("what", ["worker", "server"])
def test_nothing_acknowledged_is_lost_when_processes_are_killed(what, run_server, database_url, app, sign, network):
    """Killed at random moments under load: each acknowledged write is there once, and no deny became allow."""
    server = run_server(database_url, PRIVWIZ_BACKEND_RATE="1000000")
    load = Load(server.url, sign(f"tenant-{uuid.uuid4().hex[:8]}", seconds=7200), network)
    load.begin()
    rng = random.Random(7)
    kills = KILLS if what == "worker" else KILLS // 3
    for _ in range(kills):
        load.wait_for_more()
        time.sleep(rng.uniform(0, 0.6))
        if what == "server":
            server.kill()
            server.start()
        elif workers := server.workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(workers), signal.SIGKILL)
    time.sleep(0.5)
    load.end()
    assert sum(load.said.values()) > kills, "too little was acknowledged for this to prove anything"
    load.check()


def test_nothing_acknowledged_is_lost_when_the_database_is_killed(own_postgres, run_server, sign, network):
    """PostgreSQL is killed and started again in the middle of requests: they are sent again, and each counts once."""
    prepare(own_postgres.url)
    server = run_server(own_postgres.url, PRIVWIZ_BACKEND_RATE="1000000")
    load = Load(server.url, sign("tenant"), network)
    load.begin()
    for _ in range(2):
        time.sleep(0.7)
        own_postgres.process.kill()
        own_postgres.process.wait()
        own_postgres.restart()
    time.sleep(1)
    load.end()
    assert sum(load.said.values()) > 4, "too little was acknowledged for this to prove anything"
    load.check()


def test_a_full_disk_refuses_and_loses_nothing(run_server, tmp_path, sign, network):
    """When nothing more can be written, changes are refused with 503 and reads go on; with room again everything is there."""
    url = f"sqlite:///{tmp_path}/full.db"
    prepare(url)
    server = run_server(url, file_kilobytes=400)
    client = Client(server.url, sign("tenant"), tries=1)
    ann = client.user("ann")
    ann.put_network(network)
    said, refused = 0, None
    while refused is None and said < 2_000:
        try:
            ann.override(ann.policy(), [{"item": "phone", "friend": "2", "decision": "allow" if said % 2 else "deny"}])
            said += 1
        except Refused as error:
            refused = error
    assert refused.status == 503
    assert said > 5
    shown = {"phone"} if said % 2 == 0 else set()
    assert {row["item"] for row in ann.policy()["items"] if row["in_force"]} == shown
    client.close()
    server.stop()
    server.file_kilobytes = None
    server.start()
    assert len(ann.everything()["answers"]) == said
    assert {row["item"] for row in ann.policy()["items"] if row["in_force"]} == shown
    assert ann.label("phone", "3", "deny")
    client.close()


def prepare(url):
    """Make the tables."""
    database = Database(url)
    migrate(database)
    database.close()

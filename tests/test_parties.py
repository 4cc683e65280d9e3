"""Parties: real processes, one for each player, over real connections; and what happens when one is killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from privwiz.errors import PartyLost, SumRefused
from privwiz.federated.cluster import PLAYERS, Cluster
from privwiz.federated.rounds import RoundPlan
from privwiz.federated.secure import PlainSum
from privwiz.federated.tfe_sum import BLOCK_DEVICES, PROTOCOLS, TfeSum

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("tf_encrypted"),
    pytest.mark.xdist_group("parties"),
]  # one after the other

PRIVWIZ = Path(sys.executable).parent / "privwiz"
DEVICES = BLOCK_DEVICES + 20
COHORT = frozenset(range(DEVICES + 5))
START_SECONDS = 300  # of several processes that import TensorFlow on a busy machine
PATIENCE = 20
LOST_SECONDS = 60


def plan(round_id, **terms):
    """Return the terms of a round of 5 numbers."""
    return RoundPlan(round_id, COHORT, 5, bound=8.0, **terms)


def updates():
    """Return an update of each device."""
    return np.clip(np.random.default_rng(7).normal(size=(DEVICES, 5)), -8, 8)


def oracle():
    """Return the ring sum of the updates, added in the open."""
    engine = PlainSum()
    engine.begin(plan(0))
    engine.submit_many(range(DEVICES), updates())
    return engine.open().ring


class Parties:
    """The processes of a cluster on this machine."""

    def __init__(self, folder):
        with ExitStack() as stack:
            taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in PLAYERS]
            addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in taken]
        self.cluster = Cluster(dict(zip(PLAYERS, addresses, strict=True)))
        self.file = folder / "cluster.json"
        content = {"format": "privwiz.cluster/1", "parties": self.cluster.addresses}
        self.file.write_text(json.dumps(content), encoding="utf-8")
        self.processes = {}

    def start(self, name):
        """Start the process of a party, where a proxy is named that does not answer: parties never use one."""
        self.processes[name] = subprocess.Popen(
            [PRIVWIZ, "party", name, "--config", self.file],
            env=os.environ | {"http_proxy": "http://127.0.0.1:9"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def await_ready(self, name):
        """Return the line in which a party says that it is ready."""
        return self.processes[name].stdout.readline()

    def end(self, name, with_signal):
        """Send a signal to a party; return its exit code and everything else that it printed."""
        process = self.processes.pop(name)
        process.send_signal(with_signal)
        out, err = process.communicate(timeout=LOST_SECONDS)
        return process.returncode, out, err


@pytest.fixture(scope="module")
def parties(tmp_path_factory):
    """Return a cluster whose four parties run."""
    cluster = Parties(tmp_path_factory.mktemp("cluster"))
    try:
        for name in PLAYERS:
            cluster.start(name)
        for name in PLAYERS:
            assert cluster.await_ready(name) == f"{name} is ready at {cluster.cluster.addresses[name]}\n"
        yield cluster
    finally:
        for name in list(cluster.processes):
            cluster.end(name, signal.SIGKILL)


@pytest.fixture(scope="module")
def engines(parties):
    """Return an engine for each protocol, connected to the parties; all in the same moment, as it must not harm a party."""
    made = {protocol: TfeSum(protocol, cluster=parties.cluster, seconds=PATIENCE) for protocol in PROTOCOLS}
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda engine: engine.begin(plan(0)), made.values()))
    yield made
    for engine in made.values():
        engine.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_parties_open_the_same_sum(engines, protocol):
    """Over real connections, and in several blocks, every protocol opens the ring sum of the oracle; a second round as well."""
    engine = engines[protocol]
    for round_id in (1, 2):
        engine.begin(plan(round_id))
        engine.submit_many(range(DEVICES - 10), updates()[:-10])
        for device in range(DEVICES - 10, DEVICES):
            engine.submit(device, updates()[device])
        opened = engine.open()
        np.testing.assert_array_equal(opened.ring, oracle())
        assert opened.count == DEVICES


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_noise_is_added_on_the_way(engines, protocol):
    """A plan with noise opens another sum, near the exact one."""
    engine = engines[protocol]
    engine.begin(plan(3, noise_variance=10**6))
    engine.submit_many(range(DEVICES), updates())
    difference = (engine.open().ring - oracle()).view(np.int64)
    assert 0 < np.abs(difference).max() < 12_000


def test_a_party_is_reached_at_its_address_only(parties):
    """TensorFlow listens everywhere, but the party is reached at the address of the configuration and at no other one."""
    for address in parties.cluster.addresses.values():
        port = int(address.rpartition(":")[2])
        socket.create_connection(("127.0.0.1", port), 5).close()
        with pytest.raises(OSError, match="timed out"):
            socket.create_connection(("127.0.0.2", port), 0.5)


def test_a_party_is_reached_at_one_port_only(parties):
    """The other port of a party, at which TensorFlow listens because it is connected to itself, lets nothing through."""
    for name, process in parties.processes.items():
        mine = int(parties.cluster.addresses[name].rpartition(":")[2])
        ports = listening_ports(process.pid)
        (other,) = ports - {mine}
        with pytest.raises(OSError, match="timed out"):
            socket.create_connection(("127.0.0.1", other), 0.5)


def listening_ports(pid):
    """Return the TCP ports at which a process listens."""
    links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    inodes = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in inodes}


def test_shares_lie_where_they_should(parties):
    """On real parties, server k of ABY3 holds the shares k and k + 1, nobody holds all three, and only the owner gets the sum."""
    code = """
        import json, os, sys
        import numpy as np
        from privwiz.federated.cluster import Cluster
        from privwiz.federated.tfe import TfeAdder
        adder = TfeAdder("aby3", Cluster.load(sys.argv[1]))
        tensor = adder.private([np.full((2, 3), 10 + k, np.uint64) for k in range(3)])
        for server in tensor.unwrapped:
            print(json.dumps([[one.value.device, one.value.numpy().tolist()] for one in server]))
        opened = []
        adder._protocol.define_output(adder._owner, [tensor.reduce_sum(axis=0)], opened.append)
        print(json.dumps([opened[0].device, opened[0].numpy().tolist()]), flush=True)
        os._exit(0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), parties.file],
        capture_output=True,
        text=True,
        check=True,
        timeout=START_SECONDS,
    )
    device = "/job:tfe/replica:0/task:{}/device:CPU:0"
    share = [[[10 + k] * 3] * 2 for k in range(3)]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines == [
        *([[device.format(k), share[k]], [device.format(k), share[(k + 1) % 3]]] for k in range(3)),
        [device.format(3), [66] * 3],
    ]


def driver_of(engine):
    """Return the process that drives the parties for an engine."""
    return engine._adder._end.peek()[2][0]  # noqa: SLF001 - its leash


def test_a_driver_that_dies_is_noticed(engines):
    """If the process that drives the parties is killed, the round is lost."""
    engine = engines["pond"]
    engine.begin(plan(10))
    driver = driver_of(engine)
    driver.kill()
    with pytest.raises(PartyLost, match=r"round 10 is lost.*the process that drives the parties ended"):
        engine.submit_many(range(DEVICES), updates())
    assert driver.returncode == -signal.SIGKILL
    with pytest.raises(SumRefused, match="no round"):
        engine.open()


def test_a_party_that_hangs_is_not_waited_for(parties, engines):
    """A party that is there but does nothing loses the round after the time that the engine was given, by its name.

    When it goes on it is a party as before.
    """
    engine = engines["securenn"]
    engine.begin(plan(20))
    driver, stopped = driver_of(engine), parties.processes["server1"]
    stopped.send_signal(signal.SIGSTOP)
    start = time.monotonic()
    try:
        with pytest.raises(PartyLost, match=r"round 20 is lost, and nothing of it was opened: server1 \(127"):
            engine.submit_many(range(DEVICES), updates())
    finally:
        stopped.send_signal(signal.SIGCONT)
    assert time.monotonic() - start < LOST_SECONDS
    assert driver.poll() is not None
    np.testing.assert_array_equal(take_a_round(engine, 21).ring, oracle())
    assert stopped.poll() is None


KILLING = """
    import os, signal, sys
    import numpy as np
    from privwiz.errors import PartyLost, SumRefused
    from privwiz.federated.cluster import Cluster
    from privwiz.federated.rounds import RoundPlan
    from privwiz.federated.secure import make_engine
    file, pid = sys.argv[1:]
    engine = make_engine("tfe-aby3", Cluster.load(file))
    engine.begin(RoundPlan(1, frozenset(range(1000)), 5, bound=8.0))
    engine.submit_many(range(600), np.ones((600, 5)))  # a block of 512 is on the parties
    os.kill(int(pid), signal.SIGKILL)
    print("killed", flush=True)
    try:
        print(engine.open())
    except PartyLost as error:
        print(error, flush=True)
    try:
        print(engine.open())
    except SumRefused as error:
        print(error, flush=True)
    sys.exit(3)
"""


def test_kill_minus_nine(parties, engines):
    """A party that is killed in the middle of a round loses it: soon, in words, without a partial sum, with the right exit code.

    No new round begins without it. Once it is back, one does; an engine that was connected to its predecessor loses one round.
    A closed engine leaves no process.
    """
    victim = parties.processes["server1"]
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLING), parties.file, str(victim.pid)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "killed\n"
    start = time.monotonic()
    address = parties.cluster.addresses["server1"]
    assert process.communicate(timeout=LOST_SECONDS)[0].splitlines() == [
        f"round 1 is lost, and nothing of it was opened: server1 ({address}) does not answer any more",
        "no round is running; begin one",
    ]
    assert process.returncode == 3
    assert time.monotonic() - start < LOST_SECONDS
    assert parties.end("server1", signal.SIGKILL)[0] == -signal.SIGKILL

    fresh = TfeSum("aby3", cluster=parties.cluster, seconds=1)
    with pytest.raises(PartyLost, match=f"no answer from server1 .{address}. .*start it with `privwiz party server1"):
        fresh.begin(plan(30))

    parties.start("server1")
    parties.await_ready("server1")
    engine = engines["aby3"]
    with pytest.raises(PartyLost, match="round 31 is lost"):
        take_a_round(engine, 31)
    np.testing.assert_array_equal(take_a_round(engine, 32).ring, oracle())
    driver = driver_of(engine)
    engine.begin(plan(33))
    engine.close()
    assert driver.poll() is not None
    with pytest.raises(SumRefused, match="no round"):
        engine.submit(1, np.zeros(5))


def take_a_round(engine, round_id):
    """Open the sum of all updates."""
    engine.begin(plan(round_id))
    engine.submit_many(range(DEVICES), updates())
    return engine.open()


@pytest.mark.parametrize(("name", "with_signal", "code"), [("server0", signal.SIGINT, 130), ("server2", signal.SIGTERM, 0)])
def test_a_party_ends_when_told(parties, name, with_signal, code):
    """Ctrl-C ends a party with exit code 130, SIGTERM with 0, at once and without a word, although drivers were connected."""
    start = time.monotonic()
    assert parties.end(name, with_signal) == (code, "", "")
    assert time.monotonic() - start < 20


def run_party(*arguments):
    """Run `privwiz party` where it fails at once; return its exit code and what it says."""
    done = subprocess.run([PRIVWIZ, "party", *arguments], capture_output=True, text=True, check=False, timeout=START_SECONDS)
    return done.returncode, done.stdout + done.stderr


def test_a_party_that_cannot_be_is_refused(parties):
    """A name that is none, and a port that is taken, are told in a line."""
    code, text = run_party("server9", "--config", parties.file)
    assert (code, text) == (1, "Error: 'server9' is no party; a cluster has server0, server1, server2, model-owner\n")
    code, text = run_party("model-owner", "--config", parties.file)
    assert code == 1
    assert text.startswith(f"Error: cannot listen at {parties.cluster.addresses['model-owner']} (")
    assert text.count("\n") == 1


def test_an_interrupted_start_ends_quietly(parties):
    """SIGTERM while TensorFlow is loaded ends a party with 0 and Ctrl-C with 130, both without a traceback."""
    for with_signal, code in [(signal.SIGTERM, 0), (signal.SIGINT, 130)]:
        parties.start("server0")
        while "tensorflow" not in Path(f"/proc/{parties.processes['server0'].pid}/maps").read_text(encoding="utf-8"):
            time.sleep(0.05)
        status, out, err = parties.end("server0", with_signal)
        assert (status, out, err.strip()) == (code, "", "")

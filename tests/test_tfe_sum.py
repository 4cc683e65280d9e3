"""Secure sums on tf-encrypted: what is particular to them. What every engine must do is in test_secure.py."""

import os
import subprocess
import sys
import tomllib
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from privwiz.errors import DataError, MissingExtra, SumRefused
from privwiz.federated.rounds import RoundPlan
from privwiz.federated.shares import fresh_seeds, share_of, share_update
from privwiz.federated.tfe import TfeAdder, load
from privwiz.federated.tfe_sum import BLOCK_DEVICES, PROTOCOLS, Player, TfeSum

pytestmark = pytest.mark.usefixtures("tf_encrypted")

PLAN = RoundPlan(1, cohort=frozenset(range(12)), length=8, bound=1.0)
PINNED = ("tensorflow", "tf-encrypted")
BROKEN = (
    "{problem}. tf-encrypted is unmaintained and works with the pinned versions of tensorflow and tf-encrypted only. Either go "
    "back to the versions that `git log pyproject.toml` shows, or mend `_import_with_shim` and `TfeAdder` in "
    "privwiz/federated/tfe.py, run tests/test_tfe_sum.py, tests/test_secure.py and tests/test_parties.py, and state the new "
    "versions in pyproject.toml."
)


@pytest.fixture(scope="module", params=PROTOCOLS)
def adder(request, tf_encrypted):
    """Return tf-encrypted with each protocol."""
    return TfeAdder(request.param), PROTOCOLS[request.param]


@pytest.mark.parametrize("name", PINNED)
def test_the_installed_version_is_the_pinned_one(name):
    """What is tested here is what pyproject.toml makes users install, to the last digit."""
    extras = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    (pin,) = [line for line in extras["project"]["optional-dependencies"]["federated"] if line.startswith(f"{name}==")]
    installed = f"{name}=={version(name)}"
    assert installed == pin, BROKEN.format(problem=f"{installed} is installed, {pin} is pinned")


@pytest.mark.slow
def test_the_shim_still_fits():
    """With it, and not without it, tf-encrypted can be imported; all that we call is there, nothing is printed, no stub stays."""
    code = """
import sys
from privwiz.federated.tfe import load
try:
    import tf_encrypted
except ImportError:
    needed = True
else:
    needed = False
assert needed, "the shim is not needed any more, remove it"
tfe = load()
from tf_encrypted.protocol.aby3.aby3_tensors import ABY3PrivateTensor, ShareType
from tf_encrypted.protocol.pond.pond import PondPrivateTensor
from tf_encrypted.tensor import int64factory
tfe.LocalConfig, tfe.RemoteConfig.connect_servers, tfe.RemoteConfig.start_server, tfe.protocol.protocol.nodes.clear
for protocol in (tfe.protocol.Pond, tfe.protocol.SecureNN, tfe.protocol.ABY3):
    protocol.define_output
assert getattr(sys.modules.get("pkg_resources"), "__file__", "real"), "a stub of pkg_resources was left"
assert "onnx" not in sys.modules, "the converter was imported"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, BROKEN.format(problem=done.stderr.strip().splitlines()[-1])
    assert done.stdout + done.stderr == "", BROKEN.format(problem="the import prints something")


@settings(max_examples=60)
@given(data=st.data())
def test_any_ring_elements_are_opened_exactly(adder, data):
    """Shares from all over the ring, in one or several blocks, open to their sum modulo 2^64: no float is ever in between."""
    adder, shares = adder
    length = data.draw(st.integers(1, 5))
    blocks = data.draw(
        st.lists(st.integers(1, 4).flatmap(lambda devices: arrays(np.uint64, (shares, devices, length))), min_size=1, max_size=3)
    )
    adder.begin()
    for block in blocks:
        adder.add(list(block))
    expected = sum(block.sum(axis=(0, 1), dtype=np.uint64) for block in blocks)
    np.testing.assert_array_equal(adder.open(), expected)


@pytest.mark.parametrize("total", [2**63, 2**63 - 1, 2**64 - 1, 2**53 + 1, 3**15, 2**63 + 3**15, 1, 0])
def test_the_edges_of_the_ring_are_opened_exactly(adder, total):
    """Numbers that no float holds, and those that tf-encrypted's own decoding shifts past the end of the ring, come out whole."""
    adder, shares = adder
    block = np.zeros((shares, 2, 1), np.uint64)
    block[0, 0], block[-1, 1] = 2**63, (total - 2**63) % 2**64
    adder.begin()
    adder.add(list(block))
    assert adder.open().tolist() == [total]


def numbers(tensor):
    """Ring elements of a tensor of tf-encrypted."""
    return tensor.value.numpy().view(np.uint64).tolist()


def test_each_server_holds_its_shares_only(adder):
    """Pond and SecureNN: one share on each of two servers. ABY3: shares k and k + 1 on server k, and none holds all three."""
    adder, shares = adder
    block = [np.full((2, 3), 10 + k, np.uint64) for k in range(shares)]
    held = [[numbers(one) for one in (server if shares == 3 else [server])] for server in adder.private(block).unwrapped]
    expected = [[0, 1], [1, 2], [2, 0]] if shares == 3 else [[0], [1]]
    assert held == [[block[k].tolist() for k in mine] for mine in expected]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_player_holds_two_shares_of_a_device(protocol):
    """A player has nothing but what waits at it, and that is the one share of each device that was sent to it."""
    seeds = [fresh_seeds(PROTOCOLS[protocol]) for _ in range(12)]
    engine = TfeSum(protocol, seeds=iter(seeds).__next__)
    engine.begin(PLAN)
    engine.submit_many(range(12), np.ones((12, 8)))
    for player in engine.players:
        assert set(vars(player)) == {"index", "_shares", "_waiting"}
        waiting = [share.tobytes() for share in player.take()]
        assert waiting == [
            share_of(share_update(PLAN, device, np.ones(8), mine)[player.index], len(engine.players)).tobytes()
            for device, mine in enumerate(seeds)
        ]


def test_blocks_are_added_as_they_fill_up():
    """However many devices there are, no more than a block of shares waits, and tf-encrypted remembers no operation."""
    devices = 2 * BLOCK_DEVICES + 30
    engine, adder = TfeSum("pond"), TfeAdder("pond")
    sizes, engine._adder = [], adder  # noqa: SLF001 - to look over its shoulder
    add, adder.add = adder.add, lambda shares: sizes.append([len(share) for share in shares]) or add(shares)
    engine.begin(RoundPlan(1, frozenset(range(devices)), 3, bound=1.0))
    engine.submit_many(range(devices), np.full((devices, 3), 0.5))
    assert sizes == [[BLOCK_DEVICES] * 2] * 2
    assert [len(player.take()) for player in engine.players] == [30, 30]
    assert load().protocol.protocol.nodes == {}
    engine.begin(RoundPlan(2, frozenset(range(devices)), 3, bound=1.0))
    engine.submit_many(range(devices), np.full((devices, 3), 0.5))
    assert engine.open().total.tolist() == [devices / 2] * 3
    assert sizes[2:] == [[BLOCK_DEVICES] * 2] * 2 + [[30, 30]]


def test_a_block_of_long_updates_is_small():
    """A block never holds more than 2^22 numbers per share, so that long updates do not fill the memory."""
    engine, length = TfeSum("pond"), 2**21
    engine.begin(RoundPlan(1, frozenset(range(10)), length, bound=1.0))
    engine.submit_many(range(5), np.zeros((5, length), np.float32))
    assert [len(player.take()) for player in engine.players] == [1, 1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_upload_is_about_one_vector(protocol, monkeypatch):
    """What the engine sends for a device, all shares together, takes at most 8 bytes per number and 200 bytes."""
    sent = []
    receive = Player.receive
    monkeypatch.setattr(Player, "receive", lambda self, message: sent.append(message.to_bytes()) or receive(self, message))
    engine = TfeSum(protocol)
    engine.begin(replace(PLAN, length=1000))
    engine.submit(3, np.zeros(1000))
    assert len(sent) == PROTOCOLS[protocol]
    assert sum(map(len, sent)) <= 8 * 1000 + 200


@pytest.mark.parametrize("shares", [2, 3])
def test_a_tampered_share_is_refused(shares):
    """A share that was damaged on the way is refused by its player."""
    for index, message in enumerate(share_update(PLAN, 3, np.zeros(8), fresh_seeds(shares))):
        payload = bytes([message.payload[0] ^ 1]) + message.payload[1:]
        player = Player(index, shares)
        with pytest.raises(SumRefused, match="digest"):
            player.receive(replace(message, payload=payload))
        player.receive(message)


def test_seeds_are_the_operating_systems(monkeypatch):
    """The engine takes fresh seeds of the operating system for every device, one fewer than shares."""
    asked = []
    urandom = os.urandom
    monkeypatch.setattr(os, "urandom", lambda n: asked.append(n) or urandom(n))
    engine = TfeSum("aby3")
    engine.begin(PLAN)
    asked.clear()
    engine.submit_many(range(12), np.zeros((12, 8)))
    assert asked == [32] * 24


def test_a_protocol_must_be_known():
    """A protocol that is none is refused in words."""
    with pytest.raises(DataError, match="no protocol 'spdz'; they are pond, securenn, aby3"):
        TfeSum("spdz")


@pytest.mark.parametrize("module", ["tensorflow", "tf_encrypted"])
def test_without_the_extra_it_says_what_to_install(module, monkeypatch):
    """Where TensorFlow or tf-encrypted is missing, the error names the extra that brings it."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=r"pip install 'privwiz\[federated\]'"):
        load()

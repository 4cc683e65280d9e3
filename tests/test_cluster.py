"""Clusters: which party is where, and who is silent."""

import json
import socket
import time

import pytest

from privwiz.errors import DataError
from privwiz.federated.cluster import PLAYERS, Cluster, silent_parties

GOOD = {name: f"10.9.0.{k}:4440" for k, name in enumerate(PLAYERS)}


def written(tmp_path, content):
    """Write a cluster file; return its path."""
    path = tmp_path / "cluster.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_a_file_is_read(tmp_path):
    """The file names every party's host and port."""
    cluster = Cluster.load(written(tmp_path, {"format": "privwiz.cluster/1", "parties": GOOD}))
    assert cluster == Cluster(GOOD)
    assert [cluster.address(name) for name in PLAYERS] == [(f"10.9.0.{k}", 4440) for k in range(4)]


@pytest.mark.parametrize(
    ("parties", "reason"),
    [
        ({name: GOOD[name] for name in PLAYERS[:3]}, "no address of 'model-owner'"),
        ({**GOOD, "server3": "10.9.0.9:4440"}, "'server3' is no party; a cluster has server0, server1, server2, model-owner"),
        ({**GOOD, "server1": GOOD["server0"]}, "'10.9.0.0:4440' comes twice"),
        ({**GOOD, "server1": 4440}, "the address of 'server1' is 4440; it must be a text"),
        *(
            ({**GOOD, "server1": address}, "it must be HOST:PORT")
            for address in [
                "10.9.0.1",
                ":4440",
                "10.9.0.1:",
                "10.9.0.1:0",
                "10.9.0.1:65536",
                "10.9.0.1:x",
                "0.0.0.0:1",
                "::1:9",
                "a..b:1",
                "a\0b:1",
                "x" * 64 + ":1",
                "a:" + "1" * 5000,
            ]
        ),
        ([], "'parties' is \\[\\]; it must be an object"),
        (None, "'parties' is missing"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, parties, reason):
    """The error names the file and says what is wrong in it."""
    path = written(tmp_path, {"format": "privwiz.cluster/1", "parties": parties})
    with pytest.raises(DataError, match=reason) as caught:
        Cluster.load(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(("content", "reason"), [("{", "not a JSON document"), (GOOD, "'format' is missing")])
def test_another_file_is_refused(tmp_path, content, reason):
    """A file that is no description of a cluster, tf-encrypted's own format among them, is refused."""
    with pytest.raises(DataError, match=reason):
        Cluster.load(written(tmp_path, content))


def test_who_does_not_answer_is_named():
    """Nobody listening, somebody who says nothing, and another program are all silent; it takes no longer than allowed."""
    with socket.create_server(("127.0.0.1", 0)) as mute, socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
        closed.close()
        cluster = Cluster(
            {
                **{name: f"127.0.0.1:{port - k}" for k, name in enumerate(PLAYERS)},
                "server1": f"127.0.0.1:{mute.getsockname()[1]}",
            }
        )
        start = time.monotonic()
        assert silent_parties(cluster, 0.5) == list(PLAYERS)
        assert time.monotonic() - start < 5

"""Listening: a server that takes connections at every address is kept to one."""

import socket
import sys
import threading

import pytest

from privwiz.errors import DataError
from privwiz.federated.listening import check_address, keep_to

linux = pytest.mark.skipif(sys.platform != "linux", reason="socket filters are Linux's")


def reachable(address, port):
    """Whether a connection to an address of this machine comes about."""
    try:
        socket.create_connection((address, port), 0.5).close()
    except OSError:
        return False
    return True


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6])
def server(request):
    """Return a server that listens at every address, as TensorFlow's do, of one family of addresses or of both."""
    with socket.create_server(("", 0), family=request.param, dualstack_ipv6=request.param == socket.AF_INET6) as listener:
        yield listener


@linux
def test_only_one_address_is_left(server):
    """Kept to one address, a server is reached there, and no more at the machine's others; data still flows."""
    port = server.getsockname()[1]
    assert reachable("127.0.0.1", port)
    assert reachable("127.0.0.2", port)
    assert keep_to("127.0.0.1", port)
    assert reachable("127.0.0.1", port)
    assert not reachable("127.0.0.2", port)
    assert server.family == socket.AF_INET or not reachable("::1", port)


@linux
def test_data_flows_through_the_filter(server):
    """A megabyte passes through a connection to the address that is left."""
    port = server.getsockname()[1]
    keep_to("127.0.0.1", port)
    with socket.create_connection(("127.0.0.1", port), 5) as client, server.accept()[0] as accepted:
        sender = threading.Thread(target=client.sendall, args=(bytes(2**20),))
        sender.start()
        received = 0
        while received < 2**20:
            received += len(accepted.recv(2**16))
        sender.join()


@linux
def test_nothing_is_left(server):
    """Kept to no address, a server is reached nowhere."""
    port = server.getsockname()[1]
    assert keep_to(None, port)
    assert not reachable("127.0.0.1", port)


def test_a_port_without_a_server_is_not_kept():
    """Where nothing listens, nothing was kept to an address, and the caller is told so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert not keep_to("127.0.0.1", port)


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid"])
def test_another_machine_is_refused(host):
    """An address that is not this machine's is refused before anything starts."""
    with pytest.raises(DataError, match=f"cannot listen at {host}:4440"):
        check_address(host, 4440)


def test_a_taken_port_is_refused():
    """A port that somebody listens to is refused, where TensorFlow would share it without a word."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DataError, match=f"cannot listen at 127.0.0.1:{port} .*free port"):
            check_address("127.0.0.1", port)
    assert check_address("localhost", port) == "127.0.0.1"

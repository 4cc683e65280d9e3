"""``privwiz party``: one of the machines that add up secret shares with tf-encrypted."""

import os
import signal
import sys

import click

from privwiz.commands.options import Command, note

__all__ = ["party"]

INTERRUPTED = 130


@click.command(cls=Command, short_help="Be one of the parties that add up secret shares.")
@click.argument("name", metavar="NAME")
@click.option("--config", required=True, metavar="FILE", help="The parties and their addresses; the same file for all of them.")
def party(name: str, config: str) -> None:
    """Be the party NAME of a cluster: server0, server1, server2 or model-owner. It runs until Ctrl-C or SIGTERM.

    The file says where each party answers (host:port, reachable by the others and by who trains):
      {"format": "privwiz.cluster/1",
       "parties": {"server0": "10.9.0.1:4440", "server1": "10.9.0.2:4440",
                   "server2": "10.9.0.3:4440", "model-owner": "10.9.0.4:4440"}}

    The connections have neither encryption nor a login: whoever reaches the port can run anything in this process, and read its
    shares. Let it be reached through a tunnel only, as docs/secure-sums.md shows.

    Example:
      privwiz party server0 --config cluster.json
    """
    from privwiz.federated.cluster import Cluster
    from privwiz.federated.tfe import serve

    # At once, not by an exception: one that is raised while TensorFlow is imported may be swallowed there.
    for number, code in ((signal.SIGTERM, 0), (signal.SIGINT, INTERRUPTED)):
        signal.signal(number, lambda *_, code=code: os._exit(code))
    cluster = Cluster.load(config)
    cluster.check_player(name)
    note("Loading TensorFlow ...")
    host, port = cluster.address(name)

    def ready(only_there: bool) -> None:  # noqa: FBT001 - called by the library
        if not only_there:
            click.echo(
                f"Warning: TensorFlow listens at every address of this machine, not at {host} only, and at a second port. With a "
                f"firewall, let only the cluster reach port {port}, and nobody any other.",
                err=True,
            )
        click.echo(f"{name} is ready at {host}:{port}")

    received = serve(cluster, name, ready)
    sys.stdout.flush()
    os._exit(
        INTERRUPTED if received == signal.SIGINT else 0
    )  # TensorFlow cannot stop a server, and taking it apart takes seconds

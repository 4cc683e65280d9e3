"""The sample networks: what is in ``sample_graphs/`` and how it is made.

Run as ``python -m privwiz.samples sample_graphs`` to make the files again, bit for bit.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import click
import networkx as nx

from privwiz.community import Community, ego_circles, simulate_community, simulate_users
from privwiz.community_files import write_community, write_snap_ego_network
from privwiz.files import FilePath, writing
from privwiz.simulate import sample_answers
from privwiz.tables import write_table

__all__ = ["write_samples"]

_PEOPLE, _SEED = 2000, 6
_FRIENDS_OF_OTHERS = (150, 110, 80, 50, 25)
_FRIENDS_OF_ANONYMOUS_USER = 100
_SMALL = 30
_CROWD, _SAID = 60, 10


def write_samples(directory: FilePath) -> None:
    """Write the sample networks, all cut from one simulated community of 2,000 people.

    ``town/`` holds the whole ego networks of the main user and five others, of different size, as tables; their policies
    and ten answers for each item (regime "mixed"); and ``many_answers``, those of sixty more, to train on. ``small.graphml``
    and ``small.json`` hold the group of the main user that is nearest to 30 people. ``snap/`` holds the ego network of a user
    with about 100 friends as SNAP publishes them.

    Raises
    ------
    DataError
        A file cannot be written.
    """
    folder = Path(directory)
    community = simulate_community(_PEOPLE, _SEED)
    others = tuple(_user_with(friends, community) for friends in _FRIENDS_OF_OTHERS)
    users = (community.main_user, *others)
    town = community.around(users)
    write_community(town, folder / "town", users=users)
    _write_crowd(town, users, folder / "town" / "many_answers.csv")
    small = min(community.groups_of(community.main_user), key=lambda group: abs(len(group.members) - _SMALL))
    _write_small(community, small.members, folder)
    anonymous = _user_with(_FRIENDS_OF_ANONYMOUS_USER, community)
    write_snap_ego_network(community.ego_network(anonymous), ego_circles(community, anonymous), folder / "snap")


def _user_with(friends: int, community: Community) -> str:
    """Return the first of the users whose number of friends is nearest to ``friends``."""
    return min(community.users, key=lambda user: abs(len(community.friends(user)) - friends))


def _write_crowd(town: Community, others: Sequence[str], path: Path) -> None:
    """Write what those with the most friends in the town said, the others aside."""
    crowd = sorted(set(town.users).difference(others), key=lambda user: (-len(town.friends(user)), user))[:_CROWD]
    rows = [(policy.ego, *cell) for _, policy in simulate_users(town, sorted(crowd)) for cell in sample_answers(policy, _SAID)]
    columns = ("user", "item", "friend", "decision")
    write_table(path, {name: [row[k] for row in rows] for k, name in enumerate(columns)})


def _write_small(community: Community, members: Sequence[str], folder: Path) -> None:
    graph = nx.Graph(community.among(members).graph)
    with writing(folder / "small.json") as file:
        text = json.dumps(nx.node_link_data(graph, edges="edges"), ensure_ascii=False, indent=1)
        file.write(f"{text}\n".encode())
    for profile in graph.nodes.values():
        # A GraphML attribute holds one value: the latest school, year, employer.
        profile.update({field: values[-1] for field, values in profile.items() if not isinstance(values, str)})
    with writing(folder / "small.graphml") as file:
        nx.write_graphml_xml(graph, file, encoding="utf-8", prettyprint=True)


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
def _main(directory: Path) -> None:
    """Write the sample networks into DIRECTORY."""
    write_samples(directory)


if __name__ == "__main__":
    _main()

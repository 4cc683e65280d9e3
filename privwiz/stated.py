"""What a user said of single cells, as one array."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from privwiz.decisions import STATED, Decision, read_decision
from privwiz.graphs import EgoNetwork
from privwiz.items import ProfileItem

__all__ = ["stated_cells"]


def stated_cells(
    network: EgoNetwork, answers: Mapping[tuple[str, str], Decision | str], items: Sequence[ProfileItem]
) -> npt.NDArray[np.int8]:
    """Return what was said of each item and friend, shape (J, n): numbers of `privwiz.decisions.STATED`.

    Parameters
    ----------
    network : EgoNetwork
    answers : mapping of (item, friend) to decision
        ``"ask"`` is as if nothing was said.
    items : sequence of ProfileItem, length J
        Answers about others are passed over.

    Raises
    ------
    DataError
        If a decision is not known.
    UnknownFriend
        If an answer is about somebody who is not a friend.

    Examples
    --------
    >>> from privwiz.graphs import build_ego_network
    >>> from privwiz.items import profile_items
    >>> network = build_ego_network("ada", ["bo", "cy"], [])
    >>> stated_cells(network, {("phone", "bo"): "deny", ("phone", "cy"): "ask"}, profile_items(["phone"]))
    array([[-1,  0]], dtype=int8)
    """
    row = {item.id: j for j, item in enumerate(items)}
    stated = np.zeros((len(items), network.n), np.int8)
    for (item, friend), decision in answers.items():
        column, said = network.index(friend), read_decision(decision, f"the answer about {item!r} and {friend!r}")
        if item in row and said != Decision.ASK:
            stated[row[item], column] = STATED[said.value]
    return stated

"""People as the page shows them: names that are safe to read, initials, a photo where there is one, the colour of a circle."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from privwiz.decisions import Decision
from privwiz.graphs import EgoNetwork
from privwiz.policy import Suggestion
from privwiz.wizard import Wizard
from privwiz_api.page.groups import Group
from privwiz_api.page.names import LONGEST_TITLE, initials, readable
from privwiz_api.page.texts import tell

__all__ = ["Face", "faces", "own_name", "reason_text"]

_OPEN = dict.fromkeys(("few", "half", "most", "some"), "reason_open") | dict.fromkeys(
    ("allow", "all", "everybody"), "reason_weak"
)
"""Why the wizard still asks after an answer: it leaves open who exactly may see an item, or tells too little of the friend."""

_PHOTO = re.compile(r"data:image/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/=]+")


@dataclass(frozen=True, slots=True)
class Face:
    """One friend.

    Parameters
    ----------
    id : str
    name : str
    initials : str
        Shown where there is no photo.
    tone : str
        Colour of the friend's circle.
    photo : str
        Its address, from the profile field ``photo``; empty where there is none.
    """

    id: str
    name: str
    initials: str
    tone: str
    photo: str


def own_name(network: EgoNetwork) -> str:
    """Return what to call the user."""
    return readable(network.ego_profile.get("name", (network.ego,))[0])


def faces(wizard: Wizard, groups: Sequence[Group], origins: Sequence[str] = ()) -> Mapping[str, Face]:
    """Return the face of each friend, coloured by the group it is in; photos are in profiles or come from ``origins``."""
    tone = {friend: group.tone for group in groups for friend in group.members}
    network = wizard.network
    shown = zip(network.friends, map(readable, wizard.belief().layout.names), strict=True)
    return {
        friend: Face(friend, name, initials(name), tone[friend], _photo(network.profiles[friend].get("photo", ()), origins))
        for friend, name in shown
    }


def reason_text(cell: Suggestion, language: str, friends: int = 1) -> str:
    """Return why a cell is as it is, names made readable; also for others of its circle, if there are several ``friends``."""
    reason = cell.reason
    circle = reason.circle and (readable(reason.circle[0], LONGEST_TITLE), readable(reason.circle[1], LONGEST_TITLE))
    near, name = tuple(readable(friend, 30) for friend in reason.friends), readable(reason.friend, 30)
    sentences = [replace(reason, friend=name, circle=circle, friends=near).text(language)]
    if reason.item.id != cell.item:
        sentences.insert(0, tell("reason_like", language, item=readable(reason.item.text(language))))
    if cell.decision == Decision.ASK and reason.answer in _OPEN:
        sentences.append(tell(_OPEN[reason.answer], language, number=friends, friend=name))
    return ("" if language == "zh" else " ").join(sentences)


def _photo(values: Sequence[str], origins: Sequence[str]) -> str:
    inside = tuple(f"{origin}/" for origin in origins)
    return next((value for value in values if value.startswith(inside) or _PHOTO.fullmatch(value)), "")

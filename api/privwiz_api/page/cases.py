"""A case: one user's wizard and the settings in force, as the page works on them."""

from dataclasses import dataclass

from privwiz.decisions import DecisionTable
from privwiz.wizard import Wizard

__all__ = ["Case", "Owner"]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose wizard it is."""

    tenant: str
    user: str


@dataclass(frozen=True, slots=True)
class Case:
    """What the page knows about one user.

    Parameters
    ----------
    owner : Owner
    wizard : Wizard
    settings : mapping or None
        What was accepted and is in force, (item, friend) -> decision; None before anything was.
    """

    owner: Owner
    wizard: Wizard
    settings: DecisionTable | None

    @property
    def newcomers(self) -> tuple[str, ...]:
        """Friends who joined after the user accepted: nothing is shown to them until the user says so."""
        if self.settings is None:
            return ()
        known = {friend for _, friend in self.settings}
        return tuple(friend for friend in self.wizard.network.friends if friend not in known)

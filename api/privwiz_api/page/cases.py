"""A case: one user's wizard and the settings in force, as the page works on them."""

from dataclasses import dataclass

from privwiz.answers import standing
from privwiz.decisions import DecisionTable
from privwiz.wizard import Wizard
from privwiz_api.tokens import Caller

__all__ = ["Case", "Owner"]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose wizard it is: a user, and not one of the same id who came later."""

    tenant: str
    user: str
    generation: str

    @property
    def caller(self) -> Caller:
        """The user as the caller of the service."""
        return Caller(self.tenant, self.user, frozenset({"user"}), self.generation)


@dataclass(frozen=True, slots=True)
class Case:
    """What the page knows about one user.

    Parameters
    ----------
    owner : Owner
    version : str
        Of the state that this is.
    wizard : Wizard
        A fork: what is said to it stays here. Without any friends where the user has no network.
    settings : mapping or None
        What is in force, (item, friend) -> decision; None before anything was accepted.
    newcomers : tuple of str
        Friends who joined after the user accepted: nothing is shown to them until the user says so.
    """

    owner: Owner
    version: str
    wizard: Wizard
    settings: DecisionTable | None
    newcomers: tuple[str, ...]

    @property
    def can_undo(self) -> bool:
        """Whether anything that the user said still stands."""
        return bool(standing(self.wizard.log))

"""Every error that privwiz raises on purpose: one root, the meaning in the name, a builtin as second base."""

__all__ = [
    "DataError",
    "GoneAstray",
    "MissingExtra",
    "PartyLost",
    "PrivwizError",
    "SumRefused",
    "UndefinedModelFnError",
    "UnknownFriend",
    "UnknownItem",
]


class PrivwizError(Exception):
    """Root of all errors of this library; its text says what was wrong and what to do."""


class DataError(PrivwizError, ValueError):
    """Input that cannot be used: a bad file, table, graph, answer or setting.

    ``source`` and ``line`` say where it was found and lead the message: ``edges.csv, line 3: ...``.
    """

    def __init__(self, message: str, *, source: str | None = None, line: int | None = None) -> None:
        where = ", ".join(part for part in (source, None if line is None else f"line {line}") if part)
        super().__init__(f"{where}: {message}" if where else message)
        self.source = source
        self.line = line


class GoneAstray(DataError):
    """A training whose numbers make no sense any more; going on from where it is leads there again."""


class UnknownFriend(PrivwizError, KeyError):
    """A name that is not a friend of this user."""

    def __init__(self, friend: object) -> None:
        advice = (
            "add the friend first or correct the name"
            if isinstance(friend, str)
            else f"ids are texts here, such as {str(friend)!r}"
        )
        super().__init__(f"{friend!r} is not a friend in this network; {advice}")

    __str__ = Exception.__str__


class UnknownItem(PrivwizError, KeyError):
    """A profile item that this wizard or policy does not cover."""

    def __init__(self, item: object, known: tuple[str, ...] = ()) -> None:
        known_text = f"; the items are {', '.join(known)}" if known else ""
        super().__init__(f"{item!r} is not one of the profile items{known_text}")

    __str__ = Exception.__str__


class MissingExtra(PrivwizError, ImportError):
    """An optional dependency that this call needs is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the extra {extra!r}: pip install 'privwiz[{extra}]', or in a clone make EXTRAS={extra} extras"
        )


class SumRefused(PrivwizError, RuntimeError):
    """A secure sum that must not be: too few devices, a share that does not belong, a second sum of one round."""


class PartyLost(SumRefused):
    """A party of a secure sum that does not answer: the round is lost."""


class UndefinedModelFnError(PrivwizError, NotImplementedError):
    """An owner was to use a hook that its class does not define."""

    def __init__(self, owner: str, hook: str) -> None:
        super().__init__(f"{owner} defines no {hook}; define it in its class")

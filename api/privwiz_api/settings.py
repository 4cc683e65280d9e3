"""Settings of the service: from the environment, secrets also from files."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from privwiz.errors import DataError

__all__ = ["Settings", "Webhook", "in_url", "is_loopback", "public_url"]

_LEAST_SECRET = 32
_PREFIX = "PRIVWIZ_"
_ORIGIN = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a tenant hears of changes.

    Parameters
    ----------
    url : str
    secret : str
        Signs what is sent; at least 32 characters.

    Raises
    ------
    DataError
        If the secret is short, or nothing can be sent to the URL. Neither is repeated.
    """

    url: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        _check_secret("the secret of a webhook", self.secret)
        if not _is_web(self.url):
            raise DataError("the URL of a webhook must be https:// or http://, then a host, and a port up to 65535 if any")


@dataclass(frozen=True, slots=True)
class Settings:
    """How the service runs. Each is read from ``PRIVWIZ_`` and its name in capitals; `database_url` also from ``DATABASE_URL``.

    Parameters
    ----------
    database_url : str
        ``sqlite:///path`` or ``postgresql://...``.
    secret_key : str
        Signs wizard links, cursors and screens; at least 32 characters. Without it each start draws its own, and what an earlier
        start or another machine signed is refused.
    jwt_secret, jwt_keys : str
        What tokens are verified with: a secret shared with their issuer, or the path or URL of its JSON Web Key Set. Without
        either every token is refused but those of wizard links.
    jwt_issuer, jwt_audience : str
        What the claims ``iss`` and ``aud`` must be.
    jwt_algorithms : tuple of str
        What may sign; HS256 for a secret, RS256, ES256 and Ed25519 for a key set, unless given.
    tenant_claim : str
        The claim that names the tenant.
    development : bool
        Accept the development token; refused unless ``host`` is a loopback address.
    host, port, workers, threads
        Where and with how many processes and threads ``privwiz serve`` serves.
    public_url : str
        What links begin with; cookies are kept to TLS where it is https. The address of host and port unless given; needed where
        the host stands for every address.
    user_rate, backend_rate : int
        Requests that one user, and one backend, may make in a minute, and one address as many as one user with tokens that are
        refused; each process counts for itself.
    heavy, patience
        Computations that one process does at once, and the seconds that a request waits for its turn before it is told to come
        again later.
    cached_users : int
        Users of 250 friends whose state one process remembers; those of more friends count for more, by the square.
    cached_policies : int
        Users whose written policy one process remembers.
    link_seconds : int
        How long a wizard link can be opened.
    photo_origins : tuple of str
        From where the wizard page may load photos of friends, such as ``https://photos.example``.
    webhooks : mapping of str to Webhook
        By tenant; in the environment as JSON: ``{"tenant": {"url": ..., "secret": ...}}``.
    private_webhooks : bool
        Whether webhooks may go to private and loopback addresses.

    Raises
    ------
    DataError
        If a setting cannot be used.
    """

    database_url: str = "sqlite:///privwiz.db"
    secret_key: str = field(default="", repr=False)
    jwt_secret: str = field(default="", repr=False)
    jwt_keys: str = ""
    jwt_issuer: str = "sns"
    jwt_audience: str = "privwiz"
    jwt_algorithms: tuple[str, ...] = ()
    tenant_claim: str = "tenant"
    development: bool = False
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 2
    threads: int = 4
    public_url: str = ""
    user_rate: int = 600
    backend_rate: int = 120_000
    heavy: int = 4
    patience: float = 5.0
    cached_users: int = 128
    cached_policies: int = 2048
    link_seconds: int = 900
    photo_origins: tuple[str, ...] = ()
    webhooks: Mapping[str, Webhook] = field(default_factory=dict)
    private_webhooks: bool = False

    def __post_init__(self) -> None:
        for name in ("secret_key", "jwt_secret"):
            if getattr(self, name):
                _check_secret(name, getattr(self, name))
        if self.jwt_secret and self.jwt_keys:
            raise DataError("both jwt_secret and jwt_keys are set; tokens are verified with one of them, leave the other out")
        for origin in self.photo_origins:
            if not _ORIGIN.fullmatch(origin):
                raise DataError(f"photo_origins has {origin!r}; an origin is https:// and a host, without a path")
        if self.development and not is_loopback(self.host):
            raise DataError(
                "a development token is accepted on a loopback address only; leave `development` out, or set the host"
            )
        for name in (
            "port",
            "workers",
            "threads",
            "user_rate",
            "backend_rate",
            "heavy",
            "cached_users",
            "cached_policies",
            "link_seconds",
        ):
            if getattr(self, name) < 1:
                raise DataError(f"{name} is {getattr(self, name)}; it must be a whole number from 1 up")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings; ``PRIVWIZ_NAME_FILE`` names a file that holds ``PRIVWIZ_NAME``.

        >>> Settings.from_environment({"PRIVWIZ_WORKERS": "4", "DATABASE_URL": "sqlite:///a.db"}).workers
        4

        Raises
        ------
        DataError
            If a value cannot be used, or a file cannot be read. A secret is never part of the message.
        """
        given = dict(os.environ if environment is None else environment)
        if "DATABASE_URL" in given:
            given.setdefault(f"{_PREFIX}DATABASE_URL", given["DATABASE_URL"])
        values: dict[str, object] = {}
        for setting in fields(cls):
            name = f"{_PREFIX}{setting.name.upper()}"
            text = given.get(name)
            if f"{name}_FILE" in given:
                try:
                    text = Path(given[f"{name}_FILE"]).read_text(encoding="utf-8").strip()
                except (OSError, UnicodeDecodeError) as error:
                    raise DataError(f"{name}_FILE names a file that cannot be read ({type(error).__name__})") from None
            if text is not None:
                values[setting.name] = _read(name, setting.type, text)
        return cls(**values)  # type: ignore[arg-type]


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach the host.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def public_url(settings: Settings) -> str:
    """Return what links begin with: what was set, else the address of this server.

    >>> public_url(Settings(host="::1"))
    'http://[::1]:8080'

    Raises
    ------
    DataError
        If the server listens on every address, and nobody said which of them users see.
    """
    if settings.public_url:
        return settings.public_url
    if _is_wildcard(settings.host):
        raise DataError(
            f"the host {settings.host!r} is no address that a link can lead to; set public_url to what users see, such as "
            "https://privacy.example"
        )
    return f"http://{in_url(settings.host)}:{settings.port}"


def in_url(host: str) -> str:
    """Write a host as it stands in a URL: IPv6 addresses are in brackets."""
    return f"[{host}]" if ":" in host else host


def _is_wildcard(host: str) -> bool:
    """Whether the host stands for every address of this machine."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return not host


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:
        return False
    return parts.scheme in ("https", "http") and bool(host)


def _check_secret(name: str, secret: str) -> None:
    if len(secret) < _LEAST_SECRET:
        raise DataError(f"{name} has {len(secret)} characters; it needs at least {_LEAST_SECRET}, drawn by chance")


def _read(name: str, kind: object, text: str) -> object:
    try:
        if kind is bool:
            return {"1": True, "true": True, "0": False, "false": False, "": False}[text.lower()]
        if kind in (int, float):
            return kind(text)
        if kind == tuple[str, ...]:
            return tuple(text.split())
        if kind == Mapping[str, Webhook]:
            return {tenant: Webhook(**webhook) for tenant, webhook in json.loads(text).items()}
    except DataError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(f"{name} cannot be read; see the table of settings in docs/service.md") from None
    return text

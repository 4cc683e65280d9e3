"""Who calls: bearer tokens, verified with the issuer's keys, and the short-lived ones that this service signs itself."""

import hmac
import http.client
import json
import logging
import secrets
import threading
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import KeySet, OctKey

from privwiz.errors import DataError
from privwiz_api.problems import Problem
from privwiz_api.schemas import is_name
from privwiz_api.settings import Settings

__all__ = ["Caller", "Tokens", "derived_key"]

log = logging.getLogger("privwiz")

OWN_ISSUER = "privwiz"
EXPIRED = "token-expired"
SCOPES = ("sns", "user", "admin")

_KEY_SET_ALGORITHMS = ("RS256", "ES256", "Ed25519")
_KEY_SET_SECONDS = 300
_LEAST_SECONDS_BETWEEN_FETCHES = 30
_LEEWAY = 30
_NO_KEYS = (ValueError, KeyError, TypeError, AttributeError, JoseError)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a verified token speaks for.

    Parameters
    ----------
    tenant, subject : str
    scopes : frozenset of str
        Of ``sns`` (the backend, for all users of its tenant), ``user`` (for itself), ``admin`` (as sns, and the catalogue).
    generation : str, optional
        Of the user whom the service itself has let in: it is nobody to one of the same id who was made later.
    """

    tenant: str
    subject: str
    scopes: frozenset[str]
    generation: str | None = None

    @property
    def is_backend(self) -> bool:
        """Whether it may speak for every user of its tenant."""
        return not self.scopes.isdisjoint({"sns", "admin"})

    @property
    def id(self) -> str:
        """Who it is, for the audit log and for idempotency keys: a backend and a user of one name are two."""
        return f"{'backend' if self.is_backend else 'user'}:{self.subject}"


def derived_key(secret: str, purpose: str) -> bytes:
    """Return a key of its own for each purpose, so that what was signed for one is nothing to another."""
    return hmac.digest(secret.encode(), purpose.encode(), "sha256")


class Tokens:
    """Verify tokens, and issue the service's own.

    Parameters
    ----------
    settings : Settings
    secret : str
        From which the service's own signing key is derived.

    Raises
    ------
    DataError
        If the key set is a file that cannot be used.
    """

    def __init__(self, settings: Settings, secret: str) -> None:
        self._settings = settings
        self._own = OctKey.import_key(derived_key(secret, "tokens"))
        self._keys = _Keys(settings.jwt_keys) if settings.jwt_keys else None
        self._secret = OctKey.import_key(settings.jwt_secret) if settings.jwt_secret else None
        default = ("HS256",) if self._secret is not None else _KEY_SET_ALGORITHMS
        self._algorithms = list(settings.jwt_algorithms or default)
        if self._keys is not None and any(name.startswith("HS") for name in self._algorithms):
            raise DataError("a key set holds public keys; algorithms that begin with HS would take them for secrets")

    def issue(self, tenant: str, subject: str, scope: str, seconds: int, **claims: object) -> str:
        """Sign a token of the service's own."""
        now = int(time.time())
        body = {
            "iss": OWN_ISSUER,
            "aud": self._settings.jwt_audience,
            "sub": subject,
            "tenant": tenant,
            "scope": scope,
            "iat": now,
            "exp": now + seconds,
            "jti": secrets.token_hex(8),
            **claims,
        }
        return jwt.encode({"alg": "HS256", "kid": OWN_ISSUER}, body, self._own)

    def verify(self, token: str) -> tuple[Caller, float]:
        """Return who a token speaks for, and for how many seconds more.

        Raises
        ------
        Problem
            401 unless the signature, the issuer, the audience, the time and every claim are right; of another kind for a token
            that was right and has expired.
        """
        try:
            header = jws.extract_compact(token.encode()).headers()
            own = header.get("kid") == OWN_ISSUER
            claims = self._decode(token, header, own=own)
            caller = self._caller(claims, "tenant" if own else self._settings.tenant_claim, own=own)
            self._check(claims, own=own)
            return caller, claims["exp"] - time.time()
        except ExpiredTokenError:
            raise _unauthorized(EXPIRED, "The token has expired; get a new one.") from None
        except (JoseError, ValueError, TypeError, KeyError):
            raise _unauthorized() from None

    def _decode(self, token: str, header: Mapping[str, Any], *, own: bool) -> dict[str, Any]:
        if own:
            decoded = jwt.decode(token, self._own, algorithms=["HS256"])
        elif self._secret is not None:
            decoded = jwt.decode(token, self._secret, algorithms=self._algorithms)
        elif self._keys is not None:
            decoded = jwt.decode(token, self._keys.having(header.get("kid")), algorithms=self._algorithms)
        else:
            raise _unauthorized()
        return decoded.claims

    def _check(self, claims: Mapping[str, Any], *, own: bool) -> None:
        """Check issuer, audience and times; the end last, so that only what is right otherwise is told to have expired."""
        jwt.JWTClaimsRegistry(
            leeway=0 if own else _LEEWAY,
            iss={"essential": True, "value": OWN_ISSUER if own else self._settings.jwt_issuer},
            aud={"essential": True, "value": self._settings.jwt_audience},
            exp={"essential": True},
            sub={"essential": True},
        ).validate({**{name: value for name, value in claims.items() if name != "exp"}, "exp": claims["exp"]})

    def _caller(self, claims: Mapping[str, Any], tenant_claim: str, *, own: bool) -> Caller:
        tenant, subject, scope = claims[tenant_claim], claims["sub"], claims["scope"]
        if not (is_name(tenant) and is_name(subject) and isinstance(scope, str)):
            raise _unauthorized()
        if own and claims.get("development") and not self._settings.development:
            raise _unauthorized()
        generation = claims.get("generation") if own else None
        return Caller(tenant, subject, frozenset(scope.split()).intersection(SCOPES), generation)


class _Keys:
    """A JSON Web Key Set, of a file or a URL; of a URL it is fetched again after a while, or when a key is not in it."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._remote = source.startswith(("https://", "http://"))
        self._lock = threading.Lock()
        self._set: KeySet | None = None
        self._fetched = float("-inf")
        if not self._remote:
            self._set = _read_keys(source)

    def having(self, kid: object) -> KeySet:
        """Return the set, fetched again if it is old or does not have this key."""
        with self._lock:
            age = time.monotonic() - self._fetched
            known = self._set is not None and any(key.kid == kid for key in self._set.keys)
            if self._remote and (age > _KEY_SET_SECONDS or (not known and age > _LEAST_SECONDS_BETWEEN_FETCHES)):
                self._fetched = time.monotonic()
                try:
                    self._set = _fetch_keys(self._source)
                except (OSError, http.client.HTTPException, *_NO_KEYS) as error:
                    log.warning("keys", extra={"error": type(error).__name__})
            if self._set is None:
                raise Problem(503, "keys", "The issuer's keys cannot be fetched; send the request again.", {"Retry-After": "5"})
            return self._set


def _read_keys(path: str) -> KeySet:
    try:
        return KeySet.import_key_set(json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, *_NO_KEYS) as error:
        raise DataError(f"jwt_keys: {path} is no JSON Web Key Set that can be read ({type(error).__name__})") from None


def _fetch_keys(url: str) -> KeySet:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - the operator's own setting, checked to be http(s)
        return KeySet.import_key_set(json.loads(answer.read(1_000_000)))


def _unauthorized(
    kind: str = "unauthorized", title: str = "A valid bearer token is needed: signature, issuer, audience and time are checked."
) -> Problem:
    return Problem(
        401,
        kind,
        title,
        {"WWW-Authenticate": 'Bearer realm="privwiz", error="invalid_token"'},
    )

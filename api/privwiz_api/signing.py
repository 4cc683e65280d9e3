"""What the service hands out and takes back: cursors and screens, signed together with whom and what they are for."""

import base64
import binascii
import hmac
import json
from typing import Any

from privwiz_api.tokens import derived_key

__all__ = ["Signer"]

_MAC = 16


class Signer:
    """Sign small documents.

    Parameters
    ----------
    secret : str

    Examples
    --------
    >>> signer = Signer("s" * 32)
    >>> signer.read(signer.sign([1, "phone"], "cursor/ann"), "cursor/ann")
    [1, 'phone']
    >>> signer.read(signer.sign([1, "phone"], "cursor/ann"), "cursor/bob") is None
    True
    """

    def __init__(self, secret: str) -> None:
        self._key = derived_key(secret, "signing")

    def sign(self, document: object, purpose: str) -> str:
        """Write a document as a text that only `read` for the same purpose takes."""
        body = json.dumps(document, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(body, purpose) + body).decode().rstrip("=")

    def read(self, text: str, purpose: str) -> Any:
        """Return the document; None if the text was not signed here for this purpose."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        mac, body = raw[:_MAC], raw[_MAC:]
        return json.loads(body) if hmac.compare_digest(mac, self._mac(body, purpose)) else None

    def _mac(self, body: bytes, purpose: str) -> bytes:
        return hmac.digest(self._key, purpose.encode() + b"\n" + body, "sha256")[:_MAC]

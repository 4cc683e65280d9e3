"""Write docs/openapi.json: the OpenAPI document of the service, as the service itself gives it.

Run: ``python docs/openapi_document.py docs/openapi.json`` (or `make docs`); without a path it prints the document.
"""

import json
import sys
from pathlib import Path

from privwiz_api import create_app


def document() -> str:
    """Return the document."""
    return json.dumps(create_app().test_client().get("/openapi.json").json, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(document(), encoding="utf-8")
    else:
        sys.stdout.write(document())

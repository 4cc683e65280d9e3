"""The OpenAPI document, completed by what holds for all operations, and the pages at /docs."""

from typing import Any

from flask import Response, redirect, render_template
from flask_openapi3.openapi import OpenAPI

from privwiz_api.problems import ProblemDocument
from privwiz_api.service import encode

__all__ = ["describe"]

_PROBLEMS = {
    "400": "The body is no JSON object, or a header is missing.",
    "401": "The token is missing or not valid.",
    "403": "The token's scopes do not suffice.",
    "404": "There is no such user, or none that the token may speak for; or no network, friend, or item.",
    "409": "The state does not admit it.",
    "412": "The state is another one than If-Match names.",
    "413": "The body has more than 10 MB.",
    "415": "The body is not JSON.",
    "422": "The request does not have the form described here, or contradicts the state.",
    "428": "If-Match is needed.",
    "429": "Too many requests; Retry-After says when to come again.",
    "500": "The service failed.",
    "503": "The service is busy, or its database does not answer; Retry-After says when to come again.",
}
_NEED_KEY = ("/answers", "/circles/corrections", "/answers/undo", "/policy/accept", "/policy/override", "/policy/undo")
_NEED_MATCH = ("/policy/accept", "/policy/override", "/policy/undo")


def describe(app: OpenAPI) -> None:
    """Serve the OpenAPI document at /openapi.json and readable pages at /docs."""
    document = complete(app.api_doc)
    encoded = encode(document)

    @app.route("/openapi.json")
    def get_document() -> Response:
        """Give the OpenAPI document."""
        return Response(encoded, content_type="application/json")

    @app.route("/")
    def go_to_docs() -> Any:
        """Lead who opens the address of the service to what it can do."""
        return redirect("/docs")

    @app.route("/docs")
    def get_docs() -> str:
        """Show the operations, without anything from elsewhere."""
        return render_template("docs.html", document=document)


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add headers, problems and security to each operation."""
    schema = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = document["components"]["schemas"]
    schemas |= schema.pop("$defs", {})
    schemas["ProblemDocument"] = schema
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answers = operation["responses"]
            answers.pop("422", None)
            if not path.startswith("/v1/"):
                answers |= {status: {"description": _PROBLEMS[status], "content": content} for status in ("500", "503")}
                continue
            operation["security"] = [{"token": []}]
            operation.setdefault("parameters", []).extend(_headers(path, method))
            answers |= {status: {"description": text, "content": content} for status, text in _PROBLEMS.items()}
            if method == "get":
                answers["414"] = {"description": "The address is too long."}
                answers["304"] = {"description": "The client has this state already."}
            if method == "patch":
                body = operation["requestBody"]["content"]
                body["application/merge-patch+json"] = body["application/json"]
    schemas.pop("ValidationErrorModel", None)
    schemas.pop("UnprocessableEntity", None)
    return document


def _headers(path: str, method: str) -> list[dict[str, Any]]:
    tag = {"type": "string"}
    if method == "post":
        needed = path.endswith(_NEED_KEY)
        key = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
        headers = [_header("Idempotency-Key", "The same request with the same key counts once.", key, required=needed)]
        if path.endswith(_NEED_MATCH):
            headers.append(_header("If-Match", "The entity tag of the policy that was read.", tag, required=False))
        return headers
    if method in ("put", "patch", "delete") and path.endswith(("/network", "/items")):
        return [_header("If-Match", "The entity tag that was read.", tag, required=False)]
    return [_header("If-None-Match", "The entity tag that the client has.", tag, required=False)] if method == "get" else []


def _header(name: str, text: str, schema: dict[str, Any], *, required: bool) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": text, "required": required, "schema": schema}

"""docs/reference/rest.md, made from the OpenAPI description: `python -m mnemos.serve.document > docs/reference/rest.md`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from mnemos.serve.app import create_app
from mnemos.serve.keys import KeyStore
from mnemos.system import Mnemos

INTRO = """\
# REST

<!-- made by `python -m mnemos.serve.document > docs/reference/rest.md` from the OpenAPI description -->

Every route but `/health`, `/ready`, `/openapi.json` and the files of the page needs a key:
`Authorization: Bearer KEY`. Bodies and answers are JSON. Errors are problem details (RFC 9457). `/openapi.json` of a server
has the schemas; [serve](../serve.md) explains keys, limits and idempotency.
"""
METHODS = ("get", "post", "put", "patch", "delete")


def description() -> dict[str, Any]:
    """Return the OpenAPI description of a server; needs the extra `serve`."""
    with tempfile.TemporaryDirectory(prefix="mnemos-rest-") as root, Mnemos(root, embedder="none") as memory:
        keys = KeyStore.under(memory.root)
        try:
            found: dict[str, Any] = create_app(memory, keys).openapi()
        finally:
            keys.close()
    return found


def render() -> str:
    """Return the page: a table of all routes, then the parameters and body of each."""
    described = description()
    routes = [
        (f"{method.upper()} {path}", operation)
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
        if method in METHODS
    ]
    lines = [INTRO, "| route | what it does |", "| --- | --- |"]
    lines += [f"| `{name}` | {_sentence(operation)} |" for name, operation in routes]
    for name, operation in routes:
        rows = [*_parameters(operation), *_body(operation, described)]
        if rows:
            lines += ["", f"## {name}", "", _cell(operation.get("description")) or _sentence(operation), ""]
            lines += ["| name | in | type | |", "| --- | --- | --- | --- |", *rows]
    return "\n".join(lines) + "\n"


def _sentence(operation: Mapping[str, Any]) -> str:
    return _cell(str(operation.get("description") or operation.get("summary") or "").split("\n\n")[0])


def _parameters(operation: Mapping[str, Any]) -> Iterator[str]:
    for p in operation.get("parameters", ()):
        needed = " (required)" if p.get("required") and p["in"] != "path" else ""
        yield f"| `{p['name']}` | {p['in']} | {_type(p['schema'])} | {_cell(p.get('description'))}{needed} |"


def _body(operation: Mapping[str, Any], described: Mapping[str, Any]) -> Iterator[str]:
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if "$ref" in schema:
        schema = described["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    for name, part in schema.get("properties", {}).items():
        needed = " (required)" if name in schema.get("required", ()) else ""
        yield f"| `{name}` | body | {_type(part)} | {_cell(part.get('description'))}{needed} |"


def _type(schema: Mapping[str, Any]) -> str:
    """Return the type of a schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[1]
    if parts := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(part) for part in parts if part.get("type") != "null"))
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    print(render(), end="")

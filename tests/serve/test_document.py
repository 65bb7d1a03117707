"""The REST reference is made from the server's OpenAPI description."""

from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from mnemos.serve.document import description, render

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "rest.md"


def test_the_rest_reference_is_the_one_that_the_server_gives():
    assert PAGE.read_text(encoding="utf-8") == render(), "run python -m mnemos.serve.document > docs/reference/rest.md"


def test_the_rest_reference_has_every_route():
    page = PAGE.read_text(encoding="utf-8")
    for path, operations in description()["paths"].items():
        for method in operations:
            assert f"| `{method.upper()} {path}` |" in page

"""Which laws there are: modules of this package with `PAPERS`, read from their sources without an import."""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from mnemos.bench.laws.claims import Experiment

_PAPERS = re.compile(r"^PAPERS = (\(.*?\))$", re.MULTILINE | re.DOTALL)


class Law(NamedTuple):
    """What the source of a law says of it."""

    papers: tuple[str, ...]
    about: str  # the first sentence of its docstring, without the numbers of papers


@cache
def laws() -> dict[str, Law]:
    """Return all laws by name."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        if papers := _PAPERS.search(source):
            text = " ".join((ast.get_docstring(ast.parse(source)) or "").split("\n\n")[0].split())
            about = re.sub(r" \(arXiv [^)]*\)", "", text)
            found[path.stem.replace("_", "-")] = Law(ast.literal_eval(papers[1]), about)
    return found


def experiment(name: str) -> Experiment:
    """Return the experiment of a law; it may import torch."""
    return import_module(f"{__package__}.{name.replace('-', '_')}")


def paper(number: str) -> str:
    """Return how a paper is named: arXiv numbers get their archive."""
    return f"arXiv {number}" if re.fullmatch(r"\d{4}\.\d{4,5}", number) else number

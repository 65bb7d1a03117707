"""Names of places, which tell "I moved to Porto" from "we moved to Postgres".

The list has the cities of 15,000 inhabitants and more, the countries and the states of the US (GeoNames, CC BY 4.0); made by
tools/build_places.py. It is read at first use: 10 ms, 4 MB.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

PLACES = Path(__file__).with_name("places.txt")


def is_place(name: str) -> bool:
    """Tell whether a name, or what stands before its first comma, is that of a known place."""
    return plain(name) in _known() or plain(name.partition(",")[0]) in _known()


def plain(name: str) -> str:
    """Return a name without accents, in lower case."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"\s+", " ", bare.casefold()).strip(" .")


@cache
def _known() -> frozenset[str]:
    return frozenset(PLACES.read_text(encoding="utf-8").splitlines())

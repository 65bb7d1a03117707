"""Mnemos: a memory operating system for AI agents and language models. This module exports what users need."""

from mnemos.cube import Hit, Hits, MemCube, Page, SessionHit
from mnemos.errors import Conflict, InvalidInput, MnemosError, NotFound, StoreError
from mnemos.facts import Decision, Fact, KnownFact, Link
from mnemos.guard.erasure import Receipt
from mnemos.space import Space
from mnemos.system import Mnemos
from mnemos.text.forget.policy import Policy
from mnemos.text.recall.filters import Filters

__version__ = "0.1.0"
__all__ = [
    "Conflict",
    "Decision",
    "Fact",
    "Filters",
    "Hit",
    "Hits",
    "InvalidInput",
    "KnownFact",
    "Link",
    "MemCube",
    "Mnemos",
    "MnemosError",
    "NotFound",
    "Page",
    "Policy",
    "Receipt",
    "SessionHit",
    "Space",
    "StoreError",
    "__version__",
]

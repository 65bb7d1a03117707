"""Mnemos' own system."""

from __future__ import annotations

from mnemos.registry import register
from mnemos.text.base import System
from mnemos.text.system import DEFAULT


@register("mnemos")
def mnemos() -> System:
    """Hybrid search, facts that supersede each other, summaries, profiles and links (ours): the default."""
    return DEFAULT

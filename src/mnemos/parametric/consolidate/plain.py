"""The baseline of every strategy."""

from __future__ import annotations

from dataclasses import dataclass

from mnemos.parametric.consolidate.base import Strategy
from mnemos.registry import register


@register("plain", task="classes in sequence")
@dataclass
class Plain(Strategy):
    """Learns every batch as it comes and holds nothing."""

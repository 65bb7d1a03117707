"""Experts, UltraMem, shared and larger pools in the place of feed-forward blocks: a part of `mnemos bench slots`."""

from __future__ import annotations

from typing import Any

from mnemos.bench.parametric.slots_layers import VARIANTS, trained


def measure(options: Any) -> dict[str, dict[str, Any]]:
    """Train each variant as `slots_layers` trains its models."""
    return trained(options, VARIANTS)

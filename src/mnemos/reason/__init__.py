"""Judgements about texts: dates, facts, conflicts and summaries, by rules or by a model."""

from __future__ import annotations

from mnemos.reason.base import Reasoner


def load_reasoner(spec: str | Reasoner | None) -> Reasoner | None:
    """Return the reasoner of a spec: "rules" or None (no model), or "openai:MODEL@URL". Raises InvalidInput."""
    if spec is None or spec == "rules":
        return None
    if not isinstance(spec, str):
        return spec
    from mnemos.reason.llm import load_reasoner as load_llm

    return load_llm(spec)

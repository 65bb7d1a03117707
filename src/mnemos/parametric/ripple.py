"""Ripples of a write: which questions, near it and far from it, are no longer answered as they were.

A false statement spreads from the question it answers to those that follow from it, and further ("A Drop of Ink Makes a Million
Think: The Spread of False Information in Large Language Models", arXiv 2305.04812). After each write `ripple` asks rings of
questions around it: direct ones, indirect ones, peripheral ones, and unrelated ones as a control.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from mnemos.errors import InvalidInput
from mnemos.parametric.base import Example
from mnemos.parametric.measure import said
from mnemos.parametric.tokens import row_of


@dataclass(frozen=True, slots=True)
class Ripple:
    """The share of the questions of each ring that were answered right and are no longer."""

    before: Mapping[str, float]  # share right, by ring from the nearest to the farthest
    lost: Mapping[str, float]  # of those right before

    @property
    def fades(self) -> bool:
        """Whether less is lost in each ring than in the one before."""
        return all(near > far for near, far in pairwise(self.lost.values()))


def answers(model: Any, tokenizer: Any, rings: Mapping[str, Sequence[Example]]) -> dict[str, list[bool]]:
    """Return of each question of each ring whether a greedy model answers it; carriers that are attached count."""
    if not rings or not all(rings.values()):
        raise InvalidInput("a ring has no questions: give each ring at least one, or leave it out.")
    return {
        ring: said(model, tokenizer, [row_of(tokenizer, e.context + e.prompt, e.answer) for e in of])
        for ring, of in rings.items()
    }


def ripple(before: Mapping[str, Sequence[bool]], after: Mapping[str, Sequence[bool]]) -> Ripple:
    """Return what a write lost, from what `answers` returned before and after it.

    Raises InvalidInput where the rings differ, and where nothing of a ring was answered before: nothing can be lost there.
    """
    if {ring: len(of) for ring, of in before.items()} != {ring: len(of) for ring, of in after.items()}:
        raise InvalidInput("the rings before and after the write differ: ask the same questions both times.")
    lost = {}
    for ring, of in before.items():
        if not any(of):
            raise InvalidInput(f"no question of {ring} was answered before the write: ask what the model knows.")
        lost[ring] = sum(was and not now for was, now in zip(of, after[ring], strict=True)) / sum(of)
    return Ripple({ring: sum(of) / len(of) for ring, of in before.items()}, lost)

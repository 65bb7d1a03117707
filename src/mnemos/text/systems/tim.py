"""TiM: thoughts in buckets of like ones, merged by what they are about, of which a contradicted one is forgotten."""

from __future__ import annotations

from dataclasses import replace

from mnemos.registry import register
from mnemos.text.base import System
from mnemos.text.consolidate.orphans import RemoveOrphans
from mnemos.text.consolidate.profiles import Profiles
from mnemos.text.consolidate.reconsider import SecondPass
from mnemos.text.forget.apply import ApplyPolicy
from mnemos.text.recall.buckets import TIM, Buckets
from mnemos.text.recall.known import PromoteFact
from mnemos.text.system import DEFAULT
from mnemos.text.update.reconcile import Reconcile


@register("tim", baselines=("vectors",), papers=(TIM,))
def tim() -> System:
    """Texts found in the hash bucket of the question, and the thought that answers it first.

    Insert: each statement is a thought, (head, relation, tail). Forget: one that is contradicted is superseded. Merge: the
    thoughts about one head are one profile.

    Deviations: the rules read thoughts when a text is told, not a model after each answer; a model of the space reads the
    texts again in `consolidate`. The turns are kept and found, too. A small bucket is searched with its neighbours.
    """
    return replace(
        DEFAULT,
        retrieve=Buckets(),
        rerank=(PromoteFact(),),
        update=Reconcile(),
        phases=(SecondPass(), Profiles(), RemoveOrphans(), ApplyPolicy()),
    )

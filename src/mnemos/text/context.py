"""Context: what a search found as blocks for a prompt, and what may not be shown to an agent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mnemos.arguments import check_count, check_text
from mnemos.cube import Hit, MemCube
from mnemos.errors import InvalidInput
from mnemos.text.encode.messages import clean
from mnemos.text.memory import TextMemory
from mnemos.text.recall.filters import Filters, make_filter, zone_of
from mnemos.text.recall.owner import as_owner
from mnemos.text.recall.query import bounded
from mnemos.text.recall.relevance import Judgement
from mnemos.text.search import search

if TYPE_CHECKING:
    from mnemos.text.recall.further import Further

NO_BOUND = 1 << 60  # tokens
MOST = 40  # hits for a block
MOST_KNOWN = 200  # further hits, since a prompt may show some already


@dataclass(frozen=True)
class Packing:
    """How the context of a question is found and packed; see `Space.context`."""

    tokens: int
    k: int
    filters: Filters
    count: Callable[[str], int] | None = None
    asked_at: Any = None
    min_score: float | None = None
    quarantine: bool = True

    @staticmethod
    def beside(known: Collection[str], tokens: int, filters: Filters) -> Packing:
        """Return the packing for a prompt that shows some cubes, by id, already: their records cost no budget."""
        from mnemos.text.recall.context import costing_nothing

        return Packing(tokens, MOST + min(len(known), MOST_KNOWN), filters, costing_nothing(known))


def context(memory: TextMemory, question: str, packing: Packing, shown: str = "", most: int | None = None) -> str:
    """Return a block for a prompt, or with `shown` all blocks; see `Space.context`."""
    from mnemos.text.recall.context import blocks

    if not shown and most is None:
        return _packed(memory, question, packing)
    try:
        there = blocks(shown)
    except ValueError as error:
        raise InvalidInput(f"shown is not what context returned for the turn before: {error}") from None
    return further(memory, question, there, packing, most=most).text


def further(
    memory: TextMemory, question: str, shown: Sequence[str], packing: Packing, *, most: int | None = None
) -> Further:
    """Return the blocks that a prompt has already, as far as they hold, and a new one; see `text.recall.further`."""
    from mnemos.text.recall.further import GROWTH

    most = GROWTH * packing.tokens if most is None else check_count(most, "most", least=0)
    packed = _packed(memory, question, packing)
    return _extended(memory, question, shown, packed, most, packing.count, packing.quarantine)


def still_there(memory: TextMemory, question: str, shown: Sequence[str]) -> list[str]:
    """Return the blocks that a prompt has already, without what no longer holds."""
    return _extended(memory, question, shown, "", NO_BOUND, None, True).kept


def _extended(
    memory: TextMemory,
    question: str,
    shown: Sequence[str],
    packed: str,
    most: int,
    count: Callable[[str], int] | None,
    quarantine: bool,
) -> Further:
    from mnemos.guard.key import key_of
    from mnemos.text.recall.further import further

    def bad(cubes: Sequence[MemCube]) -> Collection[str]:
        return withheld(memory, question, [Hit(cube, 0.0, {}) for cube in cubes]) if quarantine else ()

    return further(memory.store, key_of(memory.store), shown, packed, most, withheld=bad, count=count)


def _packed(memory: TextMemory, question: str, packing: Packing) -> str:
    """Return the context of a question alone."""
    from mnemos.guard.key import key_of
    from mnemos.text.recall.context import pack

    tokens, count, min_score = packing.tokens, packing.count, packing.min_score
    check_count(tokens, "tokens", least=0)
    if count is not None and not callable(count):
        raise InvalidInput(f"count is {count!r:.60}, expected a function that returns the number of tokens of a text.")
    question = as_owner(bounded(check_text(question, "question")), memory.name, memory.corpus, memory.store.facts)
    filter = make_filter(zone_of(packing.filters, memory.timezone), **packing.filters)
    found: list[tuple[int, Hit]] = []
    if memory.system.gate.needs(memory, question):
        judged = search(memory, question, packing.k, packing.filters, packing.asked_at, "hybrid", min_score)
        found = [] if min_score is None and _silent(memory, judged) else judged.hits
    for selector in memory.system.select:
        found = selector.select(memory, question, found, filter)
    if packing.quarantine and (bad := withheld(memory, question, [hit for _, hit in found])):
        found = [(row, without(hit, bad)) for row, hit in found if hit.cube.id not in bad]
    dates, told = memory.store.dates([row for row, _ in found]), memory.store.told([hit.cube.id for _, hit in found])
    return pack(found, dates, tokens, count, key_of(memory.store), told)


def _silent(memory: TextMemory, judged: Judgement) -> bool:
    """Tell whether context shows nothing: by a closer look at the first hits, where they are short and it may matter."""
    from mnemos.text.recall.closer import look, silent_below

    probability = look(judged, memory.embedder)
    return judged.silent if probability is None else probability < silent_below()


def withheld(memory: TextMemory, question: str, found: Sequence[Hit]) -> Mapping[str, str]:
    """Return those of the cubes found, and of those behind them, that may not be shown to an agent: id -> reason."""
    from mnemos.guard.quarantine import quarantined
    from mnemos.text.recall.bundled import bundled_vectors

    every = [*found, *(Hit(cube, 0.0, {}) for hit in found for cube in hit.earlier)]
    vectors = bundled_vectors(memory, [hit.cube for hit in every])
    return quarantined(memory.store, memory.trust, every, clean(bounded(question)), memory.clock(), vectors)


def without(hit: Hit, bad: Mapping[str, str]) -> Hit:
    """Return a hit without those of the cubes behind it that may not be shown."""
    return replace(hit, earlier=tuple(cube for cube in hit.earlier if cube.id not in bad))

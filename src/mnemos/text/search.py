"""Search: a question is checked, embedded and ranked, and its hits are reranked."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from mnemos.arguments import check_count, check_share, check_text
from mnemos.cube import MICROSECOND, Hit, Hits, SessionHit, from_micros, to_micros
from mnemos.embed.base import Embedder, embed_questions, knows
from mnemos.embed.languages import fluency_of
from mnemos.errors import EmbedderError, InvalidInput, StaleVectors
from mnemos.store.base import Facts
from mnemos.store.values import Filter
from mnemos.text.base import Allow, Asked, DeepReranker, Reranker, Retriever
from mnemos.text.encode.messages import clean, moment
from mnemos.text.languages import hint
from mnemos.text.memory import TextMemory
from mnemos.text.recall.alike import of_the_day
from mnemos.text.recall.bm25 import Bm25
from mnemos.text.recall.chain import Reader
from mnemos.text.recall.cosine import Cosine
from mnemos.text.recall.current import asks_about_past, put_behind
from mnemos.text.recall.early import warn_if_early
from mnemos.text.recall.filters import Filters, make_filter, zone_of
from mnemos.text.recall.hybrid import from_elsewhere
from mnemos.text.recall.many import enough, pool
from mnemos.text.recall.names import without_speakers
from mnemos.text.recall.own_state import LOOKED_FOR, looked_for, state_of, told_first
from mnemos.text.recall.owner import as_owner
from mnemos.text.recall.query import Query, bounded, make_query
from mnemos.text.recall.relevance import ANSWERABLE, Judgement, judge, unknown
from mnemos.text.recall.repeats import fold
from mnemos.text.recall.reread import Reread
from mnemos.text.recall.snapshot import READ_TOGETHER, Ranked, RankedSession, SearchMethod, Snapshot
from mnemos.text.recall.telling import READ
from mnemos.text.recall.then import begun, end_first, may_lead, put_first, resolve, weights_of, with_alike
from mnemos.text.recall.view import Rank
from mnemos.text.update.voices import stored_trust
from mnemos.zones import in_zone, load_zone

if TYPE_CHECKING:
    from mnemos.reason.past import Past

R = TypeVar("R", Ranked, RankedSession)
MORE = 2  # times as many cubes are ranked where too many of them say the same
STRENGTHENED = 3  # hits of a search that count as recalled: what is further down was hardly looked at
LOOKED_AT = 12  # hits of a question without its time, among which what was so then is looked for
BASELINES: dict[str, Retriever] = {"words": Bm25(), "vectors": Cosine()}  # by search method; others are the system's


def search(
    memory: TextMemory,
    query: str,
    k: int | None,
    filters: Filters,
    asked_at: Any,
    method: SearchMethod,
    min_score: float | None = None,
) -> Judgement:
    """Return the hits with their row keys and relevance, best first; see `Space.search`."""
    with memory.store.steady():
        check_share(min_score, "min_score")
        query = as_owner(bounded(check_text(query, "query")), memory.name, memory.corpus, memory.store.facts)
        k = enough(query) if k is None else check_count(k, "k")
        zone = zone_of(filters, memory.timezone)
        filter, asked = make_filter(zone, **filters), _asked(memory, asked_at, zone)
        question = _question(memory, query, k, filter, asked, method)
        if question.vector is not None:
            hint(memory, query)
        past = question.span is not None and question.span[1] <= to_micros(asked)
        free = filters.get("include_superseded") is None
        behind = filter.state == "active" and filter.as_of is None and free and filter.true_at is None
        rerankers = _rerankers(memory, method)
        named = _past_of(query, asked, question, filter) if rerankers and not question.only_time else None
        if free and (asks_about_past(query) or past or named):
            filter, behind = replace(filter, superseded=True), False
        deep = [r.least for r in rerankers if isinstance(r, DeepReranker)]
        want = (
            pool(query, k, everything=question.only_time, least=max(deep, default=1)) if method not in BASELINES else k
        )
        past_view: list[Snapshot] = []
        while True:
            ranked, hits = _hits(memory, question, query, want, filter, behind, method, past_view)
            if len(hits) >= k or ranked < want:
                break
            want *= MORE
        if named is not None:
            hits = _then(memory, query, named, hits, k, filter, asked)
        if not hits:
            warn_if_early(memory.store, filter.as_of)
        judged = _judge(memory, question, query, hits[:k], past_view)
        if named is not None:  # what was so then was looked for by itself
            judged = replace(judged, silent=False, doubtful=False)
        if min_score is not None:
            judged = replace(
                judged, hits=[(key, hit) for key, hit in judged.hits if (hit.relevance or 0.0) >= min_score]
            )
        if filter.as_of is None:
            memory.recalled([hit.cube.id for _, hit in judged.hits[:STRENGTHENED]])
        return judged


def hits_of(memory: TextMemory, judged: Judgement) -> Hits:
    """Return the hits as users see them. A closer look is taken when they are asked whether they answer."""
    embedder = memory.embedder

    def answerable() -> bool:
        from mnemos.text.recall.closer import look

        probability = look(judged, embedder)
        return judged.answerable if probability is None else probability >= ANSWERABLE

    return Hits((hit for _, hit in judged.hits), judged.confidence, answerable)


def _judge(
    memory: TextMemory, question: Query, query: str, hits: Sequence[tuple[int, Hit]], past: Sequence[Snapshot]
) -> Judgement:
    """Return the hits with their relevance, by the snapshot that was searched."""
    if not hits:
        return unknown(())
    keys = [key for key, _ in hits]
    if past:
        return judge(past[-1].around(keys, question), question, query, hits)
    model, embedder = memory.model_key(), memory.embedder
    return memory.view.read(lambda s: judge(s.around(keys, question), question, query, hits), model, embedder)


def _hits(
    memory: TextMemory,
    question: Query,
    query: str,
    k: int,
    filter: Filter,
    behind: bool,
    method: SearchMethod,
    past_view: list[Snapshot] | None = None,
) -> tuple[int, list[tuple[int, Hit]]]:
    """Return how many of the `k` best cubes were ranked, and the hits that they make; note the snapshot of an `as_of`."""

    def rank(snapshot: Snapshot, question: Query, allow: Allow) -> list[Ranked]:
        if filter.as_of is not None and past_view is not None:
            past_view.append(snapshot)
        return snapshot.rank(_retriever(memory, method), question, k, allow=allow)

    shown = replace(filter, superseded=True) if behind else filter
    kind = "cubes", k, method
    ranked = memory.view.ask(rank, kind, question, shown, memory.model_key(), memory.embedder)
    rerankers = _rerankers(memory, method)
    state = state_of(query) if behind and rerankers else None
    told = _tellings(memory, state, shown) if state is not None else []
    with memory.store.transaction(write=False):
        cubes = memory.store.by_key([r.key for r in ranked])  # one erased since the ranking is left out
        hits = [(r.key, Hit(cubes[r.key], r.score, r.why)) for r in ranked if r.key in cubes]
        hits = put_behind(memory.store, hits, filter) if behind else hits
        settled = False
        if state is not None:
            by_key = memory.store.by_key([r.key for r in told])
            more = [(r.key, Hit(by_key[r.key], r.score, r.why)) for r in told if r.key in by_key]
            hits, settled = told_first(state, hits, more, stored_trust(memory.store))
        asked = replace(_asked_of(memory, query, question), settled=settled)
        for reranker in rerankers:
            hits = reranker.rerank(memory.store, asked, hits, filter, k)
        span = question.span or (filter.since, filter.until)
        hits = of_the_day(hits, span, alone=question.only_time) if rerankers else hits
        return len(ranked), fold(memory.store, hits, filter, span)


def _tellings(memory: TextMemory, state: str, filter: Filter) -> list[Ranked]:
    """Return cubes that may tell of a state of the asker, by its words."""
    words = make_query(looked_for(state), None, memory.clock(), fluency_of(memory.embedder))

    def rank(snapshot: Snapshot, question: Query, allow: Allow) -> list[Ranked]:
        return snapshot.rank(BASELINES["words"], question, LOOKED_FOR, allow=allow)

    kind = "cubes", LOOKED_FOR, "words"
    return memory.view.ask(rank, kind, words, filter, memory.model_key(), memory.embedder)


def _asked_of(memory: TextMemory, query: str, question: Query) -> Asked:
    """Return a question for the rerankers: without its vector, where the embedder does not know its language."""
    if question.vector is None or memory.embedder is None or question.fluency(question.language) < 1:
        return Asked(query)
    return Asked(query, question.vector, memory.model_key(), memory.embedder.name)


def _past_of(query: str, asked: datetime, question: Query, filter: Filter) -> Past | None:
    """Return the past time that a search is about, given as `true_at` or named by the question."""
    from mnemos.reason.past import Past, past_of
    from mnemos.reason.states import asks_state

    if filter.true_at is not None:
        moment = from_micros(filter.true_at)
        return Past(query, span=(moment, moment + MICROSECOND))
    span = None if question.span is None else (from_micros(question.span[0]), from_micros(question.span[1]))
    found = past_of(query, asked, span)
    return found if found is not None and asks_state(found.rest) else None


def _then(
    memory: TextMemory, query: str, past: Past, hits: list[tuple[int, Hit]], k: int, filter: Filter, asked: datetime
) -> list[tuple[int, Hit]]:
    """Return the hits, what held at the asked time first; as they are where that time is not found, or the first tells of it."""
    from mnemos.reason.past import tells_of_life
    from mnemos.text.recall.bundled import bundled_vectors

    if hits and tells_of_life(hits[0][1].cube.text, query):
        return hits

    def ask(text: str, filter: Filter = filter) -> list[tuple[int, Hit]]:
        found = _question(memory, text, LOOKED_AT, filter, asked, "hybrid")
        return _hits(memory, found, text, LOOKED_AT, filter, False, "hybrid")[1]

    seen: dict[str, NDArray[np.float32]] = {}
    reader = Reader(
        lambda text: without_speakers(text, memory.corpus()), lambda cubes: bundled_vectors(memory, cubes, READ, seen)
    )
    # Not in one transaction: inside one the view would be read anew for each question.
    if past.until:
        return list(end_first(past, hits, ask))[:k]
    if (then := resolve(past, memory.store, ask, reader)) is None:
        return hits
    corpus = memory.corpus()
    who = None if filter.speaker or corpus is None else corpus.named_speaker(past.rest)
    if who is not None:
        filter = replace(filter, speaker=who)
    rest = make_query(past.rest, None, asked, fluency_of(memory.embedder))
    weights = weights_of(rest.content, corpus) if corpus is not None else {}
    if corpus is not None and from_elsewhere(corpus, rest, len(weights) / max(len(rest.content), 1)):
        return hits  # statements are not read in one language for a question in another
    found, ranked = ask(past.rest, filter), hits
    if past.span is not None and corpus is not None:
        hits = list(begun(then, past.rest, memory.store, hits, found, weights))
    about = with_alike(then, past.rest, found or hits, lambda text: ask(text, filter), reader)
    reordered = put_first(then, past.rest, memory.store, hits, about, filter, reader)
    return list(reordered if may_lead(then, reordered, ranked, weights, memory.store) else ranked)[:k]


@contextmanager
def try_lock(memory: TextMemory, query: str) -> Iterator[bool]:
    """Try to take a space without waiting; yield whether a search without filters takes milliseconds now.

    For servers, which may then answer on their event loop: passing such a search to a thread costs more than it does.
    The view is up to date and has at most 50,000 cubes, the vector of the question is known, and no recalls are to be
    written. Inside, what would have to wait for another process raises StoreBusy.
    """
    if memory.view.snapshot is None or memory.recalls.due(memory.clock()):
        yield False
        return
    with memory.store.try_lock() as held:
        if not held or not knows(memory.embedder, embedded_words(memory, query, memory.store.facts)):
            yield False
            return
        with memory.view.try_lock(memory.model_key(), memory.embedder) as ready:
            yield ready


def search_sessions(
    memory: TextMemory, query: str, k: int, filters: Filters, asked_at: Any, method: SearchMethod
) -> list[SessionHit]:
    """Return the sessions, best first; see `Space.search_sessions`."""

    def rank(snapshot: Snapshot, question: Query, allow: Allow) -> list[RankedSession]:
        return snapshot.rank_sessions(_retriever(memory, method), question, k, allow=allow)

    query = as_owner(bounded(check_text(query, "query")), memory.name, memory.corpus, memory.store.facts)
    zone = zone_of(filters, memory.timezone)
    asked = _asked(memory, asked_at, zone)
    filter = make_filter(zone, **filters)
    if filters.get("include_superseded") is None:  # a session is found by what was said in it
        filter = replace(filter, superseded=True)
    ranked = _ask(memory, rank, "sessions", query, k, filter, asked, method)
    if not ranked:
        warn_if_early(memory.store, filter.as_of)
    best = memory.store.by_key([r.best for r in ranked])
    return [SessionHit(r.session, r.score, r.why, best[r.best].id) for r in ranked if r.best in best]


def nearest(memory: TextMemory, text: str, k: int, filter: Filter) -> list[Hit]:
    """Return the cubes closest to a text in meaning, best first; none is strengthened. Without an embedder none."""
    if memory.embedder is None or filter.state == "archived":
        return []

    def rank(snapshot: Snapshot, question: Query, allow: Allow) -> list[Ranked]:
        return snapshot.rank(BASELINES["vectors"], question, k, allow=allow)

    ranked = _ask(memory, rank, "cubes", text, k, filter, memory.clock(), "vectors", names=True)
    cubes = memory.store.by_key([r.key for r in ranked])
    return [Hit(cubes[r.key], r.score, r.why) for r in ranked if r.key in cubes]


def _asked(memory: TextMemory, asked_at: Any, zone: str) -> datetime:
    """Return when a question is asked, on the clock of `zone`."""
    return moment(asked_at, "asked_at", zone) or in_zone(memory.clock(), load_zone(zone))


def _ask(
    memory: TextMemory,
    rank: Rank[R],
    what: str,
    query: str,
    k: int,
    filter: Filter,
    asked_at: datetime,
    method: str,
    *,
    names: bool = False,
) -> list[R]:
    question = _question(memory, query, k, filter, asked_at, method, names=names)
    return memory.view.ask(rank, (what, k, method), question, filter, memory.model_key(), memory.embedder)


def _question(
    memory: TextMemory, query: str, k: int, filter: Filter, asked_at: datetime, method: str, *, names: bool = False
) -> Query:
    """Return the checked question, embedded if the retriever wants a vector: without names of speakers, but for `names`."""
    if not check_text(query, "query").strip():
        raise InvalidInput("the query is empty. Ask for something, or use cubes() to see what the space holds.")
    check_count(k, "k")
    if method not in get_args(SearchMethod):
        raise InvalidInput(f"method is {method!r}, expected one of {', '.join(get_args(SearchMethod))}.")
    if filter.state == "archived" and filter.as_of is None:
        raise InvalidInput(
            'archived cubes are not searched. List them with cubes(state="archived"); unarchive() brings them back.'
        )
    query = clean(bounded(query))
    vector = None
    if memory.embedder is not None and _retriever(memory, method).uses_vector:
        vector = _embed(memory.embedder, query if names else without_speakers(query, memory.corpus()))
    return make_query(query, vector, asked_at, fluency_of(memory.embedder))


def _rerankers(memory: TextMemory, method: str) -> tuple[Reranker, ...]:
    """Return what reorders the hits of a search method, in this order; nothing reorders those of a baseline."""
    if method in BASELINES:
        return ()
    return (Reread(), *memory.system.rerank) if method == READ_TOGETHER else memory.system.rerank


def _retriever(memory: TextMemory, method: str) -> Retriever:
    return BASELINES[method] if method in BASELINES else memory.retriever()


def embedded_words(memory: TextMemory, query: str, facts: Facts | None = None) -> str:
    """Return what the embedder is given of a question, by the last view of the space. Waits for nothing but `facts`.

    Without `facts` a name that the user has told (`as_owner`) stays in it.
    """
    snapshot = memory.view.snapshot
    corpus = None if snapshot is None else snapshot.corpus
    return without_speakers(clean(as_owner(bounded(query), memory.name, lambda: corpus, facts)), corpus)


def _embed(embedder: Embedder, query: str) -> NDArray[np.float32] | None:
    """Return the vector of a question; None, with a warning, when the embedder fails: words still find cubes."""
    try:
        vector: NDArray[np.float32] = embed_questions(embedder, [query])[0]
        return vector
    except EmbedderError as error:
        warnings.warn(f"searched by words only: {error}", StaleVectors, stacklevel=6)
        return None

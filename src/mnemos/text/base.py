"""The contracts of text memory: encoder, retriever, reranker, updater, law, phase, gate, selector; see `text.null`, too.

A published memory system is a composition of these (`System`). A method satisfies one of them and registers itself with
`@register`; it is then found by name, tested by tests/contracts and shown by `mnemos methods`.

All of them keep this: a method is a frozen data class whose fields are its knobs. It never changes its arguments, has
no state between calls, and returns the same for the same arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mnemos.cube import Hit, MemCube, to_micros
from mnemos.store.values import Entry, Filter

if TYPE_CHECKING:
    from mnemos.embed.base import Embedder, Progress
    from mnemos.reason.base import Reasoner
    from mnemos.reason.fallback import FallbackReasoner
    from mnemos.store.base import Store
    from mnemos.text.consolidate.report import Budget, Forgotten
    from mnemos.text.recall.corpus import Corpus
    from mnemos.text.recall.query import Query
    from mnemos.text.recall.spread import Graph

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Scores = NDArray[np.float32]
Allow = NDArray[np.bool_] | None
Why = list[dict[str, float]]
DAY = 86_400_000_000  # microseconds


# -- encode


@runtime_checkable
class Encoder(Protocol):
    """Makes what recall needs of a text, once, when it is written."""

    def encode(
        self, cubes: Sequence[MemCube], embedder: Embedder | None, progress: Progress | None = None
    ) -> list[Entry]:
        """Return an entry for each cube, in order, with the cube itself as it is.

        An entry has terms (found by words), a vector of unit length (D,) or None, and dates; that of a long text may be
        (1 + parts, D), the first of the whole. An embedder that fails costs no memory: the vectors are None and a
        StaleVectors warning says so. `progress` is called with the number of texts embedded since its last call. The
        result is valid as long as the text and the embedder are the same.
        """


# -- recall


@dataclass(frozen=True, slots=True)
class View:
    """What one question searches. Valid until the space changes."""

    corpus: Corpus  # the cubes by position, (N,)
    graph: Graph | None  # links among them, once consolidation has made some
    shown: NDArray[np.bool_]  # (N,) True where a cube passes the filters

    def visible(self, scores: Scores) -> Scores:
        """Return the scores, (N,), with -inf for the cubes that are not shown."""
        return np.where(self.shown, scores, np.float32(-np.inf))


@dataclass(frozen=True, slots=True)
class Ranking:
    """How well each cube of a view answers a question."""

    scores: Scores  # (N,) the higher the better; -inf: not shown, or no answer; 0: nothing speaks for it, so no hit
    explain: Callable[[Sequence[int]], Why]  # what each signal added at some positions; the sum is the score


@dataclass(frozen=True, slots=True)
class SessionRanking:
    """How well each session of a view answers a question."""

    scores: NDArray[np.floating]  # (S,) -inf: no cube of it is shown
    best: NDArray[np.integer]  # (S,) the position of its best cube
    explain: Callable[[Sequence[int]], Why]  # what each signal added for some sessions; the sum is the score


@runtime_checkable
class Retriever(Protocol):
    """Scores every cube of a view for a question. O(N) or cheaper."""

    uses_vector: ClassVar[bool]  # whether the question and the cubes have to be embedded

    def rank(self, view: View, query: Query) -> Ranking:
        """Return the ranking of the N cubes; -inf wherever `view.shown` is False. The view is never empty."""


@runtime_checkable
class SessionRetriever(Retriever, Protocol):
    """A retriever that ranks sessions by more than their best cube."""

    def rank_sessions(self, view: View, query: Query) -> SessionRanking:
        """Return the ranking of the S sessions of `view.corpus.layout()`, of which there is one at least."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, as the rerankers get it."""

    text: str
    vector: NDArray[np.floating] | None = None  # (D,); None without an embedder
    model: int | None = None  # the number under which the store keeps the vectors of this embedder
    embedder: str = ""  # its name
    settled: bool = False  # whether the first hit is known to hold now


@runtime_checkable
class Reranker(Protocol):
    """Reorders the hits of a search by what the store knows about them."""

    def rerank(
        self, store: Store, asked: Asked, hits: Sequence[tuple[int, Hit]], filter: Filter, k: int
    ) -> list[tuple[int, Hit]]:
        """Return at most `k` of the (row key, hit), best first.

        It may add a cube of the store that passes the filter. It reads the store, inside a transaction, and never
        writes; a hit that it changes is a new one whose `why` still sums to its score.
        """


@runtime_checkable
class DeepReranker(Reranker, Protocol):
    """A reranker that looks among more hits than a search may ask for: one hit of a search is the first of these."""

    least: ClassVar[int]  # cubes that are ranked for it, however few hits are asked for


# -- update


@runtime_checkable
class Updater(Protocol):
    """Stores new texts and decides what each does to the memories that exist.

    Nothing is overwritten: a changed cube gets a new version, a superseded one is kept, linked and dated.
    """

    def add(self, memory: Memory, entries: Sequence[Entry]) -> list[MemCube]:
        """Store each entry as its own cube, in one transaction, all or none; return the cubes as stored, in order.

        Raises StoreError and Conflict; nothing is stored then.
        """

    def revise(self, memory: Memory, entry: Entry) -> None:
        """Store an entry as the next version of its cube, in one transaction. Raises Conflict if it is not the next."""


# -- forget


@dataclass(frozen=True, slots=True)
class Histories:
    """What a law knows of N memories: arrays (N,). Times are days since 1970."""

    created: Floats  # when each was learned
    recalled: Floats  # when it was last recalled; `created` if never
    recalls: Ints  # how often it was recalled
    strength: Floats  # what the law made of the recalls so far; 1 when it is created
    size: Ints  # bytes of text
    tier: Ints  # 0 short term, 1 middle, 2 long term
    importance: Floats = field(default_factory=lambda: np.empty(0))  # how much it matters; 1 where nothing rates it

    def __post_init__(self) -> None:
        if len(self.importance) != len(self.created):
            object.__setattr__(self, "importance", np.ones(len(self.created)))

    def __len__(self) -> int:
        return len(self.created)

    @staticmethod
    def of(cubes: Sequence[MemCube]) -> Histories:
        """Return the histories of cubes."""
        return Histories(
            created=np.array([to_micros(c.learned) for c in cubes]) / DAY,
            recalled=np.array([to_micros(c.recalled_at or c.learned) for c in cubes]) / DAY,
            recalls=np.array([c.recalls for c in cubes], dtype=np.int64),
            strength=np.array([c.strength for c in cubes], dtype=np.float64),
            size=np.array([len(c.text) for c in cubes], dtype=np.int64),
            tier=np.array([c.layer for c in cubes], dtype=np.int64),
        )

    def at(self, places: Ints) -> Histories:
        """Return the histories of the memories at some places, as copies."""
        return Histories(*(getattr(self, f.name)[places] for f in fields(self)))


@runtime_checkable
class Law(Protocol):
    """A law of forgetting; its fields are its constants, with the paper's values as defaults."""

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return a retention score for each memory at `now` (days since 1970), (N,), finite.

        The lowest are forgotten first. Its unit is the law's: a share between 0 and 1, days left, or a heat.
        """

    def reinforce(self, histories: Histories, now: float) -> tuple[Floats, Ints]:
        """Return (strength, tier), both (N,), of memories that are recalled at `now`.

        Being recalled never lowers a retention. The caller updates the other fields afterwards.
        """


# -- consolidate


@runtime_checkable
class Phase(Protocol):
    """One part of a consolidation."""

    def run(self, memory: Memory, budget: Budget) -> None:
        """Do what is to be done, add it to `budget.done`, and stop when the budget is spent.

        What is to be done is read from the store alone. So it may be killed at any time and loses nothing, the next run
        continues, and a run with nothing new writes nothing. Original cubes are never rewritten.
        """


# -- context


@runtime_checkable
class Gate(Protocol):
    """Decides, before anything is searched, whether a prompt needs memory. `context` asks it; a search never does."""

    def needs(self, memory: Memory, text: str) -> bool:
        """Tell whether what a user says calls for memory. Reads the space, never writes; where it is not sure, True."""


@runtime_checkable
class Selector(Protocol):
    """Chooses what `context` shows: the hits of a search, and what a prompt has in any case, as the latest turns."""

    def select(
        self, memory: Memory, text: str, hits: Sequence[tuple[int, Hit]], filter: Filter
    ) -> list[tuple[int, Hit]]:
        """Return (row key, hit), each cube once, the most important first: they are packed while there is room.

        It may add cubes of the store that pass the filter, and show a hit with a shorter text. It reads, never writes;
        `hits` are empty where the gate is closed.
        """


# -- the composition


@dataclass(frozen=True)
class System:
    """A memory system: the methods that a space uses. `text.system.DEFAULT` is Mnemos' own; others replace parts."""

    encode: Encoder  # what is computed of a text when it is written
    retrieve: Retriever  # scores for a question
    rerank: tuple[Reranker, ...]  # applied to the hits, in this order
    update: Updater  # what a new text does to the memories that exist
    law: Law  # what strengthens and forgets, unless the space has its own policy
    phases: tuple[Phase, ...]  # what `consolidate` does, in this order
    gate: Gate  # whether a prompt needs memory
    select: tuple[Selector, ...]  # choose what of it a prompt shows, in this order


@runtime_checkable
class SystemMaker(Protocol):
    """A function that returns a `System`; its registered name is the system's."""

    def __call__(self) -> System:
        """Return the system. Cheap: nothing is loaded or opened."""


class Memory(Protocol):
    """What updaters and phases may use of a space: `TextMemory` without its settings."""

    @property
    def name(self) -> str:
        """The name of the space."""

    @property
    def store(self) -> Store:
        """Where its cubes are stored."""

    @property
    def system(self) -> System:
        """The methods that it uses."""

    @property
    def law(self) -> Law:
        """The law by which its memories are strengthened and forgotten."""

    @property
    def rules(self) -> Reasoner:
        """The judgements by rules."""

    @property
    def reasoner(self) -> Reasoner:
        """The judgements by the space's model, or by rules where it has none."""

    @property
    def judge(self) -> FallbackReasoner:
        """The model's judgements, and the rules' where it fails."""

    @property
    def trust(self) -> Mapping[str, int]:
        """Tiers of trust by source."""

    def clock(self) -> datetime:
        """Return the time."""

    def now(self) -> datetime:
        """Return the time of what is written next: never before that of the last write, though the clock went back."""

    def model_key(self) -> int | None:
        """Return the number under which the store keeps this embedder's vectors; None without an embedder."""

    def encode(self, cubes: Sequence[MemCube], progress: Progress | None = None) -> list[Entry]:
        """Return an entry for each cube, by the encoder of the space's system."""

    def corpus(self) -> Corpus | None:
        """Return the cubes of the space as they are now, by position; None when it has none."""

    def recalled(self, ids: Sequence[str]) -> None:
        """Count cubes as recalled together, now."""

    def apply_policy(self) -> Forgotten:
        """Archive and erase what the space's policy forgets now."""


KINDS: dict[str, type] = {
    "law": Law,
    "retriever": Retriever,
    "reranker": Reranker,
    "updater": Updater,
    "encoder": Encoder,
    "phase": Phase,
    "gate": Gate,
    "selector": Selector,
    "system": SystemMaker,
}

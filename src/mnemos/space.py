"""Space: one owner's memory, and the verbs a user calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Unpack

from mnemos.arguments import check_count
from mnemos.cube import Hit, MemCube, Page, SessionHit, from_micros
from mnemos.embed import Embedder
from mnemos.errors import NotFound
from mnemos.facts import Decision, KnownFact, Link
from mnemos.guard.erasure import Receipt, choose, erase
from mnemos.reason.base import Reasoner
from mnemos.reason.rules import RuleReasoner
from mnemos.store.base import Store
from mnemos.text import records, revise, upkeep
from mnemos.text.add import add
from mnemos.text.consolidate.run import LIMIT, consolidate
from mnemos.text.consolidate.runs import Consolidation
from mnemos.text.encode.entries import Progress
from mnemos.text.encode.messages import clean, moment, to_draft
from mnemos.text.forget.base import Law
from mnemos.text.forget.policy import Forgotten, Policy, apply_policy, archive
from mnemos.text.forget.strengthen import Recalls
from mnemos.text.memory import TextMemory
from mnemos.text.recall.facts import known_facts
from mnemos.text.recall.filters import Filters, Time, chosen, make_filter
from mnemos.text.recall.snapshot import SearchMethod as SearchMethod
from mnemos.text.recall.view import CurrentView
from mnemos.text.search import search, search_sessions

if TYPE_CHECKING:
    from mnemos.migrate.base import Activated, Mode, Render
    from mnemos.migrate.prefill import PrefillCache


class Space:
    """The memory of one owner. Get one from `Mnemos.space(name)`.

    Safe among threads and processes: a write is durable when it returns, and the next search of any process sees it.
    The words and vectors of all cubes are kept in RAM once searched (about 2.5 kB a cube).
    """

    def __init__(
        self,
        name: str,
        store: Store,
        embedder: Embedder | None,
        clock: Callable[[], datetime],
        reasoner: Reasoner | None = None,
    ) -> None:
        self.text = TextMemory(name, store, embedder, clock, reasoner)
        self._activations: PrefillCache | None = None

    @property
    def name(self) -> str:
        """The name of the space."""
        return self.text.name

    @property
    def store(self) -> Store:
        """Where the cubes live."""
        return self.text.store

    @property
    def embedder(self) -> Embedder | None:
        """What turns text into vectors; None for words only."""
        return self.text.embedder

    @property
    def clock(self) -> Callable[[], datetime]:
        """What tells the time."""
        return self.text.clock

    @property
    def view(self) -> CurrentView:
        """The view that is searched."""
        return self.text.view

    @property
    def recalls(self) -> Recalls:
        """Recalls that are not yet on the disk."""
        return self.text.recalls

    @property
    def rules(self) -> RuleReasoner:
        """The judgements by rules."""
        return self.text.rules

    @property
    def reasoner(self) -> Reasoner:
        """Who judges: the rules, or a model."""
        return self.text.reasoner

    @property
    def policy(self) -> Policy:
        """What this space lets go of, and by which law; kept in the file. Assign a `Policy` to change it."""
        return self.text.policy

    @policy.setter
    def policy(self, value: Policy) -> None:
        self.text.policy = value

    @property
    def trust(self) -> Mapping[str, int]:
        """Tiers of trust by source (`fnmatch` patterns): 0 untrusted, 1 normal, 2 trusted; assign to change them.

        Without a rule, sources on the web, in e-mail and in tools' answers are untrusted.
        """
        return self.text.trust

    @trust.setter
    def trust(self, value: Mapping[str, int]) -> None:
        self.text.trust = value

    @property
    def secrets(self) -> str:
        """What is done with keys, tokens and card numbers in new texts: "redact" (the default), "refuse" or "keep"."""
        return self.text.secrets

    @secrets.setter
    def secrets(self, value: str) -> None:
        self.text.secrets = value

    # -- encode

    def add(
        self,
        content: str | Sequence[Any],
        *,
        speaker: str | None = None,
        session: str | None = None,
        at: Time = None,
        metadata: Mapping[str, Any] | None = None,
        source: str | None = None,
        role: str | None = None,
        kind: str = "turn",
        id: str | None = None,
        reconcile: bool = True,
    ) -> MemCube:
        """Store one text and return its cube; it is on the disk when this returns.

        `at` is when it happened (default: now); relative dates in the text are resolved against it. What it states
        is compared with what is known (see `decisions`): it may supersede other cubes, and, when it has no session, id
        or metadata of its own, it may only confirm or refine a cube, which is then returned. `reconcile=False` appends.
        One embedding and one commit: some 5 ms. Raises InvalidInput (nothing stored) or StoreError.
        """
        message = {
            "content": content, "speaker": speaker, "session": session, "at": at, "metadata": metadata,
            "source": source, "role": role, "kind": kind, "id": id,
        }  # fmt: skip
        return add(self.text, [to_draft(message, where="add")], None, reconcile)[0]

    def add_many(
        self, messages: Iterable[Mapping[str, Any]], *, reconcile: bool = True, progress: Progress | None = None
    ) -> list[MemCube]:
        """Store many messages in one transaction, all or none; return their cubes in order.

        A message is a dict with `content` and any keyword of `add`, or one of the shapes of chat APIs
        (role/content/name/timestamp). One with an `id` that is already there with the same content is
        not written again: the cube that is there is returned. `progress` is called with the number of texts
        embedded since the last call. Raises InvalidInput naming the message, or Conflict when an id is
        taken by other content; nothing is stored then.
        """
        drafts = [to_draft(m, where=f"messages[{i}]") for i, m in enumerate(messages)]
        return add(self.text, drafts, progress, reconcile)

    def model_key(self) -> int | None:
        """Return the number of the embedder in the store."""
        return self.text.model_key()

    # -- recall

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        asked_at: Time = None,
        method: SearchMethod = "hybrid",
        **filters: Unpack[Filters],
    ) -> list[Hit]:
        """Return the `k` cubes that answer `query` best, best first.

        Takes the filters of `Filters` (session, speaker, since, where, ...); `as_of` searches what was believed at that
        moment and is slower, since its index is built for this search. `asked_at` (default now) anchors time words of
        the query ("last week"). Superseded cubes are left out, or ranked below their successor if they also say something
        else; `include_superseded` finds them too (default: when the question asks for the past, "used to").
        Episodes, summaries and profiles are found by `kind=`, or with `include_derived` beside the originals.
        `method` is "hybrid", or a baseline: "words" (BM25) or "vectors" (cosine). The best hits are strengthened.

        Costs one embedding of the query (cached) and O(N) cheap arithmetic: see docs/benchmarks.md.
        Raises InvalidInput for an empty query, a k below 1, an unknown method or filter, or a filter of the wrong type.
        """
        return [hit for _, hit in search(self.text, query, k, filters, asked_at, method)]

    def recalled(self, ids: Sequence[str]) -> None:
        """Count cubes as recalled together, now: the law of the space makes them stronger."""
        self.text.recalled(ids)

    def search_sessions(
        self,
        query: str,
        k: int = 10,
        *,
        asked_at: Time = None,
        method: SearchMethod = "hybrid",
        **filters: Unpack[Filters],
    ) -> list[SessionHit]:
        """Return the `k` sessions that answer `query` best. Takes the filters of `search`.

        Cubes without a session are left out.
        """
        return search_sessions(self.text, query, k, filters, asked_at, method)

    def context(
        self,
        question: str,
        *,
        tokens: int = 800,
        k: int = 40,
        count: Callable[[str], int] | None = None,
        asked_at: Time = None,
        quarantine: bool = True,
        **filters: Unpack[Filters],
    ) -> str:
        """Return a block for a prompt: the best hits that fit into `tokens`, in time order, with ids to cite.

        The block says that it is data; nothing stored can close it early. With `quarantine` cubes from untrusted
        sources (see `trust`) stay out when they look like orders to the agent, or when better sources contradict them.
        `count` counts the tokens of a text (default: an estimate that errs on the large side). Takes the filters of
        `search`.
        """
        from mnemos.text.recall.context import pack

        found = search(self.text, question, k, filters, asked_at, "hybrid")
        if quarantine and (bad := self.quarantined(question, [hit for _, hit in found])):
            found = [row for row in found if row[1].cube.id not in bad]
        return pack(found, self.store.dates([key for key, _ in found]), tokens, count)

    def quarantined(self, question: str, found: Sequence[Hit] | None = None) -> Mapping[str, str]:
        """Return the ids of the cubes that `context` would leave out for a question, with the reason; or of those `found`."""
        from mnemos.guard.quarantine import quarantined

        hits = [hit for _, hit in search(self.text, question, 40, {}, None, "hybrid")] if found is None else found
        return quarantined(self.store, self.trust, hits, clean(question), self.clock())

    # -- look

    def get(self, cube_id: str) -> MemCube:
        """Return the current version of a cube. Raises NotFound."""
        cube = self.store.get([cube_id]).get(cube_id)
        if cube is None:
            raise NotFound(f"there is no cube {cube_id!r} in space {self.name!r}.")
        return cube

    def cubes(self, *, limit: int = 100, cursor: int | None = None, **filters: Unpack[Filters]) -> Page:
        """Return current cubes in the order in which they were written: iterate over all, or use one page.

        `for cube in space.cubes()` reads `limit` cubes at a time. For one page use `.items`, and give its `.next_cursor` as
        `cursor` to get the following one. Takes the filters of `search`. Raises InvalidInput for a limit below 1.
        """
        check_count(limit, "limit")
        after = 0 if cursor is None else check_count(cursor, "cursor", least=0)
        rows = self.store.select(make_filter(**filters), after=after, limit=limit + 1)
        items = [cube for _, cube in rows[:limit]]
        following = rows[limit - 1][0] if len(rows) > limit else None
        return Page(items, following, lambda at: self.cubes(limit=limit, cursor=at, **filters))

    def count(self) -> int:
        """Return the number of current cubes."""
        return int(self.store.stats()["cubes"])

    def history(self, cube_id: str) -> Sequence[MemCube]:
        """Return all versions of a cube, oldest first. Raises NotFound."""
        return self.text.history(cube_id)

    def stats(self) -> dict[str, Any]:
        """Return counts, sizes, the embedding models in the file, and the bytes held in RAM."""
        stats = {"space": self.name, **self.store.stats()}
        for name in ("first_at", "last_at"):
            stats[name] = None if stats[name] is None else from_micros(stats[name]).isoformat()
        e = self.embedder
        stats["embedder"] = e and {"name": e.name, "revision": e.revision, "dimension": e.dimension}
        stats["reasoner"] = getattr(self.reasoner, "stats", dict)() | {"name": self.reasoner.name}
        return stats | {"index_bytes": self.view.nbytes}

    # -- update and forget

    def update(self, cube_id: str, **changes: Any) -> MemCube:
        """Write the next version of a cube and return it; the earlier ones stay in `history`.

        `changes` are any of content, at, session, speaker, role, source, kind, metadata (replaced as a whole),
        valid_from, valid_to. Raises NotFound, InvalidInput when there is nothing to change, and Conflict
        when somebody else updated the cube meanwhile.
        """
        return revise.update(self.text, cube_id, changes)

    def rollback(self, cube_id: str, version: int) -> MemCube:
        """Make an earlier version of a cube its newest one and return it; nothing is lost. Raises NotFound."""
        return revise.rollback(self.text, cube_id, version)

    def delete(self, cube_id: str) -> Sequence[str]:
        """Remove a cube for good: all its versions, its words, its vectors, and every cube derived from it.

        The bytes are overwritten in the file. Returns the ids removed. Raises NotFound.
        """
        removed = self.store.erase([cube_id])
        if not removed:
            raise NotFound(f"there is no cube {cube_id!r} in space {self.name!r}; nothing was removed.")
        return removed

    def forget(
        self, ids: Sequence[str] = (), *, query: str | None = None, everything: bool = False, **filters: Unpack[Filters]
    ) -> Receipt:
        """Remove what was chosen, and all that was derived from it, and prove it: rows and raw bytes are searched.

        Choose by `ids`; by `query` (cubes whose text has all its content words) and/or the filters of `search`;
        or `everything`. See `forget_preview` for what would go. An import does not bring erased ids back. Raises
        InvalidInput when nothing in particular is chosen, and NotFound when nothing matches.
        """
        chosen_by, cubes = choose(self.store, ids, query=query, everything=everything, filter=chosen(filters))
        if not cubes:
            raise NotFound(f"nothing in space {self.name!r} matches; nothing was removed.")
        asked = len(self.store.get(ids)) if ids else len(cubes)
        return erase(self.store, chosen_by, cubes, asked, self.clock())

    def forget_preview(
        self, ids: Sequence[str] = (), *, query: str | None = None, everything: bool = False, **filters: Unpack[Filters]
    ) -> Sequence[MemCube]:
        """Return the cubes that `forget` with the same arguments would remove; removes nothing."""
        return choose(self.store, ids, query=query, everything=everything, filter=chosen(filters))[1]

    # -- the life of memories

    @property
    def law(self) -> Law:
        """The law by which memories are strengthened and forgotten."""
        return self.text.law

    def consolidate(self, *, limit: int = LIMIT, progress: Progress | None = None) -> Consolidation:
        """Sum up sessions, days and weeks, profile, link, promote what is hot and let go of what is stale.

        Run it nightly or whenever it is quiet. It may be stopped at any time; a second run with nothing new does
        nothing. See `text.consolidate.run`.
        """
        return consolidate(self.text, limit=limit, progress=progress)

    def apply_policy(self, *, preview: bool = False) -> Forgotten:
        """Archive and erase what the policy lets go of, or only say what; `consolidate` does so too."""
        return apply_policy(self.store, self.policy, self.clock(), preview=preview)

    def pin(self, cube_id: str, *, on: bool = True) -> None:
        """Keep a cube from being let go of (`on=False`: no longer). Raises NotFound."""
        self.store.lives.pin(cube_id, on)

    def archive(self, ids: Sequence[str]) -> Sequence[str]:
        """Take cubes out of search; `unarchive` brings them back. Returns the ids that changed."""
        return archive(self.store, ids)

    def unarchive(self, ids: Sequence[str]) -> Sequence[str]:
        """Bring archived cubes back into search. Returns the ids that changed."""
        return archive(self.store, ids, back=True)

    def facts(
        self,
        subject: str | None = None,
        attribute: str | None = None,
        *,
        as_of: Time = None,
        true_at: Time = None,
        ended: bool = False,
    ) -> Sequence[KnownFact]:
        """Return what cubes state, oldest first: what holds now, or as believed at `as_of`; with `ended` also what held.

        `true_at` asks for what was true at a moment, as far as is known now (or was known at `as_of`).
        "I" is the speaker ("user" if none was given); `subject` and `attribute` are compared as they are kept.
        """
        times = moment(as_of, "as_of"), moment(true_at, "true_at")
        return known_facts(self.store, subject, attribute, *times, ended=ended)

    def decisions(self, cube_id: str | None = None, *, limit: int = 100) -> Sequence[Decision]:
        """Return what was decided about new statements and why, oldest first; plain additions are not recorded."""
        return self.store.decisions.find(cube_id, limit=limit)

    def links(self, cube_id: str | None = None, *, kind: str | None = None) -> Sequence[Link]:
        """Return the links from and to a cube, or all that are kept; see `facts.Link` for the kinds.

        With a cube also those that follow from the rows: derived from, follows, same entity.
        """
        links = self.store.links
        found = links.find(kind=kind) if cube_id is None else links.find([cube_id]) + links.implied(cube_id)
        return [link for link in found if kind in (None, link.kind)]

    def flush(self) -> int:
        """Write the recalls that are in RAM only; return how many cubes changed."""
        return self.text.flush() + (0 if self._activations is None else self._activations.flush())

    @property
    def activations(self) -> PrefillCache:
        """The keys and values that models have computed of this space's cubes, in RAM and on disk. Needs PyTorch."""
        if self._activations is None:
            from mnemos.migrate.prefill import PrefillCache

            self._activations = PrefillCache(self.store, self.clock)
        return self._activations

    def activate(
        self,
        what: str | Sequence[str | MemCube],
        model: Any,
        tokenizer: Any,
        *,
        mode: Mode = "exact",
        k: int = 10,
        render: Render | None = None,
        **filters: Any,
    ) -> Activated:
        """Return cubes as a prefix that a transformer has already read; it costs no prefill where it was computed before.

        `what` is a query (its `k` best cubes, oldest first; takes the filters of `search`), or cubes or ids in the order of
        the prompt. `render` turns a cube into text (default: a line of date, speaker and text). See
        `migrate.prefill.PrefillCache.activate` for `mode`. Raises NotFound for an unknown id.
        """
        from mnemos.migrate.pieces import render as to_line

        if isinstance(what, str):
            cubes = sorted((hit.cube for hit in self.search(what, k, **filters)), key=lambda cube: (cube.at, cube.id))
        else:
            ids = [item if isinstance(item, str) else item.id for item in what]
            existing = self.store.get(ids)
            if missing := [cube_id for cube_id in ids if cube_id not in existing]:
                raise NotFound(f"there is no cube {missing[0]!r} in space {self.name!r}.")
            cubes = [existing[cube_id] for cube_id in ids]
        return self.activations.activate(cubes, model, tokenizer, mode=mode, render=render or to_line)

    # -- upkeep

    def reindex(self, progress: Progress | None = None) -> int:
        """Compute the vectors that the current embedder has not made; see `upkeep.reindex`."""
        return upkeep.reindex(self.text, progress)

    def doctor(self, *, repair: bool = False, progress: Progress | None = None) -> upkeep.Checkup:
        """Check the file, and with `repair` recompute what is damaged from the rows; see `upkeep.doctor`."""
        return upkeep.doctor(self.text, repair=repair, progress=progress)

    def dump(self) -> Iterator[dict[str, Any]]:
        """Yield every cube with its versions, for an archive; see `records.dump`."""
        return records.dump(self.text)

    def restore(self, rows: Iterable[Mapping[str, Any]], *, progress: Progress | None = None) -> tuple[int, int]:
        """Write what `dump` yielded; return (added, skipped); see `records.restore`."""
        return records.restore(self.text, rows, progress)

    def close(self) -> None:
        """Write what is in RAM only (recalls), close the file and free the RAM of the index."""
        if not self.store.closed:
            self.flush()
        self.store.close()
        self.view.drop()
        if self._activations is not None:
            self._activations.free_ram()

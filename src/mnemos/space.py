"""Space: one owner's memory, and the verbs a user calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from mnemos.agent_verbs import AgentVerbs
from mnemos.arguments import check_count, check_flag, check_list, check_optional, check_text, check_texts
from mnemos.cube import Hit, Hits, MemCube, Page, SessionHit
from mnemos.embed.base import Progress
from mnemos.errors import NotFound
from mnemos.facts import Decision, KnownFact, Link
from mnemos.forms import Forms
from mnemos.tasks.base import INLINE, Workers
from mnemos.text import erase, revise
from mnemos.text.add import add
from mnemos.text.consolidate.report import Forgotten
from mnemos.text.context import Packing, context, withheld
from mnemos.text.encode.messages import to_draft, to_drafts
from mnemos.text.feedback import used
from mnemos.text.forget.policy import Policy, archive
from mnemos.text.memory import TextMemory
from mnemos.text.read import cubes, facts, stats
from mnemos.text.recall.facts import known_links
from mnemos.text.recall.filters import Filters, Time
from mnemos.text.recall.snapshot import SearchMethod as SearchMethod
from mnemos.text.search import hits_of, search, search_sessions
from mnemos.text.tune import Tuned, tune

if TYPE_CHECKING:
    from mnemos.guard.erasure import Receipt
    from mnemos.guard.preview import Preview
    from mnemos.inspect.inspector import Inspector
    from mnemos.store.audit import AuditEntry
    from mnemos.text.answers import Answers
    from mnemos.text.consolidate.report import Consolidation
    from mnemos.text.upkeep import Checkup


class Space(Forms, AgentVerbs):
    """The memory of one owner. Get one from `Mnemos.space(name)`.

    The methods are the daily verbs. `text` is the memory of texts that they work on, `activations` holds keys and values, and
    `inspect` shows the space as a whole. Safe across threads and processes: a write is durable when it returns, and the next
    search of any process sees it. Once searched, about 2.5 kB a cube stay in RAM, until others are used more (see `Mnemos`).
    """

    # settings, stored in the space: assign to change them
    trust = TextMemory.trust  # source (`fnmatch` pattern) -> 0 untrusted, 1 normal or 2 trusted
    secrets = TextMemory.secrets  # keys, tokens and card numbers in new texts: "redact", "refuse" or "keep"
    timezone = TextMemory.timezone  # whose clock naive times and days are of: "Europe/Lisbon", "+05:30", "UTC", "local"

    _answers: Answers | None = None

    def __init__(self, text: TextMemory) -> None:
        self.text, self.name, self.store, self.clock = text, text.name, text.store, text.clock
        self.default_timezone = text.default_timezone

    @property
    def policy(self) -> Policy:
        """Which cubes are archived and erased, and by which law; stored in the space. Assign a `Policy` to change it."""
        return self.text.policy

    @policy.setter
    def policy(self, value: Policy) -> None:
        self.flush()  # recalls so far count by the law under which they happened
        self.text.policy = value

    def add(
        self,
        content: str | Sequence[Any],
        *,
        speaker: str | None = None,
        session: str | None = None,
        at: Time = None,
        timezone: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        source: str | None = None,
        role: str | None = None,
        kind: str = "turn",
        id: str | None = None,
        reconcile: bool = True,
    ) -> MemCube:
        """Store one text and return its cube; it is on disk when this returns.

        `at` is when it happened (default: now); relative dates in the text are resolved against it, on the clock of its
        offset or of `timezone` (default: the space's). The facts it states are compared with known ones (see `decisions`):
        it may supersede other cubes. It is stored whatever it resembles; only the same write again (the same id, or the same
        words, speaker, session and given time) returns the cube that is there. `reconcile=False` only appends. One embedding
        and one commit, about 5 ms. Raises InvalidInput (nothing was stored) or StoreError.
        """
        message = {
            "content": content, "speaker": speaker, "session": session, "at": at, "timezone": timezone, "metadata": metadata,
            "source": source, "role": role, "kind": kind, "id": id,
        }  # fmt: skip
        return add(self.text, [to_draft(message, where="add", timezone=self.timezone)], None, reconcile)[0]

    def add_many(
        self, messages: Iterable[Mapping[str, Any]], *, reconcile: bool = True, progress: Progress | None = None
    ) -> list[MemCube]:
        """Store many messages in one transaction, all or none; return their cubes in order.

        A message is a dict with `content` and any keyword of `add`, or has one of the shapes of chat APIs. One that was stored
        already (see `add`) is not written again: the stored cube is returned. `progress` is called with the number of texts
        embedded since its last call. Raises InvalidInput, which names the message, or Conflict if an id has other content;
        nothing was stored then.
        """
        return add(self.text, to_drafts(messages, self.timezone), progress, reconcile)

    # -- search

    def search(
        self,
        query: str,
        k: int | None = None,
        *,
        asked_at: Time = None,
        method: SearchMethod = "hybrid",
        min_score: float | None = None,
        **filters: Unpack[Filters],
    ) -> Hits:
        """Return the `k` cubes that answer `query` best, best first: 10, or 20 if it asks for a list or a count.

        Each has the probability that it answers, `relevance`; `min_score` leaves out hits below it; see `Hits`.
        Takes the filters of `mnemos.Filters` (session, speaker, since, where, ...); `as_of` searches what was believed at
        that moment (slower), `true_at` what was so then, which a query with a past time ("in 2021", "before the move to
        Ghent") sets itself: see `why`. `asked_at` (default now) anchors "last week". A superseded cube is shown behind its
        successor (`hit.earlier`), or below it if it also says something else; with `include_superseded` it is a hit of its
        own (default: if the question asks for the past). The same words by the same speaker are one hit (`hit.also`).
        Episodes, summaries and profiles are found by `kind=`, or beside the originals with `include_derived`. `method` is
        "hybrid", "cross-encoder" (its first 20 hits are read once more, together with the query: some 100 ms), or a baseline:
        "words" (BM25) or "vectors" (cosine). The best hits are strengthened. A query over 8,000 characters is read at both
        ends. Raises InvalidInput for an empty query and a wrong argument.
        """
        return hits_of(self.text, search(self.text, query, k, filters, asked_at, method, min_score))

    def search_sessions(
        self,
        query: str,
        k: int = 10,
        *,
        asked_at: Time = None,
        method: SearchMethod = "hybrid",
        **filters: Unpack[Filters],
    ) -> list[SessionHit]:
        """Return the `k` sessions that answer `query` best. Takes the filters of `search`."""
        return search_sessions(self.text, query, k, filters, asked_at, method)

    def context(
        self,
        question: str,
        *,
        tokens: int = 800,
        k: int = 40,
        count: Callable[[str], int] | None = None,
        asked_at: Time = None,
        min_score: float | None = None,
        quarantine: bool = True,
        shown: str = "",
        most: int | None = None,
        **filters: Unpack[Filters],
    ) -> str:
        """Return a block for a prompt: the best hits that fit into `tokens`, in time order, with ids to cite.

        "" where almost surely nothing answers, unless `min_score` sets the least relevance of a hit. It is marked as data, and
        stored text cannot break out. `quarantine` withholds cubes of untrusted sources (see `trust`) that look like orders, do
        harm, or say what better ones do not. `count` counts tokens (default: a high estimate). `shown`, what this returned
        for the turn before, stays to the byte, and further blocks follow, so that a prefix cache hits; up to `most` tokens.
        """
        packing = Packing(tokens, k, filters, count, asked_at, min_score, quarantine)
        return context(self.text, question, packing, shown, most)

    def quarantined(self, question: str, found: Sequence[Hit] | None = None) -> Mapping[str, str]:
        """Return the cubes that `context` would withhold for a question, or those of `found`: id -> reason."""
        return withheld(self.text, question, self.search(question, 40) if found is None else found)

    # -- learn

    def used(self, question: str, ids: Sequence[str]) -> MemCube:
        """Note that these cubes answered a question: `tune` learns from it. It is erased with each of them. Raises NotFound."""
        return used(self.text, question, ids)

    def tune(self, *, preview: bool = False, undo: bool = False) -> Tuned:
        """Fit search to what was `used`; install it if unseen questions are ranked better. `undo` erases it; see `text.tune`."""
        return tune(self.text, check_flag(preview, "preview"), check_flag(undo, "undo"))

    @property
    def answers(self) -> Answers:
        """A cache of answers, by category, that forgets with the memories they were made of; see `text.answers.Answers`."""
        if self._answers is None:
            from mnemos.text.answers import Answers

            self._answers = Answers(self.text)
        return self._answers

    # -- read

    def get(self, cube_id: str) -> MemCube:
        """Return the current version of a cube. Raises NotFound."""
        return self.text.get(check_text(cube_id, "cube_id"))

    def cubes(self, *, limit: int = 100, cursor: int | None = None, **filters: Unpack[Filters]) -> Page:
        """Return current cubes in the order in which they were written: iterate over all, or use one page.

        `for cube in space.cubes()` reads `limit` cubes at a time. For one page use `.items`, and pass its `.next_cursor` as
        `cursor` to get the following one. Takes the filters of `search`. Raises InvalidInput for a limit below 1.
        """
        return cubes(self.text, limit, cursor, filters)

    def count(self) -> int:
        """Return the number of current cubes."""
        return int(self.store.stats()["cubes"])

    def history(self, cube_id: str) -> Sequence[MemCube]:
        """Return all versions of a cube, oldest first. Raises NotFound."""
        return self.text.history(check_text(cube_id, "cube_id"))

    def facts(
        self,
        subject: str | None = None,
        attribute: str | None = None,
        *,
        as_of: Time = None,
        true_at: Time = None,
        include_ended: bool = False,
        timezone: str | None = None,
        min_confidence: float = 1.0,
    ) -> Sequence[KnownFact]:
        """Return the facts that cubes state, oldest first: those true now, or believed at `as_of`.

        `true_at` asks for a moment, `include_ended` adds what is over, `min_confidence` below 1 what only heads read.
        """
        return facts(self.text, subject, attribute, as_of, true_at, include_ended, timezone, min_confidence)

    def decisions(self, cube_id: str | None = None, *, limit: int = 100) -> Sequence[Decision]:
        """Return the decisions about new statements with their reasons, oldest first; plain additions have none."""
        return self.store.decisions.find(check_optional(cube_id, "cube_id"), limit=check_count(limit, "limit"))

    def links(self, cube_id: str | None = None, *, kind: str | None = None) -> Sequence[Link]:
        """Return the links from and to a cube (those that follow from the rows too), or all stored ones; see `mnemos.Link`."""
        return known_links(self.store, cube_id, kind)

    # -- update and forget

    def update(self, cube_id: str, **changes: Any) -> MemCube:
        """Write the next version of a cube and return it; `history` keeps the earlier ones.

        `changes` are any of content, at, session, speaker, role, source, kind, metadata (replaced as a whole), valid_from,
        valid_to. Raises NotFound, InvalidInput if nothing would change, and Conflict if it was updated concurrently.
        """
        return revise.update(self.text, check_text(cube_id, "cube_id"), changes)

    def rollback(self, cube_id: str, version: int) -> MemCube:
        """Write an earlier version of a cube again as its newest one and return it. Raises NotFound."""
        return revise.rollback(self.text, check_text(cube_id, "cube_id"), check_count(version, "version"))

    def delete(self, cube_id: str) -> Sequence[str]:
        """Erase a cube, all its versions, words and vectors, and what is derived from it; return the ids. Raises NotFound."""
        removed = self.store.erase([check_text(cube_id, "cube_id")])
        if not removed:
            raise NotFound(f"there is no cube {cube_id!r} in space {self.name!r}; nothing was removed.")
        return removed

    def forget(
        self, ids: Sequence[str] = (), *, query: str | None = None, everything: bool = False, **filters: Unpack[Filters]
    ) -> Receipt:
        """Erase the chosen cubes and everything derived from them, and prove it: rows and raw bytes are searched.

        Choose by `ids`; by `query`, a phrase that they say as it is written (whole words, in any version), and/or filters
        of `search` (`since` and `until` mean when it happened); or `everything`. What is only near a phrase stays, see
        `forget_preview`. An import does not bring erased ids back. Costs a scan of the texts and of the files. Raises
        InvalidInput if nothing in particular is chosen, and NotFound if nothing matches exactly.
        """
        return erase.forget(self.text, ids, query, everything, filters)

    def forget_preview(
        self, ids: Sequence[str] = (), *, query: str | None = None, everything: bool = False, **filters: Unpack[Filters]
    ) -> Preview:
        """Return the cubes that `forget` with the same arguments would erase; erases nothing.

        Its `offers` are cubes near a `query` (other endings, order; who said it; facts about it; meaning), each with a reason.
        """
        return erase.preview(self.text, ids, query, everything, filters)

    def verify(self, receipt: Receipt) -> list[str]:
        """Search rows and raw bytes again for what a receipt says was erased; return what was found."""
        from mnemos.guard.erasure import verify

        return verify(self.store, receipt)

    # -- lifecycle

    def consolidate(self, *, limit: int | None = None, progress: Progress | None = None) -> Consolidation:
        """Summarise sessions, days and weeks, write profiles, link, promote hot cubes and apply the policy.

        Run it nightly or when it is quiet; `limit` is the most derived cubes that it writes (default 2,000). It may be killed at
        any time, and a second run with nothing new does nothing. See `text.consolidate.run`.
        """
        from mnemos.text.consolidate.run import LIMIT, consolidate

        return consolidate(self.text, limit=LIMIT if limit is None else check_count(limit, "limit"), progress=progress)

    def apply_policy(self, *, preview: bool = False) -> Forgotten:
        """Archive and erase the cubes that are due under the policy, or with `preview` only return their ids."""
        return self.text.apply_policy(preview=check_flag(preview, "preview"))

    def pin(self, cube_id: str) -> None:
        """Exempt a cube from the policy: it is neither archived nor erased by it. Raises NotFound."""
        self.store.lives.pin(check_text(cube_id, "cube_id"), True)

    def unpin(self, cube_id: str) -> None:
        """Let the policy apply to a pinned cube again. Raises NotFound."""
        self.store.lives.pin(check_text(cube_id, "cube_id"), False)

    def archive(self, ids: Sequence[str]) -> Sequence[str]:
        """Take cubes out of search; `unarchive` brings them back. Returns the ids that changed."""
        return archive(self.store, check_texts(ids, "ids"))

    def unarchive(self, ids: Sequence[str]) -> Sequence[str]:
        """Bring archived cubes back into search. Returns the ids that changed."""
        return archive(self.store, check_texts(ids, "ids"), back=True)

    def audit(self, *, after: int = 0, limit: int = 100) -> Sequence[AuditEntry]:
        """Return entries of the audit log with an index above `after`, oldest first: who did what, and when."""
        return self.store.audit.entries(after=check_count(after, "after", 0), limit=check_count(limit, "limit"))

    def verify_audit(self, head: str | None = None) -> tuple[int, list[str]]:
        """Recompute the chain of the audit log, with `head` in it; return the number of entries and what is wrong."""
        return self.store.audit.verify(check_optional(head, "head"))

    # -- other views

    @property
    def inspect(self) -> Inspector:
        """The space seen as a whole: timeline, graph, retention of cubes, sizes, past consolidations."""
        from mnemos.inspect.inspector import Inspector

        return Inspector(self.text)

    # -- upkeep

    def stats(self) -> dict[str, Any]:
        """Return counts, sizes, the embedding models in the file, and the bytes held in RAM."""
        return stats(self.text)

    def reindex(self, progress: Progress | None = None, workers: Workers = INLINE, sample: int | None = None) -> int:
        """Compute the vectors that are missing under the current embedder; see `text.reindexing.reindex`.

        `sample=2000` embeds 2,000 texts only, and maps the vectors of the others from those of the embedder before.
        """
        from mnemos.text.reindexing import reindex

        return reindex(self.text, progress, workers, sample)

    def doctor(self, *, repair: bool = False, progress: Progress | None = None) -> Checkup:
        """Check the file, and with `repair` recompute what is damaged from the rows; see `text.upkeep.doctor`."""
        from mnemos.text.upkeep import doctor

        return doctor(self.text, repair=repair, progress=progress)

    def dump(self) -> Iterator[dict[str, Any]]:
        """Yield every cube with its versions, for an archive; see `text.records.dump`."""
        from mnemos.text.records import dump

        self.flush()
        return dump(self.text)

    def restore(self, rows: Iterable[Mapping[str, Any]], *, progress: Progress | None = None) -> tuple[int, int]:
        """Write what `dump` yielded; return the numbers of cubes added and skipped; see `text.records.restore`."""
        from mnemos.text.records import restore

        return restore(self.text, check_list(rows, "rows"), progress)

    def flush(self) -> int:
        """Persist recall counts that are not yet on disk; return the number of cubes updated."""
        return self.text.flush() + self._flush_forms()

    def close(self) -> None:
        """Persist recall counts, close the file and free the memory of the index. Further verbs raise StoreError."""
        if not self.store.closed:
            self.text.rest()
            self._rest_forms()
        self.store.close()
        self.text.view.drop()

"""Facts, links, decisions and rejections: what cubes state, how they are linked, and what was judged about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

STORED_LINKS = ("supersedes", "supports", "contradicts", "similar", "co-recalled")  # kinds of links that are written


@dataclass(frozen=True, slots=True)
class Fact:
    """What a sentence states: `subject` has `value` for `attribute` ("ana", "live in", "Lisbon").

    Subject and attribute are normalised, so that two statements about the same thing share them.
    """

    subject: str
    attribute: str
    value: str  # as written
    exclusive: bool  # it has one value at a time: a new one ends the old one
    negated: bool  # the sentence denies it, or says that it is over
    start: int  # text[start:end] states it
    end: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A value that a text seems to state of somebody: text[start:end], as small heads read it. It ends nothing."""

    whose: str | None  # as written: "my sister", "Tom"; None: of whoever says "I"
    attribute: str
    start: int
    end: int
    tense: str  # now, past or future
    negated: bool
    confidence: float  # below 1: the share of readings of this score that are right, as fitted


@dataclass(frozen=True, slots=True)
class StoredFact:
    """A fact, the cube that states it, and when it holds. Times are microseconds since 1970."""

    cube: str
    key: int  # of the version that states it
    index: int  # among the facts of that version
    fact: Fact
    since: int
    until: int | None = None  # when it ceased to be true
    ended: int | None = None  # when that was learned
    ended_by: str | None = None  # the cube it was learned from


@dataclass(frozen=True, slots=True)
class Link:
    """A directed link between two cubes.

    The kinds of `STORED_LINKS` are written; derived from, follows and same entity are read from other rows (see
    `store.base.Links`).
    """

    a: str
    b: str
    kind: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What was done with a new statement and why: ADD, SUPERSEDE, or NOOP for one told before. The reason holds no content."""

    cube: str
    made: datetime
    action: str
    reason: str
    others: tuple[str, ...]
    maker: str


@dataclass(frozen=True, slots=True)
class KnownFact:
    """What a cube states, for users: `subject` has `value` for `attribute` from `valid_from` until `valid_to`."""

    subject: str
    attribute: str
    value: str
    negated: bool
    cube: str
    valid_from: datetime
    valid_to: datetime | None
    confidence: float = 1.0  # below 1: read by heads, not by a rule; it ended nothing (see `Space.facts`)

    def held_at(self, moment: datetime) -> bool:
        """Tell whether it was true at a moment, as far as is known."""
        return self.valid_from <= moment and (self.valid_to is None or moment < self.valid_to)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A claim once found mistaken, as keyed blake2b hashes: it holds no text."""

    trigger: str  # hash of subject and attribute, in hex
    mistake: str  # hash of the mistaken value, in hex
    trust: int  # it bears on claims of this trust and below

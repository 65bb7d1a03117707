"""The memories of one question judged by each other, after A-MemGuard (Wei et al. 2025, arXiv 2510.02373).

A-MemGuard lets a model reason from each memory and compares the reasonings; here the stated facts are compared, and
where there are none the vectors. What was found out is kept as lessons of hashes, not of text: erasing a memory leaves
nothing of it behind.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from mnemos.guard.instructions import Trust
from mnemos.reason.base import Fact

WEIGHT = {Trust.UNTRUSTED: 1.0, Trust.NORMAL: 2.0, Trust.TRUSTED: 4.0}
MAJORITY = 2.0  # times as heavy as those it stands against, among sources of the same trust
NEAR = 0.43  # cosine distance of neighbours; fitted to the bundled model on the "dev" half of `bench.poison`
NEIGHBOURS = 2  # that make a memory the core of a group, itself included
ABOUT = 0.4  # cosine distance from the question of what is about it


@dataclass(frozen=True)
class Claim:
    """A memory as a witness. `vector` is (D,) of unit length; `source` says whose voice it is, None: its own.

    Memories of one untrusted source are one voice: who repeats himself is not more believed.
    """

    id: str
    facts: Sequence[Fact]
    trust: Trust
    at: datetime
    vector: NDArray[np.float32] | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Lesson:
    """A mistake once found: blake2b hashes of subject and attribute, and of the mistaken value; the highest trust it bears on."""

    trigger: str
    mistake: str
    trust: int


@dataclass(frozen=True, slots=True)
class Suspect:
    """A memory not to be shown: `reason` is "lesson", "less trusted", "majority" or "outlier"; `lessons` to keep."""

    id: str
    reason: str
    lessons: tuple[Lesson, ...] = ()


def outvoted(
    claims: Sequence[Claim],
    lessons: Collection[Lesson] = (),
    *,
    question: NDArray[np.float32] | None = None,
    key: bytes = b"",
) -> list[Suspect]:
    """Return the memories, of those retrieved for one question, that should not be shown, in the given order.

    A fact is outvoted by a heavier group of contrary ones of higher trust, or by one of the same trust that is
    `MAJORITY` times as heavy and speaks both before and after it. A later fact of the same trust is a change, an
    earlier one of a known source was changed. Less trusted memories never outvote: any number of pages on the web
    does not silence the user. Untrusted memories without a fact are judged by DBSCAN (Ester et al. 1996) on cosine
    distance: outside of every group of better trusted ones they are outliers; with the `question` (D,) only if
    `NEIGHBOURS` of those are about it. A claim that a lesson names goes at once, unless it comes from a higher trust
    than the one it was learnt on, or a better source agrees. `key` (at most 64 bytes, of the space) keeps the hashes
    from being looked up in a dictionary. O(n^2 D) for n claims.
    """
    known = set(lessons)
    found: dict[str, Suspect] = {}
    voices: defaultdict[tuple[str, str], list[tuple[Claim, Fact]]] = defaultdict(list)
    for claim in claims:
        for fact in claim.facts:
            voices[subject(fact)].append((claim, fact))
    for group in voices.values():
        for claim, fact in group:
            lesson = learn(claim, fact, key)
            taught = any(Lesson(lesson.trigger, lesson.mistake, tier) in known for tier in range(claim.trust, 3))
            taught = taught and not any(c.trust > claim.trust and not contradict(f, fact) for c, f in group)
            if reason := "lesson" if taught else _verdict(claim, fact, group):
                old = found.get(claim.id, Suspect(claim.id, reason))
                found[claim.id] = Suspect(claim.id, old.reason, (*old.lessons, lesson))
    found |= {name: Suspect(name, "outlier") for name in _outliers(claims, question)}
    return [found[claim.id] for claim in claims if claim.id in found]


def learn(claim: Claim, fact: Fact, key: bytes = b"") -> Lesson:
    """Return the lesson that this fact, from a memory of this trust, is mistaken."""
    sign = "not " if fact.negated else ""
    return Lesson(_hash("\0".join(subject(fact)), key), _hash(sign + plain(fact.value), key), int(claim.trust))


def subject(fact: Fact) -> tuple[str, str]:
    """Return what a fact is about, as facts are grouped by it."""
    return plain(fact.subject), plain(fact.attribute)


def plain(text: str) -> str:
    """Return the words of a text in small letters, without punctuation and articles."""
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(w for w in words if w not in ("the", "a", "an")) or text.strip()


def contradict(one: Fact, other: Fact) -> bool:
    """Return whether two facts of one subject and attribute cannot both hold; a closer value agrees with a vaguer one."""
    left, right = plain(one.value).split(), plain(other.value).split()
    same = set(left) <= set(right) or set(right) <= set(left)
    if one.negated != other.negated:
        return left == right
    return not one.negated and (one.exclusive or other.exclusive) and not same


def _verdict(claim: Claim, fact: Fact, group: Sequence[tuple[Claim, Fact]]) -> str | None:
    others = [(c, f) for c, f in group if c.id != claim.id]
    against = [c for c, f in others if contradict(f, fact) and c.trust >= claim.trust]
    if not against:
        return None
    top = max(c.trust for c in against)
    if claim.trust > Trust.UNTRUSTED and claim.at < min(c.at for c in against):
        return None  # what was changed later; outside of the known sources even the time may be made up
    agree = [c for c, f in others if not contradict(f, fact) and f.negated == fact.negated]
    beside = [claim] + [c for c in agree if c.trust >= claim.trust]
    if max(c.trust for c in beside) >= top > claim.trust:
        return None
    mine, theirs = _weight(beside), _weight(against)
    if top > claim.trust:
        # Voices no more trusted than the claim cannot defend it against a better source.
        return "less trusted" if theirs > _weight([c for c in beside if c.trust > claim.trust]) else None
    between = min(c.at for c in against) < claim.at < max(c.at for c in against)
    return "majority" if between and theirs >= MAJORITY * mine else None


def _weight(claims: Sequence[Claim]) -> float:
    voices = {
        (c.trust, (c.source if c.trust == Trust.UNTRUSTED else None) or c.id): WEIGHT[Trust(c.trust)] for c in claims
    }
    return sum(voices.values())


def _outliers(claims: Sequence[Claim], question: NDArray[np.float32] | None) -> list[str]:
    seen = [c for c in claims if c.vector is not None]
    if not seen or all(c.trust > Trust.UNTRUSTED for c in seen):
        return []
    vectors = np.stack([c.vector for c in seen if c.vector is not None])
    near = 1.0 - vectors @ vectors.T <= NEAR
    # Untrusted memories lend each other no density: a flood of like pages would make a group of its own.
    safe = np.array([c.trust > Trust.UNTRUSTED for c in seen])
    core = safe & (near[:, safe].sum(axis=1) >= NEIGHBOURS)
    if not core.any() or (question is not None and (vectors[safe] @ question >= 1.0 - ABOUT).sum() < NEIGHBOURS):
        return []  # none or nothing about the question to be an outlier of
    inside = {c.id for c, row in zip(seen, near[:, core], strict=True) if row.any()}
    return [c.id for c in seen if not (c.id in inside or c.facts or c.trust)]


def _hash(text: str, key: bytes) -> str:
    return blake2b(text.encode(), digest_size=16, key=key).hexdigest()

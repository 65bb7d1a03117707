"""Judge the memories retrieved for one question by each other, after A-MemGuard (Wei et al. 2025, arXiv 2510.02373).

A-MemGuard lets a model reason from each memory and compares the chains; here the facts that memories state and the names
that they mention are compared. Mistakes are remembered as rejections, which hold hashes and no text: once a memory is
erased, nothing of it is left.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b

from mnemos.facts import Fact, Rejection
from mnemos.guard.trust import Trust

WEIGHT = {Trust.UNTRUSTED: 1.0, Trust.NORMAL: 2.0, Trust.TRUSTED: 4.0}
MAJORITY = 2.0  # times the weight of the other side, among sources of the same trust
NAMES = re.compile(r"\b[A-Z][^\W\d_]+(?:[ .]{1,2}[A-Z][^\W\d_]*)*|\b\w*\d[\w.:-]*")
# Somebody whom a question is about: "does Ana", "of Ana", "Ana's"; "the Hob Lane" is something.
PERSON = re.compile(r"\b(?:does|did|do|is|are|was|has|of|for|about|on|with|by) ([A-Z]\w+)|\b([A-Z]\w+)['’]s\b")
ORDINARY = """
the a an i my our your his her their this that these those it he she we you they in on at of for to and but or if when
where what who which why how is are was were do does did not no yes dr mr mrs ms according here there as by from with
yesterday today tomorrow now then so please hi hello hey
"""
NO_NAMES = frozenset(str.split(ORDINARY))


@dataclass(frozen=True)
class Claim:
    """A memory as a witness. Memories of one untrusted source count once: repeating a claim adds no weight."""

    id: str
    facts: Sequence[Fact]
    trust: Trust
    at: datetime
    source: str | None = None  # None: a source of its own
    names: frozenset[str] = frozenset()  # what it mentions, see `names`
    speaker: str | None = None  # None: the user


@dataclass(frozen=True, slots=True)
class Suspect:
    """A memory that should not be shown, and the rejections to store."""

    id: str
    reason: str  # "rejected before", "less trusted", "majority" or "alone"
    rejections: tuple[Rejection, ...] = ()


def contradicted(
    claims: Sequence[Claim],
    learned_rejections: Collection[Rejection] = (),
    *,
    question: str = "",
    key: bytes = b"",
) -> list[Suspect]:
    """Return those of the memories retrieved for one question that should not be shown, in the given order.

    A fact is contradicted by a heavier group of contrary facts of higher trust, or by one of the same trust that is
    `MAJORITY` times as heavy and speaks both before and after it. A later fact of the same trust is a change; an earlier
    one of a known source has been changed. Less trusted memories never win: no number of web pages silences the user.
    Where better sources speak of whom the `question` names, an untrusted memory must share a name with them (else it is
    "alone"); this needs no extracted fact. Deviation: the paper clusters embeddings; on the "dev" half of
    `bench.text.poison` shared names separated lies from truths better. A claim that a rejection covers is a suspect
    unless its trust is higher than the rejection's, or a better source agrees with it. `key` (at most 64 bytes, secret to
    the space) prevents a dictionary attack on the hashes. Of somebody who speaks himself, others say less than he does:
    their claims about him count as NORMAL at most. O(n^2) for n claims.
    """
    known = set(learned_rejections)
    own = {plain(c.speaker or "user") for c in claims if c.trust == Trust.TRUSTED}
    found: dict[str, Suspect] = {}
    voices: defaultdict[tuple[str, str], list[tuple[Claim, Fact]]] = defaultdict(list)
    for claim in claims:
        for fact in claim.facts:
            voices[subject(fact)].append((_of_others(claim, fact, own), fact))
    for group in voices.values():
        for claim, fact in group:
            rejection = learn(claim, fact, key)
            taught = any(
                Rejection(rejection.trigger, rejection.mistake, tier) in known for tier in range(claim.trust, 3)
            )
            taught = taught and not any(c.trust > claim.trust and not contradict(f, fact) for c, f in group)
            if reason := "rejected before" if taught else _verdict(claim, fact, group):
                old = found.get(claim.id, Suspect(claim.id, reason))
                found[claim.id] = Suspect(claim.id, old.reason, (*old.rejections, rejection))
    found |= {name: Suspect(name, "alone") for name in _alone(claims, question) if name not in found}
    return [found[claim.id] for claim in claims if claim.id in found]


def _of_others(claim: Claim, fact: Fact, own: Collection[str]) -> Claim:
    """Return a claim with the trust that it has about the subject of a fact."""
    about = plain(fact.subject)
    if claim.trust > Trust.NORMAL and about in own and about != plain(claim.speaker or "user"):
        return replace(claim, trust=Trust.NORMAL)
    return claim


def learn(claim: Claim, fact: Fact, key: bytes = b"") -> Rejection:
    """Return the rejection of a fact that a memory of this trust states."""
    sign = "not " if fact.negated else ""
    return Rejection(_hash("\0".join(subject(fact)), key), _hash(sign + plain(fact.value), key), int(claim.trust))


def subject(fact: Fact) -> tuple[str, str]:
    """Return the normalised subject and attribute of a fact, by which facts are grouped."""
    return plain(fact.subject), plain(fact.attribute)


def plain(text: str) -> str:
    """Return the words of a text in lower case, without punctuation and articles."""
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(w for w in words if w not in ("the", "a", "an")) or text.strip()


def contradict(one: Fact, other: Fact) -> bool:
    """Tell whether two facts of one subject and attribute cannot both hold; a more exact value agrees with a vaguer one."""
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
        return None  # it was changed later; an unknown source may make up even the time
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


def names(text: str) -> frozenset[str]:
    """Return the names in a text: the first word of each run of capitalised words, and words with a digit."""
    runs = (
        [w for w in re.findall(r"\w(?:[\w.:-]*\w)?", m[0].casefold()) if w not in NO_NAMES]
        for m in NAMES.finditer(text)
    )
    return frozenset(run[0] for run in runs if run)


def _alone(claims: Sequence[Claim], question: str) -> list[str]:
    """Return the untrusted memories that share no name with what better sources say of whom the question names.

    Where better sources speak of them, a page that names something else is not credible, and one that names nothing, or
    is about others, adds nothing.
    """
    asked = names(" ".join(m[1] or m[2] for m in PERSON.finditer(question)))
    about = [c for c in claims if c.trust > Trust.UNTRUSTED and asked and asked <= c.names]
    said = frozenset().union(*(c.names for c in about)) - asked
    if not said:
        return []  # no better source speaks of it
    return [c.id for c in claims if c.trust == Trust.UNTRUSTED and not c.names & said]


def _hash(text: str, key: bytes) -> str:
    return blake2b(text.encode(), digest_size=16, key=key).hexdigest()

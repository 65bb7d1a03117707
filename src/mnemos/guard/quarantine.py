"""Quarantine: withhold hits from a prompt that give orders, or that better sources contradict."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mnemos.cube import Hit, MemCube, to_micros
from mnemos.errors import InvalidInput
from mnemos.guard.claims import Voice, answers, disputed, first_person, needless, persons
from mnemos.guard.consensus import Claim, contradicted, names
from mnemos.guard.harm import Vector, Vectors, Verdicts
from mnemos.guard.instructions import looks_like_instructions
from mnemos.guard.key import key_of
from mnemos.guard.repeats import effective_trust
from mnemos.guard.trust import Trust
from mnemos.store.base import Store

VERDICTS = Verdicts()
WITNESSES = 20  # statements of the user, the best ranked, that claims of others are compared with
LONGEST = 1_000  # characters of one that are embedded
# Where the user has answered, a text that is further from the question than his answer needs less to be withheld.
SLOPE, FREE, MOST = 4.0, 0.1, 0.8  # of log-odds for a difference of cosines above FREE, and at most
SHORT_NAME = 24  # characters of a name that gives no orders
SECRETS = ("redact", "refuse", "keep")


def trust_rules(rules: Mapping[str, int]) -> str:
    """Check tiers of trust by source and return them as JSON, in the order in which they are tried. Raises InvalidInput."""
    if not isinstance(rules, Mapping):
        raise InvalidInput(f'trust is {rules!r:.60}, expected a dict of tiers by source, such as {{"https://*": 0}}.')
    for pattern, tier in rules.items():
        if not isinstance(pattern, str) or tier not in (0, 1, 2) or isinstance(tier, bool):
            raise InvalidInput(
                f"trust: {pattern!r} has the tier {tier!r}. Use 0 (untrusted), 1 (normal) or 2 (trusted)."
            )
    return json.dumps({p: int(t) for p, t in rules.items()})


def read_trust(text: str) -> Mapping[str, int]:
    """Return what `trust_rules` wrote. Raises InvalidInput for anything else."""
    rules: Mapping[str, int] = json.loads(trust_rules(json.loads(text)))
    return rules


def secrets_policy(policy: str) -> str:
    """Return a known policy for secrets. Raises InvalidInput for any other."""
    if policy not in SECRETS:
        raise InvalidInput(f"secrets is {policy!r}, expected one of {', '.join(SECRETS)}.")
    return policy


def quarantined(
    store: Store, rules: Mapping[str, int], hits: Sequence[Hit], question: str, now: datetime, vectors: Vectors
) -> dict[str, str]:
    """Return the hits to withhold from an agent: id -> reason.

    These are untrusted cubes, and what repeats them, that look like orders (see `instructions`) or would harm who believes
    them (see `harm`); that better sources contradict (see `consensus`), whose claims are stored as rejections; or that say
    of somebody what he has not said himself (see `claims`). What the user says is never withheld. Free where all hits are
    trusted; else 0.3 ms an untrusted hit, O(hits squared), one vector of the question, and 3 ms for each 320 characters of
    an untrusted text that is seen for the first time by this process.
    """
    cubes = [hit.cube for hit in hits]
    trust = effective_trust(store, rules, cubes)
    outside = [cube for cube in cubes if trust[cube.id] == Trust.UNTRUSTED]
    if not outside:
        return {}
    bad = {c.id: f"looks like orders: {reason}" for c in outside if (reason := looks_like_instructions(_all_of(c)))}
    left = [cube for cube in outside if cube.id not in bad]
    users = [cube for cube in cubes if trust[cube.id] == Trust.TRUSTED][:WITNESSES]
    heard, asked = _heard(question, users, vectors)
    voices = [_voice(cube, row) for cube, row in zip(left, vectors([c.text[:LONGEST] for c in left]), strict=True)]
    for voice, (above, cue) in zip(voices, VERDICTS.weigh([cube.text for cube in left], vectors), strict=True):
        spare = min(max(SLOPE * (needless(question, voice, heard, asked) - FREE), 0.0), MOST)
        if above + spare > 0:
            bad[voice.id] = f"would do harm: {cue}"
    found = disputed(question, [voice for voice in voices if voice.id not in bad], heard)
    left = [cube for cube in cubes if cube.id not in bad]
    key = key_of(store)
    known = store.rejections.all()
    suspects = contradicted(_claims(store, left, trust), known, question=question, key=key)
    if new := {r for suspect in suspects for r in suspect.rejections} - known:
        store.rejections.add(new, to_micros(now))
    return bad | found | {s.id: s.reason for s in suspects}


def _all_of(cube: MemCube) -> str:
    """Return what an agent reads of a cube: a name may give orders too."""
    names = [name for name in (cube.speaker, cube.session, cube.id) if name and len(name) > SHORT_NAME]
    return "\n".join([cube.text, *names])


def _heard(question: str, users: Sequence[MemCube], vectors: Vectors) -> tuple[list[Voice], Vector]:
    """Return what the user has answered to the question, and the vector of the question."""
    people = persons([_voice(cube) for cube in users])
    asked, *rows = vectors([first_person(question, people), *(c.text[:LONGEST] for c in users)])
    return answers(question, [_voice(cube, row) for cube, row in zip(users, rows, strict=True)], asked), asked


def _voice(cube: MemCube, vector: Vector | None = None) -> Voice:
    return Voice(cube.id, cube.text, cube.speaker, vector, to_user=cube.role == "assistant")


def _claims(store: Store, cubes: Sequence[MemCube], trust: Mapping[str, Trust]) -> list[Claim]:
    facts: dict[str, list[Any]] = {}
    for stored in store.facts.of(store.keys_of([c.id for c in cubes])):
        facts.setdefault(stored.cube, []).append(stored.fact)
    return [Claim(c.id, facts.get(c.id, ()), trust[c.id], c.at, c.source, names(c.text), c.speaker) for c in cubes]

"""Questions of LongMemEval's kinds in its own file format, generated: for where the data are not at hand.

Every entry is one that `longmemeval.load` reads: dated sessions of user and assistant turns, `has_answer` on the turns of
evidence, the type, and `_abs` in the ids of questions that nothing answers. The entries of one user share a history.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from mnemos.bench.text.chatter import answered, said
from mnemos.bench.text.conversations import START, Fact, facts

TYPES = {
    "user fact": "single-session-user", "assistant fact": "single-session-assistant",
    "preference": "single-session-preference", "changing fact": "knowledge-update",
    "abstention": "single-session-user", "implicit": "single-session-preference",
}  # fmt: skip
ROUNDS = 4  # of a session
VISITS = ("the dentist", "the botanical garden", "the swimming pool", "my aunt", "the flea market", "the observatory",
          "the recycling yard", "the ceramics class")  # fmt: skip
BOUGHT = ("a lamp", "a raincoat", "a teapot", "a hammock", "a globe", "a doormat", "a whisk", "a lantern", "a rug",
          "a mirror", "a toolbox", "a kettle")  # fmt: skip


def entries(users: int = 4, sessions: int = 40, each: int = 3, seed: int = 0) -> list[dict[str, Any]]:
    """Return the entries of all users, in LongMemEval's format."""
    return [entry for user in range(users) for entry in of_user(f"{seed}/{user}", sessions, each)]


def of_user(name: str, sessions: int, each: int) -> list[dict[str, Any]]:
    """Return the entries of one user: facts of the six classes, purchases by date, and visits over several sessions."""
    rng = random.Random(f"longmemeval{name}")
    rounds = [[[_talk(rng), answered(rng)] for _ in range(ROUNDS)] for _ in range(sessions)]
    evidence: dict[tuple[int, int, str], str] = {}  # the question whose evidence a turn is
    asked: list[tuple[str, str, str, str, list[int]]] = []  # id, type, question, answer, sessions of evidence

    def tell(question: str, fact_role: str, text: str, day: int) -> None:
        place = rng.choice([i for i in range(ROUNDS) if (day, i, fact_role) not in evidence] or [0])
        turn = 0 if fact_role == "user" else 1
        rounds[day][place][turn] = f"{rounds[day][place][turn]} {text} {_talk(rng) if turn == 0 else ''}".strip()
        evidence[day, place, fact_role] = question

    for number, fact in enumerate(facts(rng, each)):
        days = sorted(rng.sample(range(sessions), len(fact.told)))
        asked.append(_of_fact(fact, f"{name}/{number}", days))
        for day, (role, text) in zip(days, fact.told, strict=True):
            tell(asked[-1][0], role, text, day)
    days = sorted(rng.sample(range(sessions), min(2 * each, sessions, len(BOUGHT))))
    for number, (day, thing) in enumerate(zip(days, rng.sample(BOUGHT, len(days)), strict=True)):
        tell(f"{name}/time{number}", "user", f"I bought {thing} today.", day)
        when = date_of(day)
        question = f"What did I buy on {when.day} {when:%B} {when.year}?"
        asked.append((f"{name}/time{number}", "temporal-reasoning", question, thing, [day]))
    for number, place in enumerate(rng.sample(VISITS, each)):
        days = sorted(rng.sample(range(sessions), 3))
        for day in days:
            tell(f"{name}/many{number}", "user", f"I went to {place} again.", day)
        asked.append((f"{name}/many{number}", "multi-session", f"How often did I go to {place}?", "3", days))
    return [_entry(item, rounds, evidence, sessions) for item in asked]


def _talk(rng: random.Random) -> str:
    return f"{said(rng)} {said(rng)}"


def _of_fact(fact: Fact, name: str, days: list[int]) -> tuple[str, str, str, str, list[int]]:
    kind = f"{name}_abs" if fact.kind == "abstention" else name
    answer = "".join(fact.expected.answers) or "You did not mention it."
    return kind, TYPES[fact.kind], fact.question, answer, days


def date_of(session: int) -> datetime:
    """Return when a session takes place."""
    return START + timedelta(days=3 * session)


def _entry(
    item: tuple[str, str, str, str, list[int]],
    rounds: list[list[list[str]]],
    evidence: dict[tuple[int, int, str], str],
    sessions: int,
) -> dict[str, Any]:
    name, kind, question, answer, days = item
    said_in = [
        [
            {"role": role, "content": pair[turn], "has_answer": evidence.get((day, i, role)) == name}
            for i, pair in enumerate(rounds[day])
            for turn, role in enumerate(("user", "assistant"))
        ]
        for day in range(sessions)
    ]
    ids = [f"answer_{name}_{day}" if day in days else f"talk_{day}" for day in range(sessions)]
    return {
        "question_id": name, "question_type": kind, "question": question, "answer": answer,
        "question_date": _stamp(date_of(sessions + 1)), "haystack_dates": [_stamp(date_of(d)) for d in range(sessions)],
        "haystack_session_ids": ids, "haystack_sessions": said_in, "answer_session_ids": [ids[d] for d in days],
    }  # fmt: skip


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y/%m/%d (%a) %H:%M}"

"""`mnemos demo`: stores a small conversation and asks questions about it."""

from __future__ import annotations

import json
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from mnemos.cube import Hit
from mnemos.errors import UnknownLanguage
from mnemos.location import Location
from mnemos.space import Space
from mnemos.store.open import temporary_database
from mnemos.system import Mnemos


@dataclass(frozen=True)
class Answer:
    """A question, the best hit now, and the best hit as of an earlier day if the demo asks for it."""

    question: str
    hit: Hit
    milliseconds: float
    expected: str
    then: str | None = None
    earlier: Hit | None = None


@dataclass
class Demo:
    """Results of a run of the demo."""

    about: str
    root: Location
    kept: bool
    engine: str  # the database that holds it
    embedder: str
    messages: int = 0
    sessions: int = 0
    seconds: float = 0.0
    answers: list[Answer] = field(default_factory=list)
    prompt: str = ""
    context: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the run as JSON-ready data."""
        return {
            "messages": self.messages, "sessions": self.sessions, "seconds": self.seconds, "embedder": self.embedder,
            "answers": [
                {
                    "question": a.question, "milliseconds": a.milliseconds, "expected": a.expected,
                    "cube": a.hit.cube.to_dict(), "score": a.hit.score, "why": dict(a.hit.why), "then": a.then,
                    "earlier": None if a.earlier is None else a.earlier.cube.to_dict(),
                }
                for a in self.answers
            ],
            "prompt": self.prompt, "context": self.context, "root": str(self.root) if self.kept else None,
            "engine": self.engine,
        }  # fmt: skip


class Clock:
    """A clock that shows the time of the story, since the demo also asks what was known at an earlier time."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        """Return the time of the story."""
        return self.now


def story() -> dict[str, Any]:
    """Return the conversation and its questions."""
    data: dict[str, Any] = json.loads(files("mnemos").joinpath("demo.json").read_text(encoding="utf-8"))
    return data


def messages(session: Mapping[str, Any], roles: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the turns of a session as `Space.add_many` takes them, two minutes apart, with fixed ids."""
    start = datetime.fromisoformat(session["at"])
    for i, (speaker, text) in enumerate(session["turns"]):
        yield {
            "id": f"{session['id']}-{i + 1}", "content": text, "speaker": speaker, "role": roles[speaker],
            "session": session["id"], "at": start + timedelta(minutes=2 * i),
        }  # fmt: skip


def remember(space: Space, clock: Clock, told: Mapping[str, Any]) -> None:
    """Store the conversation session by session, each at the time it was held."""
    for session in told["sessions"]:
        turns = list(messages(session, told["roles"]))
        clock.now = turns[-1]["at"]
        space.add_many(turns)
        if note := session.get("remember"):
            space.add_many([{**note, "kind": "fact", "role": "assistant", "at": clock.now}])
        if change := session.get("update"):
            space.update(change["id"], content=change["content"], at=clock.now)


def play(keep: Location | None, embedder: str | None, *, postgres: bool = False) -> Demo:
    """Store the conversation in a temporary root, with `postgres` a temporary server, or in `keep`, and ask the questions.

    An existing memory in `keep` is used as it is. Raises StoreError if the root cannot be written.
    """
    told, clock = story(), Clock()
    with (
        warnings.catch_warnings(),
        _root(keep, postgres) as root,
        Mnemos(root, embedder=embedder, clock=clock) as memory,
    ):
        warnings.simplefilter(
            "ignore", UnknownLanguage
        )  # one question is in Japanese, to show that its words are found
        name = memory.embedder.name if memory.embedder else "words only"
        demo = Demo(told["about"], root, keep is not None, memory.stores.engine, name)
        known = told["space"] in memory
        space = memory.space(told["space"])
        start = time.perf_counter()
        if not known:
            remember(space, clock, told)
        clock.now = datetime.fromisoformat(told["asked_at"])
        space.search("warm up", 1)  # builds the index; counted as part of storing
        demo.seconds = time.perf_counter() - start
        demo.messages, demo.sessions = space.count(), len(told["sessions"])
        for question in told["questions"]:
            demo.answers.append(_ask(space, question))
        demo.prompt = told["prompt"]["ask"]
        demo.context = space.context(demo.prompt, tokens=told["prompt"]["tokens"])
        return demo


@contextmanager
def _root(keep: Location | None, postgres: bool) -> Iterator[Location]:
    if keep is not None:
        yield keep
        return
    if postgres:
        with temporary_database() as url:
            yield url
        return
    with tempfile.TemporaryDirectory(prefix="mnemos-demo-") as folder:
        yield Path(folder)


def _ask(space: Space, question: Mapping[str, Any]) -> Answer:
    start = time.perf_counter()
    hit = space.search(question["ask"], 5)[0]
    milliseconds = 1e3 * (time.perf_counter() - start)
    then = question.get("then")
    earlier = space.search(question["ask"], 5, as_of=then)[0] if then else None
    return Answer(question["ask"], hit, milliseconds, question["answer"], then, earlier)

"""Feedback: which memories answered a question, kept as a cube that is derived from them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from mnemos.arguments import check_text, check_texts
from mnemos.cube import MemCube, to_micros
from mnemos.errors import InvalidInput, NotFound
from mnemos.guard.secrets import redact_cube
from mnemos.store.values import Entry, Filter
from mnemos.text.encode.messages import clean
from mnemos.text.memory import TextMemory
from mnemos.text.recall.query import bounded

KIND = "feedback"  # of the cubes
OF_FEEDBACK = Filter(kind=KIND, state=None)
PAGE = 1_000


def used(memory: TextMemory, question: str, ids: Sequence[str]) -> MemCube:
    """Keep that these memories answered a question; see `Space.used`."""
    text = clean(bounded(check_text(question, "question"))).strip()
    if not text:
        raise InvalidInput("question is empty: give the question that the memories answered.")
    names = sorted(set(check_texts(ids, "ids")))
    if not names:
        raise InvalidInput("ids is empty: give the ids of the memories that answered the question.")
    now = memory.now()
    with memory.store.transaction():
        found = memory.store.get(names)
        if missing := [name for name in names if name not in found]:
            raise NotFound(f"there is no cube {missing[0]!r} in space {memory.name!r}; nothing was noted.")
        if others := [c.id for c in found.values() if c.form != "text"]:
            raise InvalidInput(f"cube {others[0]!r} is no text, and answers no question; nothing was noted.")
        cube = redact_cube(
            MemCube(
                id=_name(text, names), text=text, space=memory.name, at=now, learned=now, form="parametric", kind=KIND,
                source="mnemos", parents=tuple(names),
            ),
            memory.secrets,
        )  # fmt: skip
        if known := memory.store.get([cube.id]):
            memory.store.lives.count_uses([(cube.id, 1, to_micros(now))])
            cube = known[cube.id]
        else:
            memory.store.insert([Entry(cube, ())], None)
    memory.recalled(names)
    return cube


def answered(memory: TextMemory) -> dict[str, tuple[MemCube, set[str]]]:
    """Return the questions with feedback: each with the last cube that holds it, and the ids that answered it."""
    found: dict[str, tuple[MemCube, set[str]]] = {}
    after = 0
    while rows := memory.store.select(OF_FEEDBACK, after=after, limit=PAGE):
        after = rows[-1][0]
        for _, cube in rows:
            ids = found[cube.text][1] if cube.text in found else set()
            found[cube.text] = cube, ids | set(cube.parents)
    return found


def _name(question: str, ids: Sequence[str]) -> str:
    """Return the id of a question with its answers: noting the same again is counted, not stored twice."""
    digest = hashlib.blake2b("\n".join((question, *ids)).encode(), digest_size=10, person=b"feedback").digest()
    return base64.b32encode(digest).decode("ascii").lower()

"""Cases for `benchmarks.fit.newest`: questions with the first hits of their searches, before any is moved for being newer."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mnemos.bench.text import beam, locomo
from mnemos.bench.text.hands import Item, packaged, read, told_to
from mnemos.bench.text.task import Task
from mnemos.cube import Hit, to_micros
from mnemos.space import Space
from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.system import Mnemos
from mnemos.text.base import Asked
from mnemos.text.recall.current import PromoteCurrent
from mnemos.text.system import DEFAULT

HERE = Path(__file__).parent
MANY = "newest_many"  # blocks in other languages
BLOCKS = ("newest_en", "newest_hard", "newest_near", MANY)
LOCOMO, BEAM = ("26", "30", "41", "42", "43"), 10  # the development halves
MOST = 6  # hits of a search
VOICE = {"speaker": "Sam", "role": None, "source": None, "session": None}


@dataclass
class Capture:
    """A reranker that keeps what it is given and changes nothing."""

    hits: list[tuple[int, Hit]] = field(default_factory=list)
    past: bool = False

    def rerank(
        self, store: Store, asked: Asked, hits: Sequence[tuple[int, Hit]], filter: Filter, k: int
    ) -> list[tuple[int, Hit]]:
        self.hits, self.past = list(hits[:MOST]), filter.superseded
        return list(hits[:k])


def blocks() -> list[dict[str, Any]]:
    """Return the blocks of the files of this folder: questions, what was so, what came for it, what is no answer."""
    found: list[dict[str, Any]] = []
    for name in BLOCKS:
        for line in (HERE / f"{name}.txt").read_text(encoding="utf-8").splitlines():
            if line.startswith("?"):
                found.append({"name": name, "?": line[1:].strip().split(" | "), "=": [], "+": [], "-": []})
            elif line.strip() and not line.startswith("#"):
                found[-1][line[0]].append(line[1:].strip())
    return found


def written(seed: int = 0) -> Iterator[dict[str, Any]]:
    """Yield cases made of the blocks: a statement, sometimes what came for it, remarks, and unrelated texts."""
    rng, every = random.Random(seed), blocks()
    for n, block in enumerate(every):
        alike = [b for b in every if b is not block and (b["name"] == MANY) == (block["name"] == MANY)]
        for m in range(4):
            texts = [block["="][m % len(block["="])]]
            rest = rng.sample([t for b in rng.sample(alike, 4) for t in b["="]], rng.randint(0, 2))
            rest += rng.sample(block["-"], min(len(block["-"]), rng.randint(0 if m < 2 else 1, 2)))
            rng.shuffle(rest)
            cut = rng.randint(0, len(rest))
            if m < 2:
                texts += [*rest[:cut], block["+"][m % len(block["+"])], *rest[cut:]]
            else:
                texts += rest
            day, told = datetime(2022, 1, 1, tzinfo=UTC) + timedelta(days=rng.randint(0, 300)), []
            for text in texts:
                gold = len(told) == (cut + 1 if m < 2 else 0)
                told.append({"text": text, "at": to_micros(day), "gold": gold} | VOICE)
                day += timedelta(days=rng.randint(3, 150))
            kind = "changed" if m < 2 else "remark"
            yield {"id": f"{n}-{m}", "kind": kind, "q": rng.choice(block["?"]), "sup": False, "hits": told}


def of_items(memory: Mnemos, now: list[datetime], items: Sequence[Item]) -> Iterator[dict[str, Any]]:
    """Yield a case for each item."""
    for item in items:
        space = memory.space(item["id"])
        cubes = told_to(space, item["told"], now)
        answer = cubes[item["answer"]].id
        yield case(space, item["question"], item["kind"], lambda hit, answer=answer: hit.cube.id == answer)


def of_task(memory: Mnemos, task: Task, granularity: str, names: Callable[[str], bool]) -> Iterator[dict[str, Any]]:
    """Yield a case for each question of some haystacks."""
    for haystack in task.haystacks:
        if names(haystack.name):
            space = memory.space(haystack.name)
            space.add_many(haystack.messages)
            for q in haystack.questions:
                gold = set(q.gold[granularity])
                yield case(
                    space, q.text, haystack.name, lambda hit, gold=gold: hit.cube.id in gold, asked_at=q.asked_at
                )
            memory.remove(haystack.name)


def case(space: Space, question: str, kind: str, right: Callable[[Hit], bool], **options: Any) -> dict[str, Any]:
    """Return the first hits of a search as they are before the newest is looked for."""
    seen = Capture()
    space.text.use(replace(DEFAULT, rerank=(PromoteCurrent(), seen)))
    space.search(question, 10, **options)
    hits = [
        {
            "text": h.cube.text, "at": to_micros(h.cube.at), "speaker": h.cube.speaker, "role": h.cube.role,
            "source": h.cube.source, "session": h.cube.session, "gold": right(h),
        }
        for _, h in seen.hits
    ]  # fmt: skip
    return {"q": question, "sup": seen.past, "kind": kind, "id": kind, "hits": hits}


def load(name: str, data: Path, folder: Path) -> list[dict[str, Any]]:
    """Return the cases of a set, from the file that an earlier run wrote or made now."""
    if name == "written":
        return list(written())
    file = folder / f"cases_{name.replace('/', '_')}.jsonl"
    if not file.exists():
        now = [datetime(2000, 1, 1, tzinfo=UTC)]
        with tempfile.TemporaryDirectory() as root, Mnemos(root, clock=lambda: now[0], timezone="UTC") as memory:
            if name == "locomo":
                made = list(of_task(memory, locomo.load(data / "locomo10.json"), "turn", lambda n: n.endswith(LOCOMO)))
            elif name == "beam":
                task = beam.load(data / "beam_100k")
                made = list(of_task(memory, task, "message", lambda n: int(n.rsplit("-", 1)[1]) <= BEAM))
            elif name in ("a", "b"):
                made = list(of_items(memory, now, packaged("statements", lambda item: True)[f"hand_{name}"]))
            else:
                hands = read(Path(name), "changes.jsonl", lambda item: True)
                made = list(of_items(memory, now, [item for items in hands.values() for item in items]))
        file.write_text("\n".join(json.dumps(c) for c in made), encoding="utf-8")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

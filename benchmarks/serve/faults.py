"""Kill the server with SIGKILL while many clients write, and check that every acknowledged write is there exactly once.

    pip install '.[serve]'
    python -m benchmarks serve-faults

32 clients write to 200 spaces, each write with an Idempotency-Key: single memories and, every tenth time, five at once.
Three times in the run a real `mnemos serve` is killed at a random moment and restarted. A client whose connection broke
repeats the request with the same key until it gets a response; if the server says that the first one was interrupted, the
client checks whether it was stored, as the response says. Every twentieth write is repeated after it was acknowledged.

Afterwards the server is stopped and the files are opened: every acknowledged memory must be stored exactly once, with the
text sent; nothing else may be stored; `mnemos doctor` and the audit log must find no problem.
"""

from __future__ import annotations

import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import killing
from benchmarks.serve.serving import Served
from mnemos import Mnemos, Space
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.serve.keys import KeyStore

if TYPE_CHECKING:
    import httpx

SPACES, CLIENTS, KILLS, BATCH = 200, 32, 3, 5
TIMEOUT, PAUSE = 30.0, 0.1  # seconds


@dataclass
class Tally:
    """What a run found; `lost`, `doubled`, `torn`, `unknown`, `unsound_spaces` and `unexpected` must be 0 or empty."""

    seconds: float = 0.0
    restarts: int = 0
    writes: int = 0
    acknowledged: int = 0  # memories
    sent_again: int = 0  # requests repeated because no response came or the first one was interrupted
    replayed: int = 0  # requests that got the stored response
    looked_up: int = 0  # interrupted writes that the client had to check
    stored: int = 0  # memories
    lost: int = 0  # acknowledged memories that are not stored
    doubled: int = 0  # memories stored more than once
    torn: int = 0  # memories with another text
    unknown: int = 0  # memories stored but never acknowledged
    unsound_spaces: int = 0  # spaces in which a check found a problem
    problems: list[str] = field(default_factory=list)
    unexpected: dict[str, int] = field(default_factory=dict)  # other statuses than 201 and 409


class Writer:
    """A client that writes until it is stopped and remembers what was acknowledged."""

    def __init__(self, number: int, server: Served, token: str, spaces: int, stop: threading.Event) -> None:
        import httpx

        self.number = number
        self.stop = stop
        self.dice = random.Random(number)
        self.spaces = spaces
        self.http = httpx.Client(
            base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT, trust_env=False
        )
        self.acknowledged: dict[str, str] = {}  # mark of a memory -> its space
        self.counts: Counter[str] = Counter()
        self.unexpected: Counter[str] = Counter()

    def run(self) -> None:
        """Write until stopped; finish the last write."""
        i = 0
        while not self.stop.is_set():
            space = f"space-{self.dice.randrange(self.spaces)}"
            marks = [f"{self.number}.{i}.{n}" for n in range(BATCH if i % 10 == 9 else 1)]
            self.write(space, f"key-{self.number}-{i}", marks, again=i % 20 == 19)
            i += 1
        self.http.close()

    def write(self, space: str, key: str, marks: list[str], again: bool) -> None:
        """Send a write until it is acknowledged."""
        body = {"messages": [{"content": text_of(mark), "metadata": {"mark": mark}} for mark in marks]}
        tries = 0
        while True:
            answer = self.send(space, f"{key}-{tries}", body)
            if answer is not None and answer.status_code == 201:
                break
            if answer is not None and answer.status_code == 409 and "interrupted" in answer.text:
                self.counts["looked_up"] += 1
                if self.is_stored(space, marks[0]):
                    break
                tries += 1  # it was not stored: write it with a new key
            self.counts["sent_again"] += 1
            time.sleep(PAUSE)
        self.counts["writes"] += 1
        self.acknowledged.update(dict.fromkeys(marks, space))
        if again:
            self.send(space, f"{key}-{tries}", body)

    def send(self, space: str, key: str, body: dict[str, Any]) -> httpx.Response | None:
        """Return the response; None if none came."""
        import httpx

        try:
            answer = self.http.post(f"/v1/spaces/{space}/cubes", json=body, headers={"Idempotency-Key": key})
        except httpx.HTTPError:
            return None
        self.counts["replayed"] += "idempotent-replayed" in answer.headers
        if answer.status_code not in (201, 409):
            self.unexpected[str(answer.status_code)] += 1
        return answer

    def is_stored(self, space: str, mark: str) -> bool:
        """Return whether a memory is stored; ask until the server says so."""
        import httpx

        query = {"where": json.dumps({"mark": mark}), "state": "any"}  # a superseded memory is stored, too
        while True:
            try:
                answer = self.http.get(f"/v1/spaces/{space}/cubes", params=query)
            except httpx.HTTPError:
                time.sleep(PAUSE)
                continue
            if answer.status_code == 404:  # the space does not exist
                return False
            if answer.status_code == 200:
                return bool(answer.json()["items"])
            self.unexpected[str(answer.status_code)] += 1
            time.sleep(PAUSE)


def text_of(mark: str) -> str:
    """Return the text of a memory."""
    return f"Message {mark} of the run."


def stored(space: Space) -> Iterator[tuple[str, str]]:
    """Yield the mark and the text of every memory of a space."""
    for cube in space.cubes(limit=1000, state="any"):
        yield str(cube.metadata.get("mark")), cube.text


def check(root: Path, acknowledged: dict[str, str], tally: Tally) -> None:
    """Compare the files with what was acknowledged, and look for damage."""
    found: Counter[tuple[str, str]] = Counter()
    with Mnemos(root, embedder="none") as memory:
        for name in memory.spaces():
            space = memory.space(name)
            for mark, text in stored(space):
                found[name, mark] += 1
                tally.torn += text != text_of(mark)
            problems = killing.damage(space)
            tally.unsound_spaces += bool(problems)
            tally.problems += [f"{name}: {problem}" for problem in problems]
            memory.release(name)
    wanted = {(space, mark) for mark, space in acknowledged.items()}
    tally.acknowledged, tally.stored = len(wanted), found.total()
    tally.lost = len(wanted - found.keys())
    tally.doubled = sum(count - 1 for count in found.values())
    tally.unknown = len(found.keys() - wanted)


def measure(
    root: Path, seconds: float, *, kills: int = KILLS, clients: int = CLIENTS, spaces: int = SPACES, seed: int = 0,
    embedder: str = "none",
) -> Tally:  # fmt: skip
    """Write for `seconds`, kill the server at random moments, and return what was found."""
    with closing(KeyStore.under(root)) as keys:
        token, _ = keys.add("faults", spaces=["*"], rights=["read", "write"])
    server, stop, tally = Served(root, "--embedder", embedder, "--log-level", "warning"), threading.Event(), Tally()
    server.start()
    writers = [Writer(n, server, token, spaces, stop) for n in range(clients)]
    threads = [threading.Thread(target=writer.run) for writer in writers]
    start = time.monotonic()
    dice = random.Random(seed)
    try:
        for thread in threads:
            thread.start()
        moments = sorted(dice.uniform(0.05, 0.9) * seconds for _ in range(kills))
        for _ in killing.kills(server, (start + moment - time.monotonic() for moment in moments)):
            tally.restarts += 1
        server.start()
        time.sleep(max(start + seconds - time.monotonic(), 0))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        server.stop()
    tally.seconds = round(time.monotonic() - start, 1)
    counts: Counter[str] = Counter()
    unexpected: Counter[str] = Counter()
    acknowledged: dict[str, str] = {}
    for writer in writers:
        counts.update(writer.counts)
        unexpected.update(writer.unexpected)
        acknowledged |= writer.acknowledged
    for name, count in counts.items():
        setattr(tally, name, count)
    tally.unexpected = dict(unexpected)
    check(root, acknowledged, tally)
    return tally


@dataclass(frozen=True)
class Options:
    """Duration and load of a run."""

    seconds: float = 300.0  # seconds to write
    kills: int = KILLS  # times that the server is killed
    clients: int = CLIENTS  # clients that write
    spaces: int = SPACES  # spaces that they write to
    embedder: str = "none"  # what embeds the texts
    seed: int = 0  # of the moments of the kills


def table(result: Result) -> Rows:
    """Return the table of writes to a server that was killed."""
    lines: Rows = [[f"{result['clients']} clients, {result['spaces']} spaces, {result['seconds']:.0f} s", "count"]]
    shown = {
        "kills (SIGKILL) and restarts": "restarts", "memories acknowledged": "acknowledged",
        "requests repeated": "sent_again", "requests that got the stored response": "replayed",
        "interrupted writes, checked by the client": "looked_up", "lost": "lost", "stored twice": "doubled",
        "stored, but not acknowledged": "unknown", "spaces in which `doctor` found a problem": "unsound_spaces",
    }  # fmt: skip
    return lines + [[what, f"{result[name]:,}"] for what, name in shown.items()]


def problem(result: Result) -> str | None:
    """Return what was lost, doubled, torn or damaged."""
    return killing.failures(result, "lost", "doubled", "torn", "unknown", "unsound_spaces", "unexpected")


@benchmark(
    "serve-faults",
    help="A server that is killed while many clients write: is every acknowledged write stored exactly once?",
    options=Options,
    tables={"serve-faults": table},
    problem=problem,
    extra="serve",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Write to a server of a new root, kill it, and check its files."""
    counts = {"clients": options.clients, "spaces": options.spaces, "kills": options.kills}
    with tempfile.TemporaryDirectory(prefix="mnemos-faults-") as root:
        tally = measure(Path(root), options.seconds, **counts, embedder=options.embedder, seed=options.seed)
    return counts | asdict(tally)

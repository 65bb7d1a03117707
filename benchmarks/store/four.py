"""Four writers on one space, in a folder or in Postgres: clients are killed, the server crashes, nothing acknowledged is lost.

    python -m benchmarks store-four

Four processes add cubes, each with an id of its own making, and print an id when `add` has returned. In each round some of them
are killed with SIGKILL, and the Postgres server is stopped with `pg_ctl stop -m immediate`, which is a crash: nothing is written
any more, and the next start recovers from the log. A client that gets an error tries the same id again, as one should. At the end
every acknowledged cube has to be there once, with its text, and nothing else but what was in flight. A loss of power of the
machine is not tried.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import killing
from mnemos import Mnemos
from mnemos.bench.progress import SILENT, Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.errors import MnemosError
from mnemos.store.postgres.temporary import TemporaryServer

WRITERS = 4
KINDS = ("SQLite", "Postgres")
ROOT = Path(__file__).parents[2]  # of the repository


@dataclass
class Tally:
    """What a run found; `lost`, `doubled` and `unsound` must be 0."""

    kills: int = 0
    crashes: int = 0
    errors: int = 0  # that clients met and overcame
    acknowledged: int = 0
    stored: int = 0
    lost: int = 0
    doubled: int = 0
    unsound: int = 0
    problems: list[str] = field(default_factory=list)


def write(root: str, number: int, start: int) -> None:
    """Add cubes until killed, or until the input ends; print each id that was acknowledged."""
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    memory = _open(root)
    i = start
    while not stop.is_set():
        cube_id = f"w{number}-{i}"
        try:
            memory.space("crash").add(f"writer {number} says {i} of many", id=cube_id, reconcile=False)
        except MnemosError as error:
            print(f"error {type(error).__name__}", flush=True)
            time.sleep(0.05)
            continue
        print(cube_id, flush=True)
        i += 1
    memory.close()


def _open(root: str) -> Mnemos:
    while True:
        try:
            return Mnemos(root, embedder="none")
        except MnemosError:  # the server is down
            time.sleep(0.05)


class Writer:
    """One writer, which is started again where it was."""

    def __init__(self, root: str, number: int) -> None:
        self.root, self.number = root, number
        self.acknowledged: list[str] = []
        self.errors = 0
        self.next = 0
        self.start()

    def start(self) -> None:
        """Start the process; what was in flight when it was killed is not tried again."""
        code = f"from benchmarks.store.four import write; write({self.root!r}, {self.number}, {self.next})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.reader = threading.Thread(target=self._read, args=(self.process,))
        self.reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("error "):
                self.errors += 1
            elif line.endswith("\n"):
                self.acknowledged.append(line.strip())

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self._ended()

    def end(self) -> None:
        """Let the process end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._ended()

    def _ended(self) -> None:
        self.process.wait(120)
        self.reader.join(120)
        self.next = max((int(i.split("-")[1]) for i in self.acknowledged), default=-1) + 2  # one may be in flight


def torture(root: str, rounds: int, seed: int, crash: Callable[[], None] | None, progress: Progress = SILENT) -> Tally:
    """Kill writers, and crash the server, for some rounds; return what was found then."""
    tally, source = Tally(), random.Random(seed)
    writers = [Writer(root, n) for n in range(WRITERS)]
    try:
        for _ in range(rounds):
            _wait(writers, 3)
            time.sleep(source.random() * 0.3)
            for victim in source.sample(writers, 2):
                victim.kill()
                tally.kills += 1
            if crash is not None:
                _wait([w for w in writers if w.process.poll() is None], 2)  # what the killed had begun is over then
                crash()
                tally.crashes += 1
            for writer in writers:
                if writer.process.poll() is not None:
                    writer.start()
            progress(1)
        _wait(writers, 3)
    finally:
        for writer in writers:
            writer.end() if writer.process.poll() is None else None
    tally.errors = sum(writer.errors for writer in writers)
    _judge(root, [i for writer in writers for i in writer.acknowledged], tally)
    return tally


def _wait(writers: list[Writer], more: int) -> None:
    """Wait until each writer has stored a few more. Raises TimeoutError."""
    wanted = [len(writer.acknowledged) + more for writer in writers]
    until = time.monotonic() + 120
    while any(len(writer.acknowledged) < n for writer, n in zip(writers, wanted, strict=True)):
        if time.monotonic() > until:
            raise TimeoutError("the writers do not get on")
        time.sleep(0.02)


def _judge(root: str, acknowledged: list[str], tally: Tally) -> None:
    with Mnemos(root, embedder="none") as memory:
        space = memory.space("crash")
        stored = {record["cube"]["id"]: record["cube"]["text"] for record in space.dump()}
        texts = Counter(cube.text for cube in space.cubes(limit=1_000, state="any"))
        tally.problems += killing.damage(space)
    tally.acknowledged, tally.stored = len(set(acknowledged)), len(stored)
    said = {i: f"writer {i[1]} says {i.split('-')[1]} of many" for i in acknowledged}
    lost = [i for i, text in said.items() if stored.get(i) != text]
    doubled = [text for text, n in texts.items() if n > 1]
    tally.lost, tally.doubled, tally.unsound = len(lost), len(doubled), len(tally.problems)
    tally.problems += [f"lost {i}" for i in lost[:5]] + [f"doubled {text}" for text in doubled[:5]]


def _hold_a_write(url: str) -> None:
    """Wait until a writer is in the middle of a transaction, which a lock of the table holds there. Raises TimeoutError."""
    import psycopg

    db = psycopg.connect(url)  # ends with the server
    db.execute("LOCK TABLE mnemos.cubes IN EXCLUSIVE MODE")  # reads go on
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'mnemos.cubes'::regclass AND mode LIKE 'Row%'"
    )
    until = time.monotonic() + 60
    while db.execute(waiting).fetchone() == (0,):
        if time.monotonic() > until:
            raise TimeoutError("no writer is in the middle of a transaction")
        time.sleep(0.02)


def run_one(kind: str, rounds: int, seed: int, progress: Progress = SILENT) -> Tally:
    """Run the rounds on one kind of store."""
    with ExitStack() as stack:
        if kind == "SQLite":
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mnemos-four-"))
            return torture(folder, rounds, seed, None, progress)
        server = stack.enter_context(TemporaryServer())

        def crash() -> None:
            _hold_a_write(server.url())
            server.stop("immediate")
            server.start()

        return torture(server.url(), rounds, seed, crash, progress)


@dataclass(frozen=True)
class Options:
    """How often."""

    rounds: int = 50  # of each kind of store; two writers are killed in each, and the server crashes
    seed: int = 1  # of the kills


def table(result: Result) -> Rows:
    """Return the counts of both stores."""
    names = ("kills", "crashes", "acknowledged", "lost", "doubled", "unsound")
    return [["store", *names], *([kind, *(found[name] for name in names)] for kind, found in result["stores"].items())]


def problem(result: Result) -> str | None:
    """Return what was lost, doubled or damaged."""
    found = [killing.failures(one, "lost", "doubled", "unsound") for one in result["stores"].values()]
    return "; ".join(filter(None, found)) or None


@benchmark(
    "store-four",
    help="Four writers killed, and the Postgres server crashed under them: nothing acknowledged is lost or doubled.",
    options=Options,
    tables={"store-four": table},
    problem=problem,
    extra="postgres",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Run both kinds of store."""
    progress.expect(2 * options.rounds)
    return {
        "rounds": options.rounds, "seed": options.seed, "writers": WRITERS,
        "stores": {kind: asdict(run_one(kind, options.rounds, options.seed, progress)) for kind in KINDS},
    }  # fmt: skip

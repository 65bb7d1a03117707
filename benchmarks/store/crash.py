"""Kill writers with SIGKILL at random moments and check that nothing acknowledged is lost.

    python -m benchmarks store-crash

A writer process adds single cubes and, every tenth time, a batch of 20 in one `add_many`; it prints the ids of each write
after the call has returned. The parent kills it after a random time, then opens the space and checks that every id printed
is there with the text written, that no batch is there in part, that `PRAGMA integrity_check` and `doctor` find
nothing, and lets the next writer go on in the same file. SIGKILL takes away the process, not the machine: a loss
of power is what `PRAGMA synchronous=FULL` is for, and is not tried here.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import killing
from mnemos import Mnemos, Space
from mnemos.bench.progress import SILENT, Progress
from mnemos.bench.registry import Result, Rows, benchmark

BATCH = 20
ROOT = Path(__file__).parents[2]  # of the repository


@dataclass
class Tally:
    """What a run of kills found; `lost`, `torn_batches` and `unsound_checks` must be 0."""

    kills: int = 0
    killed_mid_line: int = 0
    acknowledged: int = 0
    stored: int = 0
    lost: int = 0
    torn_batches: int = 0
    unsound_checks: int = 0
    problems: list[str] = field(default_factory=list)


def write(root: str, embedder: str, seed: int) -> None:
    """Add cubes until killed; print the ids of each write when it has returned."""
    with Mnemos(root, embedder=embedder) as memory:
        space = memory.space("crash")
        print("ready", flush=True)
        for i in range(1_000_000):
            if i % 10 == 9:
                batch = f"{seed}-{i}"
                cubes = space.add_many(
                    {"content": text_of(seed, i, n), "metadata": {"batch": batch}} for n in range(BATCH)
                )
            else:
                cubes = [space.add(text_of(seed, i, 0))]
            print(" ".join(f"{cube.id}={cube.text[8:].replace(' ', '_')}" for cube in cubes), flush=True)


def text_of(seed: int, i: int, n: int) -> str:
    """Return the text of the n-th cube of the i-th write of a writer."""
    return f"Message {seed} {i} {n}"


class Writer:
    """A process that writes to a space until it is killed; the next one continues in the same file."""

    def __init__(self, root: Path, embedder: str) -> None:
        self.root, self.embedder = root, embedder
        self.number = 0  # of the current process
        self.acknowledged: dict[str, str] = {}  # id -> text of all cubes whose write returned, in all processes
        self.killed_mid_line = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start a process and wait until it has opened the space."""
        call = f"write({str(self.root)!r}, {self.embedder!r}, {self.number})"
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from benchmarks.store.crash import write; {call}"],
            stdout=subprocess.PIPE, text=True, cwd=ROOT, env={"OMP_NUM_THREADS": "1"} | os.environ,
        )  # fmt: skip
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise SystemExit("the writer did not start. Its error is above.")

    def kill(self) -> None:
        """Kill the process and read what it had acknowledged."""
        assert self._process is not None
        assert self._process.stdout is not None
        with self._process as process:
            process.send_signal(signal.SIGKILL)
            lines = self._process.stdout.read().split("\n")
        pairs = [pair.split("=") for line in lines[:-1] for pair in line.split()]
        self.acknowledged |= {cube_id: "Message " + text.replace("_", " ") for cube_id, text in pairs}
        self.killed_mid_line += bool(lines[-1])
        self.number += 1


def check(space: Space, acknowledged: dict[str, str], tally: Tally) -> None:
    """Compare the space with what was acknowledged, and check the file."""
    stored: dict[str, str] = {}
    batches: dict[str, int] = {}
    for cube in space.cubes(limit=1000):
        stored[cube.id] = cube.text
        if batch := cube.metadata.get("batch"):
            batches[batch] = batches.get(batch, 0) + 1
    tally.stored = len(stored)
    tally.lost = sum(stored.get(cube_id) != text for cube_id, text in acknowledged.items())
    tally.torn_batches = sum(count != BATCH for count in batches.values())
    if problems := killing.damage(space):
        tally.unsound_checks += 1
        tally.problems += problems


def measure(
    kills: int, root: Path, embedder: str = "none", seed: int = 0, longest: float = 0.4, step: Progress = SILENT
) -> Tally:
    """Kill `kills` writers of one space, one after the other, each within `longest` seconds of its first write."""
    dice, tally, writer = random.Random(seed), Tally(), Writer(root, embedder)
    for _ in killing.kills(writer, (dice.uniform(0.0, longest) for _ in range(kills))):
        tally.kills += 1
        tally.killed_mid_line = writer.killed_mid_line
        tally.acknowledged = len(writer.acknowledged)
        with Mnemos(root, embedder=embedder) as memory:
            check(memory.space("crash"), writer.acknowledged, tally)
        step(1)
    return tally


@dataclass(frozen=True)
class Options:
    """How many writers are killed."""

    kills: int = 100  # writers to kill, one after the other
    embedder: str = "none"  # what embeds the texts: none stores most a second
    seed: int = 0  # seed of the moments of the kills


def table(result: Result) -> Rows:
    """Return the table of the crash run."""
    names = ("kills", "acknowledged", "lost", "torn_batches", "unsound_checks")
    return [["what", "count"], *([name.replace("_", " "), f"{result[name]:,}"] for name in names)]


def problem(result: Result) -> str | None:
    """Return what was lost or damaged."""
    return killing.failures(result, "lost", "torn_batches", "unsound_checks")


@benchmark(
    "store-crash",
    help="Writers that are killed at random moments: is anything acknowledged lost?",
    options=Options,
    tables={"store-crash": table},
    problem=problem,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Kill the writers of one space and check it after each."""
    progress.expect(options.kills)
    with tempfile.TemporaryDirectory(prefix="mnemos-crash-") as root:
        tally = measure(options.kills, Path(root), options.embedder, options.seed, step=progress)
    return asdict(tally)

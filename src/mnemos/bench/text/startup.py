"""Cost of Mnemos in a program: `mnemos bench startup`. Time of the import, memory of an idle process."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.errors import MnemosError

IMPORT = "import time; t = time.perf_counter(); import mnemos; print(time.perf_counter() - t)"
IDLE = """
import json, sys
from mnemos import Mnemos
from mnemos.bench.machine import rss_mb
with Mnemos(sys.argv[1], timezone="UTC") as memory:
    space = memory.space("idle")
    space.cubes()
    idle, early = rss_mb(), sorted({"torch", "onnxruntime", "dateparser"} & set(sys.modules))
    space.add("I moved to Lisbon last May.")
    space.search("Who moved?")
    print(json.dumps({"idle_mb": idle, "loaded_when_idle": early, "after_embed_mb": rss_mb(),
                      "torch_after_embed": "torch" in sys.modules}))
"""


@dataclass(frozen=True)
class Options:
    """The number of repeats."""

    repeats: int = 9  # processes to start for each time


def table(result: Result) -> Rows:
    """Return the table of import time and idle memory."""
    i, p, m = result["import_ms"], result["process_ms"], result["memory"]
    return [
        ["what", "measured"],
        [f"`import mnemos`, least / median of {i['n']} processes", f"{i['min']:.0f} / {i['median']:.0f} ms"],
        ["a process that does nothing / that imports it, median", f"{p['python']:.0f} / {p['with_mnemos']:.0f} ms"],
        ["memory with an open space, before the first embed", f"{m['idle_mb']:.0f} MB"],
        ["memory after the first embed", f"{m['after_embed_mb']:.0f} MB"],
    ]


@benchmark(
    "startup",
    help="Time of `import mnemos`, and memory of an idle process.",
    options=Options,
    tables={"startup": table},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the import time (least and median of fresh processes) and the memory before and after the first embed."""
    repeats = options.repeats
    imports = [float(python(IMPORT)) for _ in range(repeats)]
    bare = [wall("pass") for _ in range(repeats)]
    whole = [wall("import mnemos") for _ in range(repeats)]
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root:
        idle = json.loads(python(IDLE, str(Path(root) / "memory")))
    return {
        "import_ms": {"min": ms(min(imports)), "median": ms(statistics.median(imports)), "n": repeats},
        "process_ms": {"python": ms(statistics.median(bare)), "with_mnemos": ms(statistics.median(whole))},
        "memory": {name: round(v, 1) if isinstance(v, float) else v for name, v in idle.items()},
    }


def ms(seconds: float) -> float:
    """Return milliseconds, to a tenth."""
    return round(seconds * 1e3, 1)


def wall(code: str) -> float:
    """Return the seconds from the start to the end of a Python process that runs this code."""
    start = time.perf_counter()
    python(code)
    return time.perf_counter() - start


def python(code: str, *arguments: str) -> str:
    """Run code in a fresh Python and return what it prints. Raises MnemosError with its error."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise MnemosError(f"the measured process failed:\n{done.stderr}")
    return done.stdout

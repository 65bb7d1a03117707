"""Searches per second of the server: `mnemos serve` in its own process, wrk with 16 connections.

    pip install '.[serve]'; apt-get install wrk
    python -m benchmarks serve-load

20,000 cubes of synthetic conversation, embedded by the bundled model. "new questions" are each embedded and never repeated
(wrk runs one thread: two would both send all of them); "asked before" are 200 whose vectors and rankings are cached. Every
response must be a 200.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serve.serving import Served, fill
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.synthetic import Corpus
from mnemos.errors import MnemosError
from mnemos.serve.keys import KeyStore

LUA = """
local i = 0
local requests = {}
init = function(args)
  local head = {["Authorization"] = "Bearer %s", ["Content-Type"] = "application/json"}
  for line in io.lines("%s") do
    requests[#requests + 1] = wrk.format("POST", "/v1/spaces/load/search", head, line)
  end
end
request = function()
  i = i + 1
  return requests[(i * 7919) %% #requests + 1]
end
"""


def load(port: int, token: str, questions: list[str], folder: Path, options: Options) -> dict[str, Any]:
    """Return the measurements of wrk for these questions."""
    bodies, script = folder / "bodies", folder / "load.lua"
    bodies.write_text("\n".join(json.dumps({"query": q, "k": 10}) for q in questions), encoding="utf-8")
    script.write_text(LUA % (token, bodies), encoding="utf-8")
    command = [
        "wrk",
        "-t1",
        f"-c{options.clients}",
        f"-d{options.seconds}s",
        "--latency",
        "-s",
        str(script),
        f"http://127.0.0.1:{port}",
    ]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {share: ms(value) for share, value in re.findall(r"(50|90|99)%\s+([\d.]+\w+)", text)}
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    return {"per_second": float(rate[1]) if rate else 0.0, "errors": int(bad[1]) if bad else 0,
            **{f"p{share}_ms": value for share, value in found.items()}}  # fmt: skip


def ms(text: str) -> float:
    """Return the milliseconds of a duration as wrk prints it, such as 1.52s or 830.00us."""
    number, unit = re.fullmatch(r"([\d.]+)(\w+)", text).groups()  # type: ignore[union-attr]
    return round(float(number) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit], 2)


@dataclass(frozen=True)
class Options:
    """Size of the space, and load."""

    cubes: int = 20_000  # cubes in the space
    clients: int = 16  # connections of wrk
    seconds: int = 20  # seconds of each run


def table(result: Result) -> Rows:
    """Return the table of searches per second."""
    head = [
        f"{result['clients']} clients, {result['cubes']:,} cubes",
        "searches per second",
        "p50, ms",
        "p99, ms",
        "errors",
    ]
    return [head, *([n, f"{result[n]['per_second']:.0f}", f"{result[n]['p50_ms']:.0f}", f"{result[n]['p99_ms']:.0f}",
                     result[n]["errors"]] for n in ("new questions", "asked before"))]  # fmt: skip


@benchmark(
    "serve-load",
    help="Searches per second of the server.",
    options=Options,
    tables={"serve-load": table},
    extra="serve",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Fill a space and search it through a server."""
    if shutil.which("wrk") is None:
        raise MnemosError("this needs wrk: apt-get install wrk")
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as folder:
        root = Path(folder) / "root"
        fill(root, options.cubes)
        token, _ = KeyStore.under(root).add("load", spaces=["load"], rights=["read"])
        corpus = Corpus(0)
        known = corpus.queries(200)
        new = [q.replace("?", f" {i}?") for i, q in enumerate(corpus.queries(20_000))]
        with Served(root) as server:

            def ask(questions: list[str]) -> dict[str, Any]:
                return load(server.port, token, questions, Path(folder), options)

            ask(known)  # builds the index
            measured = {"new questions": ask(new), "asked before": ask(known)}
    return {"cubes": options.cubes, "clients": options.clients, "seconds": options.seconds, **measured}

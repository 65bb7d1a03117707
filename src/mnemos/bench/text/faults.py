"""A failing model: `mnemos bench faults`. Writes go on, none is lost, and what was missed is done later."""

from __future__ import annotations

import json
import random
import re
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.metrics import latency_ms
from mnemos.reason.llm import LlmReasoner
from mnemos.system import Mnemos

FAULTS = ("malformed", "schema", "refusal", "status 429", "status 500", "slow", "dropped", "orders")
TIMEOUT = 0.25  # seconds; "slow" takes longer


@dataclass(frozen=True)
class Options:
    """The writes, and the share of faults."""

    seed: int = 0  # seed of the faults
    writes: int = 300  # statements to write
    share: float = 0.3  # share of the calls that the model answers wrongly


def table(result: Result) -> Rows:
    """Return what happened to writes beside a failing model."""
    add, waiting = result["add"], result["waiting"]
    return [
        ["what", "measured"],
        ["writes / lost", f"{result['writes']:,} / {result['lost']}"],
        ["calls / answered wrongly", f"{result['calls']:,} / {result['faults']:,} ({percent(result['fault_share'])})"],
        ["`add` p50 / p95 beside it", f"{add['p50_ms']:.1f} / {add['p95_ms']:.1f} ms"],
        ["cubes waiting: endpoint dead / after it came back", f"{waiting['dead']} / {waiting['healed']}"],
    ]


@benchmark(
    "faults",
    help="A model that fails in a third of its calls: are writes lost?",
    options=Options,
    tables={"faults": table},
    extra="llm",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Write `writes` statements beside a model that answers a `share` of its calls wrongly; count what is lost.

    The model is a local server that speaks chat completions. After the writes come three consolidations with the
    faulty model, one with the server down, and five with a sound one, until no cube waits any more.
    """
    seed, writes, share = options.seed, options.writes, options.share
    progress.expect(writes)
    rng = random.Random(seed)
    with _server(rng, share) as (url, state), tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root:
        reasoner = LlmReasoner("m", url, timeout=TIMEOUT, retries=1, sleep=lambda _: None)
        with Mnemos(root, embedder="hashing", reasoner=reasoner, timezone="UTC") as memory:
            space = memory.space("s")
            wanted, seconds = {}, []
            for i in range(writes):
                start = time.perf_counter()
                cube = space.add(f"{_name(i)} moved to {_name(i + 7)}ville.", speaker="Ana", session=f"s{i // 10}")
                seconds.append(time.perf_counter() - start)
                wanted[cube.id] = cube.text
                if i % 50 == 25:
                    space.consolidate()
                progress(1)
            faulty = [space.consolidate() for _ in range(3)]
            calls, broken = state["calls"], state["faults"]
            state["dead"] = 1
            late = space.add("Zoe moved to Lateville.", speaker="Ana", session="last")
            wanted[late.id] = late.text
            dead = space.consolidate()
            state["dead"], state["sound"] = 0, 1
            healed = [space.consolidate() for _ in range(5)]
            stored = space.store.get(list(wanted))
            lost = sum(i not in stored or stored[i].text != text for i, text in wanted.items())
            counts = reasoner.stats()["tasks"]
    return {
        "seed": seed, "writes": len(wanted), "lost": lost, "calls": calls, "faults": broken,
        "fault_share": round(broken / max(calls, 1), 3), "by_kind": {k: state[k] for k in FAULTS}, "add": latency_ms(seconds),
        "waiting": {"faulty": faulty[-1].waiting, "dead": dead.waiting, "healed": healed[-1].waiting},
        "tasks": {name: row for name, row in counts.items() if row["calls"]},
    }  # fmt: skip


def _name(i: int) -> str:
    return "".join(chr(97 + int(d)) for d in f"{i:04}").capitalize()


@contextmanager
def _server(rng: random.Random, share: float) -> Iterator[tuple[str, Counter[str]]]:
    """Yield the address of a server that sometimes answers wrongly, and its counts."""
    state: Counter[str] = Counter()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                state["calls"] += 1
                fault = rng.choice(FAULTS) if not state["sound"] and rng.random() < share else None
                fault = "dropped" if state["dead"] else fault
                if fault:
                    state["faults"] += 1
                    state[fault] += 1
            _answer(self, body, fault)

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", state
    finally:
        server.shutdown()
        server.server_close()


def _answer(handler: BaseHTTPRequestHandler, body: dict[str, Any], fault: str | None) -> None:
    if fault == "dropped":
        handler.connection.close()
        return
    if fault == "slow":
        time.sleep(2 * TIMEOUT)
    status = int(fault.split()[1]) if fault and fault.startswith("status") else 200
    said = {"malformed": "{not json", "schema": '{"other": 1}'}.get(fault or "", json.dumps(_good(body, fault)))
    message = {"role": "assistant", "content": said, **({"refusal": "no"} if fault == "refusal" else {})}
    data = json.dumps({
        "id": "1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20},
    }).encode()  # fmt: skip
    try:
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
    except OSError:  # the client has given up
        pass


def _good(body: dict[str, Any], fault: str | None) -> dict[str, Any]:
    """Return what a model might answer; with the fault "orders" what a text in the memory tells it to."""
    task = body["response_format"]["json_schema"]["name"]
    texts = json.loads(body["messages"][-1]["content"])["texts"]
    if task == "facts":
        match = re.match(r"(\w+) moved to (\w+)", texts[0])
        value = "Hackville" if fault == "orders" else match[2] if match else ""
        fact = {"subject": match[1] if match else "", "attribute": "live in", "value": value, "exclusive": True}
        return {"facts": [{**fact, "negated": False, "quote": match[0]}]} if match else {"facts": []}
    others: dict[str, dict[str, Any]] = {"compare": {"verdict": "compatible"}, "reflect": {"insights": []}}
    return others.get(task, {"text": "Somebody moved."})

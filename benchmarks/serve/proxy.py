"""Latency that the proxy adds to the first token: the same streamed chats, direct and proxied, alternating.

    python -m benchmarks serve-proxy

The upstream responds immediately, so that only the proxy is measured. Upstream, proxy and client are separate processes.
The memory contains synthetic conversation, embedded by the bundled model, and every question is new to it. "read-write"
also stores each exchange after the response; the next chat does not wait for that.
"""

from __future__ import annotations

import json
import multiprocessing
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mnemos import Mnemos
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.synthetic import Corpus

if TYPE_CHECKING:
    import httpx

WAYS = {"direct": None, "off": "off", "read": "read", "read-write": "read-write"}
TOKENS, WARM = 20, 20


def upstream(port: int) -> None:
    """Serve an API that streams a response immediately."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    deltas = [{"index": 0, "delta": {"content": f"word{i} "}, "finish_reason": None} for i in range(TOKENS)]
    deltas.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    events = [f"data: {json.dumps(head | {'choices': [delta]})}\n\n" for delta in deltas] + ["data: [DONE]\n\n"]

    async def chat(request: Request) -> StreamingResponse:
        await request.body()

        async def stream() -> Any:
            for event in events:
                yield event

        return StreamingResponse(stream(), media_type="text/event-stream")

    app = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])
    uvicorn.run(app, port=port, log_level="warning", access_log=False)


def proxy(port: int, root: str, url: str) -> None:
    """Serve the proxy alone."""
    import uvicorn
    from fastapi import FastAPI

    from mnemos.serve.proxy import make_proxy

    with Mnemos(root) as memory:
        app = FastAPI()
        app.include_router(make_proxy(memory, url, upstream_key="k"))
        uvicorn.run(app, port=port, log_level="warning", access_log=False)


def ask(client: httpx.Client, url: str, question: str, mode: str | None, number: int) -> tuple[float, str]:
    """Return the seconds to the first bytes of a streamed response, and its X-Mnemos-Memory."""
    headers = {} if mode is None else {"X-Mnemos-Mode": mode, "X-Mnemos-Session": str(number)}
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": question}]}
    start = time.perf_counter()
    with client.stream("POST", url + "/chat/completions", json=body, headers=headers) as answer:
        chunks = answer.iter_raw()
        next(chunks)
        took = time.perf_counter() - start
        text = b"".join(chunks)
    if answer.status_code != 200 or not text.endswith(b"data: [DONE]\n\n"):
        raise SystemExit(f"unexpected response: {answer.status_code}, {text[-100:]!r}")
    return took, answer.headers.get("x-mnemos-memory", "")


def serve(target: Callable[..., None], *arguments: Any) -> tuple[Any, str]:
    """Start a server in its own process; return it and its address once it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=target, args=(port, *arguments), daemon=True)
    process.start()
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process, f"http://127.0.0.1:{port}/v1"
        except OSError:
            time.sleep(0.1)
    raise SystemExit("a server did not start. Its error is above.")


def measure(requests: int, cubes: int) -> dict[str, Any]:
    """Return the time to the first token, in milliseconds, of each way."""
    import httpx

    corpus = Corpus(0)
    with tempfile.TemporaryDirectory(prefix="mnemos-proxy-") as root:
        with Mnemos(root) as memory:
            memory.space("default").add_many(corpus.messages(cubes), reconcile=False)
        started = []
        try:
            process, direct = serve(upstream)
            started.append(process)
            process, proxied = serve(proxy, root, direct)
            started.append(process)
            times: dict[str, list[float]] = {way: [] for way in WAYS}
            memory_states: Counter[str] = Counter()
            with httpx.Client(trust_env=False, timeout=60) as client:
                for i, question in enumerate(corpus.queries(requests + WARM)):
                    for way, mode in WAYS.items():
                        new = f"{question} {i} {way}"
                        took, state = ask(client, direct if mode is None else proxied, new, mode, i)
                        if i >= WARM:
                            times[way].append(took * 1000)
                            memory_states[f"{way}: {state}"] += 1
        finally:
            for process in started:
                process.terminate()
                process.join(20)
    shown = {way: {f"p{p}_ms": round(float(np.percentile(t, p)), 2) for p in (50, 90, 99)} for way, t in times.items()}
    added = {way: round(shown[way]["p50_ms"] - shown["direct"]["p50_ms"], 2) for way in WAYS if way != "direct"}
    return {"requests": requests, "cubes": cubes, "first token": shown, "added_p50_ms": added, "memory": memory_states}


@dataclass(frozen=True)
class Options:
    """Number of chats, and size of the memory."""

    requests: int = 200  # chats of each way
    cubes: int = 5_000  # cubes in the memory


def table(result: Result) -> Rows:
    """Return the time to the first token, direct and through the proxy."""
    lines: Rows = [["way", "first token p50 / p90, ms", "added p50, ms"]]
    for way, row in result["first token"].items():
        added = result["added_p50_ms"].get(way)
        lines.append([way, f"{row['p50_ms']:.1f} / {row['p90_ms']:.1f}", "–" if added is None else f"{added:.1f}"])
    return lines


@benchmark(
    "serve-proxy",
    help="Time to the first token, direct and through the proxy.",
    options=Options,
    tables={"serve-proxy": table},
    extra="serve",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Start the servers and send the chats."""
    return measure(options.requests, options.cubes)

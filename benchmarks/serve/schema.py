"""Send a server the valid and invalid requests that schemathesis generates from its OpenAPI document; count 5xx responses.

    pip install '.[serve]'
    python -m venv /tmp/schemathesis && /tmp/schemathesis/bin/pip install schemathesis
    python -m benchmarks serve-schema --schemathesis /tmp/schemathesis/bin/schemathesis

Every route gets examples, edge cases of its schema and random requests, valid and invalid. No response may be a 5xx, and no
route may answer without a key. The key has all rights, and the root is temporary.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serve.serving import Served
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.serve.keys import RIGHTS, KeyStore

CHECKS = "not_a_server_error,ignored_auth"
LINE = re.compile(r"mnemos\.access: (\w+) (\S+) (\d{3}) ")


def measure(root: Path, program: str, examples: int) -> dict[str, Any]:
    """Run schemathesis; return its result and counts from the server's log."""
    with closing(KeyStore.under(root)) as keys:
        token, _ = keys.add("schema", spaces=["*"], rights=RIGHTS)
    with Served(root, "--embedder", "none") as server:
        done = subprocess.run(
            [program, "run", f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {token}", "--checks", CHECKS,
             "--phases", "examples,coverage,fuzzing", "--max-examples", str(examples), "--continue-on-failure",
             "--seed", "0", "--no-color", "--suppress-health-check", "all", "--warnings", "off"],
            capture_output=True, text=True, cwd=root,
        )  # fmt: skip
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    found = [match.groups() for line in server.log if (match := LINE.search(line.decode()))]
    statuses = Counter(status for _, _, status in found)
    failed = Counter(f"{method} {route}: {status}" for method, route, status in found if status >= "500")
    return {
        "tool": version, "checks": CHECKS, "examples": examples, "requests": len(found),
        "routes": len({(method, route) for method, route, status in found if status not in ("404", "405") and route != "none"}),
        "server_errors": dict(failed), "passed": done.returncode == 0, "statuses": dict(sorted(statuses.items())),
        "output": done.stdout.splitlines()[-40:],
    }  # fmt: skip


@dataclass(frozen=True)
class Options:
    """The generator, and the number of requests."""

    schemathesis: str = "schemathesis"  # the program, in its own environment
    examples: int = 100  # random requests per route and mode


def table(result: Result) -> Rows:
    """Return the table of generated requests."""
    return [
        ["requests generated from the OpenAPI document", "count"],
        ["requests", f"{result['requests']:,}"],
        ["routes", result["routes"]],
        ["responses 5xx", sum(result["server_errors"].values())],
    ]


def problem(result: Result) -> str | None:
    """Return the routes that failed."""
    failed = result["server_errors"] or not result["passed"]
    return f"{result['server_errors']}\n{result['output']}" if failed else None


@benchmark(
    "serve-schema",
    help="Requests that schemathesis generates from the OpenAPI document, and the 5xx responses.",
    options=Options,
    tables={"serve-schema": table},
    problem=problem,
    extra="serve",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Send the requests to a server of an empty root."""
    with tempfile.TemporaryDirectory(prefix="mnemos-schema-") as root:
        result = measure(Path(root), options.schemathesis, options.examples)
    output = result.pop("output")
    return result if result["passed"] else result | {"output": "\n".join(output)}

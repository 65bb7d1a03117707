"""Send a server what its OpenAPI document allows and forbids, as schemathesis makes it up, and count the answers 5xx.

    pip install '.[serve]'
    python -m venv /tmp/schemathesis && /tmp/schemathesis/bin/pip install schemathesis
    python -m benchmarks.serve.schema --schemathesis /tmp/schemathesis/bin/schemathesis --out benchmarks/results/serve/schema.json

Every route gets examples, the borders of its schema, and random requests, valid and broken; its checks are that no answer
is a 5xx and that no route answers without a key. The key may do everything, and the root is thrown away.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.serve.serving import Served
from mnemos.bench.run import header, write
from mnemos.serve.keys import RIGHTS, KeyStore

CHECKS = "not_a_server_error,ignored_auth"
LINE = re.compile(r"mnemos\.access: (\w+) (\S+) (\d{3}) ")


def run(root: Path, program: str, examples: int) -> dict[str, Any]:
    """Run schemathesis and return what it and the server's log say."""
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
        "said": done.stdout.splitlines()[-40:],
    }  # fmt: skip


def main() -> None:
    """Parse the command line, run, and write `serve_schema.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schemathesis", default="schemathesis", help="the program, in an environment of its own")
    parser.add_argument("--examples", type=int, default=100, help="random requests a route and mode")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mnemos-schema-") as root:
        result = run(Path(root), options.schemathesis, options.examples)
    said = "\n".join(result.pop("said"))
    command = f"python -m benchmarks.serve.schema --examples {options.examples}"
    result = header("serve-schema", None, {}) | {"command": command} | result
    print(json.dumps(result, indent=1) if options.out is None else write(result, options.out))
    if result["server_errors"] or not result["passed"]:
        raise SystemExit(f"FAILED: {result['server_errors']}\n{said}")


if __name__ == "__main__":
    main()

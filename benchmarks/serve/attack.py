"""Attack every route of a server, and count what is let through.

    pip install '.[serve]'
    python -m benchmarks serve-attack

The routes are read from /openapi.json, so that none is missed. Requests are raw bytes: keys that are wrong, expired, revoked
or in the wrong place; names and ids with path traversal; spaces and cubes of others; bodies that are invalid or too large;
foreign hosts and origins; unsupported methods; chats that ask for another space's memory; and messages that two parsers
would read differently. The upstream of the proxy echoes everything that it receives.

An attack is let through if its response is a 2xx or contains a canary: a word of memories, names and keys that no attacker
may see. (A key may ask its own space about ids of another one: there only the canaries count.) Afterwards the attacked
space must be unchanged, including its recall counts, there must be no new space and no new key, and the server's log must
contain neither a canary nor a key. A key with all rights checks that the routes would serve the same requests.
"""

from __future__ import annotations

import json
import re
import secrets
import socket
import tempfile
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.serve.attacks import PROXIED, Attack, Route, World, attacks, message
from benchmarks.serve.serving import Served
from mnemos import Mnemos
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.cube import utc_now
from mnemos.serve.keys import RIGHTS, KeyStore

OPEN = {"/health", "/ready"}  # routes that need no key
WAIT, BRIEF = 20.0, 1.0  # seconds to wait for a response; for one to an incomplete message


@dataclass
class Report:
    """Results of the attacks; `let_through`, `server_errors` and `changed` must be 0 or empty."""

    attacks: int = 0
    routes: int = 0
    routes_answered_with_a_right_key: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    let_through: int = 0
    server_errors: int = 0
    unanswered: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    changed: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it as data."""
        return {**vars(self), "by_kind": dict(self.by_kind), "statuses": dict(sorted(self.statuses.items()))}


# -- the world


def furnish(root: Path, port: int) -> World:
    """Create the spaces and the keys."""
    canaries = tuple(f"canary{secrets.token_hex(8)}" for _ in range(3))
    text, name, label = canaries
    with Mnemos(root, embedder="hashing") as memory:
        vault = memory.space("vault")
        cube = vault.add(f"The code word is {text}.", speaker=text, session=text, metadata={"a": text}, source=text)
        vault.add(f"I live in {text}.", speaker="Ana")
        vault.update(cube.id, content=f"The code word was {text}.")
        memory.space(f"hidden-{name}").add("Nothing.")
        mine = memory.space("mine").add("This is mine.")
    now = utc_now()
    with closing(KeyStore.under(root, lambda: now - timedelta(days=3))) as past:
        expired, _ = past.add(label, spaces=["*"], rights=RIGHTS, days=1)
    with closing(KeyStore.under(root)) as keys:
        admin, admin_key = keys.add(label, spaces=["*"], rights=RIGHTS)
        revoked, revoked_key = keys.add(label, spaces=["*"], rights=RIGHTS)
        keys.revoke(revoked_key.id)
        own, _ = keys.add("mine", spaces=["mine"], rights=RIGHTS)
        pattern, _ = keys.add("pattern", spaces=["mine*"], rights=RIGHTS)
    wrong = admin[:-4] + ("AAAA" if admin[-4:] != "AAAA" else "BBBB")
    unknown = f"mnk_aaaaaaaa_{secrets.token_urlsafe(32)}"
    bad = {"expired": expired, "revoked": revoked, "wrong": wrong, "unknown": unknown}
    return World(port, admin, own, pattern, bad, cube.id, mine.id, admin_key.id, canaries)


def state_of(root: Path) -> tuple[Any, ...]:
    """Return everything that an attack could change: the vault, the names of spaces, and the keys."""
    with Mnemos(root, embedder="hashing") as memory:
        dump = json.dumps(list(memory.space("vault").dump()), sort_keys=True)
        mine = [cube.id for cube in memory.space("mine").cubes().items]
        names = memory.spaces()
    with closing(KeyStore.under(root)) as keys:
        return dump, mine, names, [(key.id, key.spaces, key.rights, key.revoked, key.expires) for key in keys.all()]


class Echo(BaseHTTPRequestHandler):
    """An upstream that echoes what it receives, and records it."""

    protocol_version = "HTTP/1.1"
    got: bytearray

    def do_POST(self) -> None:
        """Echo the request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        sent = bytes(self.headers) + body
        self.got += sent
        answer = json.dumps(
            {"choices": [{"message": {"role": "assistant", "content": sent.decode("latin-1")}}]}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@contextmanager
def echo() -> Iterator[tuple[str, bytearray]]:
    """Yield the address of an upstream, and what it receives."""
    got = bytearray()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Kept", (Echo,), {"got": got})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1", got
        server.shutdown()


# -- the routes


def routes_of(document: dict[str, Any], world: World) -> list[Route]:
    """Return the routes of an OpenAPI document that need a key, each with a valid body."""
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path not in OPEN:
                found.append(Route(method.upper(), path, body_of(method, path, operation, document, world)))
    return found


def body_of(method: str, path: str, operation: Any, document: Any, world: World) -> bytes | None:
    """Return a valid body of a route, from its schema and known cases that the schema does not cover."""
    last = path.rsplit("/", 1)[-1]
    if last in ("import", "file"):
        return b"" if last == "import" else b"A note."
    if path in PROXIED:
        said = [{"role": "user", "content": "What is the code word?"}]
        return json.dumps({"model": "m", "messages": said, "input": said}).encode() if method == "post" else None
    if "requestBody" not in operation:
        return None
    known: dict[str, Any] = {
        "cubes": {"content": "new"}, "{id}": {"content": "changed"}, "forget": {"query": "code word", "preview": False},
        "tasks/{name}": {"do": "add", "step": "new"}, "working/{name}": {"do": "add", "text": "new"},
        "archive": {"ids": [world.vault_id]}, "keys": {"name": "mine", "spaces": ["*"], "rights": list(RIGHTS)},
    }  # fmt: skip
    # ids of others where the example has words
    theirs = [world.vault_id]
    named = {"outcome": {"cases": theirs}, "answers": {"used": theirs}, "used": {"ids": theirs}}
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    body = known.get(last, known.get("/".join(path.rsplit("/", 2)[-2:]), example(schema, document)))
    return json.dumps(body | named.get(last, {})).encode()


def example(schema: Any, document: Any) -> Any:
    """Return a minimal value that a JSON schema allows."""
    if "$ref" in schema:
        return example(document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]], document)
    for name in ("anyOf", "oneOf", "allOf"):
        if name in schema:
            return example(schema[name][0], document)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type", "object")
    if kind == "object":
        fields = schema.get("properties", {})
        return {name: example(fields[name], document) for name in schema.get("required", ()) if name in fields}
    plain = {"string": "word", "integer": 1, "number": 1, "boolean": True, "null": None}
    return [example(schema.get("items", {}), document)] if kind == "array" else plain[kind]


# -- the run


def send(port: int, data: bytes, wait: float = WAIT) -> bytes:
    """Send bytes; return what comes back until the server closes or is silent for `wait` seconds."""
    found = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as line:
        with suppress(OSError):  # refused before all was sent: there may be a response
            line.sendall(data)
        with suppress(OSError):
            while part := line.recv(1 << 16):
                found += part
    return bytes(found)


def statuses(answer: bytes) -> list[int]:
    """Return the statuses of all responses in a stream."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def answered(world: World, routes: Iterable[Route], keys: KeyStore) -> int:
    """Return the number of routes that answer the same requests with a 2xx if the key is right."""
    count = 0
    for n, route in enumerate(routes):
        space = f"control-{n}"
        made = send(
            world.port, message("POST", f"/v1/spaces/{space}/cubes", world.admin, b'{"content": "The code word is x."}')
        )
        id = json.loads(made.partition(b"\r\n\r\n")[2])["cubes"][0]["id"]
        if "/keys/" in route.path:
            id = keys.add("spare", spaces=["x"], rights=["read"])[1].id
        body = route.body and route.body.replace(world.vault_id.encode(), id.encode())
        found = statuses(send(world.port, message(route.method, route.target(space, id), world.admin, body)))
        count += bool(found) and found[0] < 300
    return count


def measure(root: Path, *, thorough: bool = True) -> Report:
    """Attack a server of an empty root, and its proxy."""
    with echo() as (upstream, sent):
        server = Served(root, "--embedder", "hashing", "--upstream", upstream)
        world, report = furnish(root, server.port), Report()
        before = state_of(root)
        with server:
            with urllib.request.urlopen(f"{server.url}/openapi.json", timeout=WAIT) as answer:
                routes = routes_of(json.load(answer), world)
            report.routes = len(routes)
            for attack in dict.fromkeys(attacks(world, routes, thorough)):
                judge(attack, send(server.port, attack.data, WAIT if attack.whole else BRIEF), world, report)
        what = ("the vault", "the own space", "the spaces", "the keys")
        report.changed = [name for name, a, b in zip(what, before, state_of(root), strict=True) if a != b]
        secret = [word.encode() for word in (world.admin, world.mine, world.pattern, *world.bad.values())]
        hidden = [*secret, *(word.encode() for word in world.canaries)]
        for name, text in (("the log", b"".join(server.log)), ("what the upstream was sent", bytes(sent))):
            if any(word in text for word in hidden):
                report.changed.append(f"{name} contains a secret")
        with server, closing(KeyStore.under(root)) as keys:
            report.routes_answered_with_a_right_key = answered(world, routes, keys)
    return report


def judge(attack: Attack, answer: bytes, world: World, report: Report) -> None:
    """Count the result of an attack."""
    found = statuses(answer)
    report.attacks += 1
    report.by_kind[attack.kind] += 1
    report.statuses.update(map(str, found))
    report.unanswered += not found
    through = any(word.encode() in answer for word in world.canaries)
    through |= attack.strict and any(200 <= status < 300 for status in found)
    failed = any(status >= 500 for status in found)
    report.let_through += through
    report.server_errors += failed
    if through or failed:
        report.shown.append(f"{attack.kind}: {attack.data[:300]!r} -> {answer[:300]!r}")


@dataclass(frozen=True)
class Options:
    """Extent of the attack."""

    thorough: bool = True  # send every attack to every route


def table(result: Result) -> Rows:
    """Return the table of attacks."""
    lines: Rows = [[f"attacks on {result['routes']} routes", "count"]]
    lines += [[kind, f"{count:,}"] for kind, count in result["by_kind"].items()]
    return [*lines, ["all", f"{result['attacks']:,}"], ["let through", result["let_through"]],
            ["responses 5xx", result["server_errors"]], ["changes found afterwards", len(result["changed"])]]  # fmt: skip


def problem(result: Result) -> str | None:
    """Return what was let through, broken or changed."""
    found = [*result["changed"], *result["shown"]]
    return "\n".join(found) if found or result["let_through"] or result["server_errors"] else None


@benchmark(
    "serve-attack",
    help="Attacks on every route of a server, and what is let through.",
    options=Options,
    tables={"serve-attack": table},
    problem=problem,
    extra="serve",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Attack a server of an empty root."""
    with tempfile.TemporaryDirectory(prefix="mnemos-attack-") as root:
        return measure(Path(root), thorough=options.thorough).as_dict()

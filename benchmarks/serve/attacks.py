"""Attacks on a server, as raw bytes; `attack.py` sends them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

T = TypeVar("T")
PROXIED = {"/v1/chat/completions", "/v1/responses", "/v1/models"}  # routes that forward to the upstream
ROTATED = 3  # variants that each route gets when the run is not thorough


@dataclass(frozen=True)
class World:
    """The target: keys, ids and canaries. Every canary is where no attacker may look."""

    port: int
    admin: str
    mine: str
    pattern: str
    bad: dict[str, str]
    vault_id: str
    mine_id: str
    admin_key_id: str
    canaries: tuple[str, ...]


@dataclass(frozen=True)
class Route:
    """A route of the OpenAPI document, with a valid body."""

    method: str
    path: str
    body: bytes | None

    def target(self, space: str = "vault", id: str = "x") -> str:
        """Return the path with its parameters filled in, and those of the query that it cannot do without."""
        needed = "?name=note.txt" if self.path.endswith("/import/file") else ""
        return re.sub(r"\{\w+\}", id, self.path.replace("{space}", space)) + needed


@dataclass(frozen=True)
class Attack:
    """A message that must not be let through."""

    kind: str
    data: bytes
    strict: bool = True  # no response may be a 2xx; otherwise only canaries count
    whole: bool = True  # the message is complete, so that a response can be expected


def rotation(variants: Sequence[T], thorough: bool) -> Callable[[], Sequence[T]]:
    """Return a function that returns the variants for the next route: all, or the next three if not thorough."""
    cycle = itertools.cycle(variants)
    return lambda: variants if thorough else list(itertools.islice(cycle, ROTATED))


def message(
    method: str, target: str, token: str | None = None, body: bytes | None = None, *more: str, host: str | None = "127.0.0.1"
) -> bytes:  # fmt: skip
    """Return the bytes of a request; `more` are further lines of its head."""
    lines = [f"{method} {target} HTTP/1.1", *([] if host is None else [f"Host: {host}"]), "Connection: close"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if body is not None and not any(line.lower().startswith("content-length") for line in more):
        lines.append(f"Content-Length: {len(body)}")
    if body is not None and not any(line.lower().startswith("content-type") for line in more):
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, *more, "", ""]).encode("latin-1") + (body or b"")


def credentials(world: World, routes: list[Route], thorough: bool) -> Iterator[Attack]:
    """Yield requests without a valid key, or with one in the wrong place."""
    admin = world.admin
    heads = [
        [], ["Authorization:"], ["Authorization: Bearer"], [f"Authorization: {admin}"], [f"Authorization: Basic {admin}"],
        [f"Authorization: Bearer {admin} x"], [f"Authorization: Bearer {admin}, Bearer {admin}"],
        ["Authorization: Bearer x", f"Authorization: Bearer {admin}"], [f"Cookie: key={admin}; Authorization={admin}"],
        [f"X-Api-Key: {admin}", f"Proxy-Authorization: Bearer {admin}"], [f"Authorization : Bearer {admin}"],
        [f"Authorization: Bearer {admin.upper()}"], [f"Authorization: Bearer {admin[:20]}*"],
        ["Authorization: Bearer ' OR 1=1 --"], ["X-Forwarded-For: 127.0.0.1", "X-Original-URL: /health"],
        *([f"Authorization: Bearer {token}"] for token in world.bad.values()),
    ]  # fmt: skip
    queries = (f"?key={admin}", f"?access_token={admin}&token={admin}", "#/health", "?/health", ";/health")
    variants_of = rotation([("", head) for head in heads] + [(query, []) for query in queries], thorough)
    for route in routes:
        target = route.target(id=world.vault_id)
        for query, head in variants_of():
            yield Attack("credentials", message(route.method, target + query, None, route.body, *head))


NAMES = (
    "vault", "%76ault", "Vault", "vault%20", "%20vault", "vault.", "vault%00", "vault.mnemos", "vault%2F", "./vault",
    "%2e/vault", "mine/../vault", "mine%2F..%2Fvault", "mine%2F%2e%2e%2Fvault", "mine%5C..%5Cvault", "..", "%2e%2e",
    "../vault", "..%2Fvault", "%2e%2e%2fvault", "..%252Fvault", "%c0%ae%c0%ae%2fvault", "%ff", "%ed%a0%80", "mine%00",
    "mine%0a", "mine%7f", "mine%c2%85", "%2Fetc%2Fpasswd", "serve%2Fkeys.sqlite", "..%2Fserve", "*", "va?lt", "[v]ault",
    "mine%2F.", "mine%2F..", "mine%2F%2F..%2Fvault", "v%C3%A0ult", "%EF%BC%8E%EF%BC%8E%2Fvault", "a" * 5_000, "%", "%zz",
)  # fmt: skip


def names(world: World, routes: list[Route], thorough: bool) -> Iterator[Attack]:
    """Yield requests with a valid key for another's space, by its name or by a path to it."""
    variants_of = rotation(NAMES[1:], thorough)
    for route in routes:
        if "{space}" not in route.path:
            continue
        for name in ("vault", *variants_of()):
            for token in (world.mine, world.pattern):
                data = message(route.method, route.target(name, world.vault_id), token, route.body)
                yield Attack("spaces", data)


def ids(world: World, routes: list[Route], thorough: bool) -> Iterator[Attack]:
    """Yield requests to one's own space, or to no space, for what belongs to others."""
    other = world.vault_id
    places = (
        other, f"..%2F..%2Fvault%2Fcubes%2F{other}", f"../../vault/cubes/{other}", "%2e%2e", f"{other}%00", "*", "%25",
        "'%20OR%201=1%20--", "%ff", f"{world.mine_id}%2F..%2F{other}", "a" * 5_000, f"vault%3A{other}", "0", "-1", "1",
    )  # fmt: skip
    variants_of = rotation(places, thorough)
    for route in routes:
        strict = route.method != "GET"  # links of a missing cube are an empty list, with a 200
        if "{space}" not in route.path:  # create a key for all spaces, revoke another's, list spaces and keys
            yield Attack(
                "ids", message(route.method, route.target(id=world.admin_key_id), world.mine, route.body), strict
            )
        elif "{id}" in route.path:
            for place in (other, *variants_of()):
                yield Attack("ids", message(route.method, route.target("mine", place), world.mine, route.body), strict)
        elif route.body and other.encode() in route.body:
            yield Attack("ids", message(route.method, route.target("mine"), world.mine, route.body), False)
    for query in (
        f"cursor={2**62}",
        f"where={quote(json.dumps({'a': other}))}",
        "as_of=2999-01-01",
        "space=vault",
        "state=any",
    ):
        yield Attack("ids", message("GET", f"/v1/spaces/mine/cubes?{query}", world.mine), False)
    for more in ({"space": "vault"}, {"spaces": ["vault"]}, {"where": {"space": "vault"}}, {"session": "../vault"}):
        body = json.dumps({"query": "code word"} | more).encode()
        yield Attack("ids", message("POST", "/v1/spaces/mine/search", world.mine, body), False)


def bodies(world: World, routes: list[Route], thorough: bool) -> Iterator[Attack]:
    """Yield requests to one's own space that are malformed or too large."""
    deep = b"[" * 100_000
    broken = (
        b"{", b"[]", b'"x"', b"5", b"\xff\xfe", b"\x00", b'{"a":', b"{'a': 1}", deep, b'{"a":' * 50_000, b'{"\\ud800": 1',
        b'{"query": "\\ud800"', b"1e999999", b"-", b"NaN,", b'{"query": "a"} {"query": "b"}', b"\xef\xbb\xbf{",
    )  # fmt: skip
    variants_of = rotation(broken, thorough)
    for route in routes:
        target = route.target("mine", world.mine_id)
        if route.body is None or "import" in route.path:
            continue
        for body in variants_of():
            yield Attack("bodies", message(route.method, target, world.mine, body))
        for kind in ("text/plain", "application/xml", "multipart/form-data; boundary=x"):
            yield Attack(
                "bodies", message(route.method, target, world.mine, route.body or b"{}", f"Content-Type: {kind}")
            )
    lengths = rotation(("99999999999", "-1", "+5", "0x10", "1e3", "5 5", "5, 6", "", "\xb2"), thorough)
    for route in routes:
        for length in lengths():
            data = message(
                route.method, route.target("mine", world.mine_id), world.mine, b"{}", f"Content-Length: {length}"
            )
            yield Attack("bodies", data, whole=False)
    big = json.dumps({"content": "x" * (9 << 20)}).encode()
    yield Attack("bodies", message("POST", "/v1/spaces/mine/cubes", world.mine, big))
    lump = b"%x\r\n%b\r\n" % (len(big), big) + b"0\r\n\r\n"
    head = message("POST", "/v1/spaces/mine/cubes", world.mine, None, "Transfer-Encoding: chunked")
    yield Attack("bodies", head + lump)
    for target in ("/" + "a" * 100_000, "/v1/spaces?" + "a=b&" * 50_000):
        yield Attack("bodies", message("GET", target))
    for more in ([f"X-{i}: y" for i in range(20_000)], ["X: " + "y" * 200_000]):
        yield Attack("bodies", message("GET", "/v1/spaces", None, None, *more))


def sources(world: World, routes: list[Route], thorough: bool) -> Iterator[Attack]:
    """Yield requests with the right key but a foreign host name, or from a page of another site."""
    port = world.port
    hosts: tuple[str | None, ...] = (
        None, "", "evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "0.0.0.0",
        "localhost.evil.example", "127.0.0.1, evil.example", "127.0.0.2", "[::ffff:127.0.0.1]", "127.1", "2130706433",
    )  # fmt: skip
    heads = (
        ("Origin: https://evil.example",), ("Origin: null",), ("Origin: http://127.0.0.1:1",), ("Sec-Fetch-Site: cross-site",),
        ("Sec-Fetch-Site: same-site",), ("Origin: http://127.0.0.1@evil.example",), ("Origin: file://",), ("Origin: ",),
        ("Host: evil.example",), ("Host: 127.0.0.1",), ("Origin: http://127.0.0.1", "Origin: https://evil.example"),
    )  # fmt: skip
    variants: list[tuple[str | None, tuple[str, ...]]] = [(host, ()) for host in hosts]
    variants += [("127.0.0.1", head) for head in heads]
    variants += [("evil.example", ("X-Forwarded-Host: 127.0.0.1", "Forwarded: host=127.0.0.1"))]
    variants_of = rotation(variants, thorough)
    for route in routes:
        for host, more in variants_of():
            data = message(route.method, route.target(id=world.vault_id), world.admin, route.body, *more, host=host)
            yield Attack("sources", data)


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "QUERY")


def methods(world: World, routes: list[Route], thorough: bool) -> Iterator[Attack]:
    """Yield methods that a route does not support, and headers that override the method."""
    supported: dict[str, set[str]] = {}
    for route in routes:
        supported.setdefault(route.path, set()).add(route.method)
    variants_of = rotation(METHODS, thorough)
    for path, its in supported.items():
        target = Route("", path, None).target("mine", world.mine_id)
        for method in variants_of():
            if method not in its:
                yield Attack("methods", message(method, target, world.mine, b"{}"))
        for method in its:
            more = ("X-HTTP-Method-Override: GET", "X-Method-Override: GET", "X-HTTP-Method: GET")
            yield Attack("methods", message(method, Route("", path, None).target(), None, None, *more))


def smuggled(world: World) -> Iterator[Attack]:
    """Yield messages that two parsers would read differently, with a hidden request without a key or with a wrong one."""
    vault = "/v1/spaces/vault/cubes"
    hidden = message("GET", vault) + message("GET", vault, world.mine)
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(hidden), hidden)
    heads = (
        ("Content-Length: 4", "Transfer-Encoding: chunked"), ("Transfer-Encoding: chunked", "Content-Length: 4"),
        ("Transfer-Encoding: xchunked",), ("Transfer-Encoding : chunked",), ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: identity, chunked",), ("Transfer-Encoding: chunked", "Transfer-Encoding: x"),
        ("Transfer-Encoding:\tchunked",), ("Transfer-Encoding: \x0bchunked",), ("X: y\r\n Transfer-Encoding: chunked",),
        ("Content-Length: 0", f"Content-Length: {len(hidden)}"), (f"Content-Length: {len(hidden)}", "Content-Length: 0"),
        ("Content-Length: 0",), ("Content-Length: 0, 0",), ("Content-Length: 00",), ("Content_Length: 5",), ("X: \0",),
        ("X\0: y",),
        ("X: y\nZ: z",), ("X: y\rZ: z",), (": y",), ("X",), ("Expect: 100-continue", "Content-Length: 5"),
        ("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings"), ("Upgrade: websocket", "Sec-WebSocket-Key: x"),
        ("Connection: close, Authorization",), ("Connection: keep-alive",), ("Content-Encoding: gzip",),
    )  # fmt: skip
    for head, body in itertools.product(heads, (hidden, chunk)):
        lines = [
            "POST /v1/spaces/vault/search HTTP/1.1",
            "Host: 127.0.0.1",
            f"Authorization: Bearer {world.mine}",
            *head,
        ]
        yield Attack("smuggling", "\r\n".join([*lines, "", ""]).encode("latin-1") + body, whole=False)
    sizes = (b"FFFFFFFFFFFFFFFFFF", b"-1", b"0x5", b"5;" + b"a" * 70_000, b"", b" 5", b"5 ", b"+5", b"5\r\r\n")
    start = message("POST", "/v1/spaces/vault/search", world.mine, None, "Transfer-Encoding: chunked")
    for size in sizes:
        yield Attack("smuggling", start + size + b"\r\nhello\r\n0\r\n\r\n" + hidden, whole=False)
    bearer = f"Authorization: Bearer {world.mine}\r\n".encode()
    raw = (
        b"GET " + vault.encode() + b"\r\n", b"GET " + vault.encode() + b" HTTP/0.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET " + vault.encode() + b" HTTP/1.0\r\n\r\n", b"GET http://127.0.0.1" + vault.encode() + b" HTTP/1.1\r\n\r\n",
        b"GET http://evil.example" + vault.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n" + bearer + b"\r\n", b"\x16\x03\x01\x02",
        b"GET //v1/spaces/vault/cubes HTTP/1.1\r\nHost: 127.0.0.1\r\n" + bearer + b"\r\n", b"\r\n\r\n\r\n", b"\0" * 100,
        b"GET /health/../v1/spaces/vault/cubes HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"A" * 100_000,
        b"GET /page/../v1/spaces/vault/cubes HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /page/%2e%2e/%2e%2e/serve/keys.sqlite HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /page/..%2f..%2fserve/keys.sqlite HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET " + vault.encode() + b" HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n", b"GET " + vault.encode() + b"\0 HTTP/1.1\r\n\r\n",
    )  # fmt: skip
    for data in raw:
        yield Attack("smuggling", data, whole=False)


def proxied(world: World, routes: list[Route], thorough: bool) -> Iterator[Attack]:
    """Yield chats that ask for another space's memory. The chat itself continues with a 2xx, so only canaries count."""
    heads: list[tuple[str, ...]] = [
        (f"X-Mnemos-Space: {name}", f"X-Mnemos-Mode: {mode}", *more)
        for name in NAMES for mode in ("read", "read-write") for more in ((), ("X-Mnemos-Session: vault",))
    ]  # fmt: skip
    heads += [
        ("X-Mnemos-Space: mine", "X-Mnemos-Space: vault", "X-Mnemos-Mode: read"),
        ("X-Mnemos-Mode: read", "X-Mnemos-Space: mine,vault"),
        ("X-Mnemos-Mode: admin", "X-Mnemos-Space: vault"), ("X-Mnemos-Tokens: 99999999", "X-Mnemos-Space: vault"),
        ("X-Mnemos-Tokens: -1", "X-Mnemos-Space: vault"), (f"X-Mnemos-Space: {'a' * 60_000}",), ("X-Mnemos-Space: \xff\xfe",),
    ]  # fmt: skip
    variants_of = rotation(heads, thorough)
    for route in routes:
        for head in variants_of():
            yield Attack("proxy", message(route.method, route.path, world.mine, route.body, *head), strict=False)


def attacks(world: World, all_routes: list[Route], thorough: bool) -> Iterator[Attack]:
    """Yield all attacks. If not thorough, each route gets only a few of the variants, in rotation."""
    routes = [route for route in all_routes if route.path not in PROXIED]
    chats = [route for route in all_routes if route.path in PROXIED]
    yield from credentials(world, all_routes, thorough)
    yield from proxied(world, chats, thorough)
    yield from names(world, routes, thorough)
    yield from ids(world, routes, thorough)
    yield from bodies(world, routes, thorough)
    yield from sources(world, all_routes, thorough)
    yield from methods(world, all_routes, thorough)
    yield from smuggled(world)

"""No input gives a status of 5xx: requests generated from the OpenAPI description, with hostile values, the same each time."""

import json
import random
from urllib.parse import quote

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")

from tests.nested import paths, replaced
from tests.serve.apps import App

NESTED = json.loads("[" * 200 + "1" + "]" * 200)
MANY = {f"k{i}": i for i in range(5_000)}
ODD = [
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, 10**400, 0.5, -0.0, 1e308, 5e-324,
    float("nan"), float("inf"), float("-inf"), "", " ", "\0", "a\0b", "\ud800", "\udfff\ud800", "é", "\u202e", "İ", "ß", "𝔸",
    "a" * 1_001, "x" * 70_000, "%", "%s", "' OR 1=1 --", "../..", "null", "NaN", "1e999", "0x10", "１２", "٣",
    "2024-02-30", "0000-01-01", "9999-12-31T23:59:59+14:00", "0001-01-01T00:00:00-14:00", "2024-01-01T25:00", "-1", "now", "P1D",
    "Mars/Base", "Europe/Lisbon", "\n", "*", "[", "(", "\\", "{}", "[]", '{"a": 1}', [], [None], [[]], [1, "a", None],
    ["a"] * 3_000, {}, {"": ""}, {"a": None}, {"a": {"$gt": {}}}, {"$or": []}, {"$nope": 1}, {"a": {"$regex": "(a+)+$"}},
    {"a.b.c": 1}, {"a\0": 1}, {"\ud800": 1}, {"a": 10**400}, {"a": float("nan")}, MANY, NESTED, {"a": NESTED},
    {"$and": [{"a": {"$in": list(range(2_000))}}] * 3}, {"$not": {"$not": {"$not": {}}}},
]  # fmt: skip
DEEP = (
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"query": ' + b"[" * 3_000 + b"]" * 3_000 + b"}",
    b"\xff\xfe",
    b'"',
    b"",
    b"nul",
)


def schema_of(described, schema):
    while "$ref" in schema:
        schema = described["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


class Maker:
    """Makes values that fit a schema, and with some chance values that do not."""

    def __init__(self, described, seed):
        self.described, self.random = described, random.Random(seed)

    def value(self, schema, odd=0.25):
        schema = schema_of(self.described, schema)
        if self.random.random() < odd:
            return self.random.choice(ODD)
        if "default" in schema and self.random.random() < 0.3:
            return schema["default"]
        if choices := schema.get("anyOf") or schema.get("oneOf"):
            return self.value(self.random.choice(choices), 0)
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        kind = schema.get("type")
        kind = self.random.choice(kind) if isinstance(kind, list) else kind
        if kind == "object" or "properties" in schema:
            wanted = [n for n in schema.get("properties", {}) if self.random.random() < 0.4]
            wanted = {*wanted, *(n for n in schema.get("required", ()) if self.random.random() < 0.95)}
            return {n: self.value(schema["properties"][n]) for n in sorted(wanted)}
        if kind == "array":
            return [self.value(schema.get("items", {})) for _ in range(self.random.randrange(3))]
        return {
            "integer": lambda: self.random.choice([1, 2, 50]), "number": lambda: self.random.choice([0.5, 1, 1e9]),
            "boolean": lambda: self.random.random() < 0.5, "null": lambda: None,
        }.get(kind, lambda: self.random.choice(["known", "figs", "ana", "2024-03-01", "x"]))()  # fmt: skip


def to_query(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return quote(text[:4_000], safe="", errors="replace")


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """A server that goes on after a defect, with all rights and a few memories."""
    with App(tmp_path_factory.mktemp("generated") / "root") as app:
        client = app.client(raise_server_exceptions=False)
        client.post("/v1/spaces/ana/cubes", json={"content": "I like figs.", "id": "known", "speaker": "Ana"})
        client.post(
            "/v1/spaces/ana/cubes", json={"content": "I live in Porto.", "speaker": "Ana", "metadata": {"a": 1}}
        )
        app.http, app.described = client, app.app.openapi()
        yield app


def operations(described):
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if not path.endswith("/import") and path not in ("/health", "/ready", "/v1/keys/{id}"):
                yield method.upper(), path, operation


def send(app, make, method, path, operation):
    """Send one generated request; return the response."""
    for name in ("space", "id", "name"):
        value = make.random.choice(["ana", "known"]) if make.random.random() < 0.8 else str(make.random.choice(ODD))
        path = path.replace(
            "{" + name + "}", to_query(value if name == "id" else value.replace("known", "ana")) or "%20"
        )
    given = [p for p in operation.get("parameters", ()) if p["in"] == "query" and make.random.random() < 0.5]
    query = "&".join(f"{p['name']}={to_query(make.value(p['schema'], 0.5))}" for p in given)
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    headers = {"Content-Type": "application/json"} if body else {}
    content = None
    if body:
        content = (
            json.dumps(make.value(body, 0.03)).encode() if make.random.random() < 0.97 else make.random.choice(DEEP)
        )
    if make.random.random() < 0.2:
        headers["Idempotency-Key"] = make.random.choice(["k", "%00", "x" * 300, "1"])
    return app.http.request(method, path + (f"?{query}" if query else ""), content=content, headers=headers)


@pytest.mark.parametrize("seed", range(4))
def test_no_generated_request_gives_a_server_error(app, seed):
    make = Maker(app.described, seed)
    for method, path, operation in operations(app.described):
        for _ in range(4):
            answer = send(app, make, method, path, operation)
            request = answer.request
            assert answer.status_code < 500, (
                method,
                str(request.url)[:300],
                request.content[:2_000],
                answer.text[:500],
            )
            assert answer.status_code < 300 or answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
def test_no_odd_value_in_a_question_gives_a_server_error(app, value):
    answers = []
    for field in (
        "query",
        "k",
        "where",
        "since",
        "session",
        "as_of",
        "state",
        "method",
        "asked_at",
        "timezone",
        "kind",
    ):
        body = {"query": "figs", field: value}
        answers.append(
            app.http.post(
                "/v1/spaces/ana/search", content=json.dumps(body), headers={"Content-Type": "application/json"}
            )
        )
    for field in ("content", "id", "at", "metadata", "role", "source", "timezone", "speaker"):
        body = {"content": "a", field: value}
        answers.append(
            app.http.post(
                "/v1/spaces/odd/cubes", content=json.dumps(body), headers={"Content-Type": "application/json"}
            )
        )
    for field in ("where", "since", "cursor", "limit"):
        answers.append(app.http.get(f"/v1/spaces/ana/cubes?{field}={to_query(value)}"))
    assert [(a.status_code, a.request.content[:300]) for a in answers if a.status_code >= 500] == []


@pytest.mark.parametrize("seed", range(2))
def test_no_odd_record_of_an_import_gives_a_server_error(app, seed):
    app.http.post("/v1/spaces/source/cubes", json={"content": "I live in Porto.", "speaker": "Ana", "id": "one"})
    app.http.post(
        "/v1/spaces/source/cubes", json={"content": "I moved to Faro.", "speaker": "Ana", "metadata": {"n": [1]}}
    )
    records = [json.loads(line) for line in app.http.get("/v1/spaces/source/export").text.splitlines()]
    pick = random.Random(seed)
    for record in records:
        for at in paths(record):
            value = pick.choice(ODD)
            lines = json.dumps(replaced(record, at, value)) + "\n" + json.dumps(records[0])
            answer = app.http.post(f"/v1/spaces/target{pick.randrange(3)}/import", content=lines)
            assert answer.status_code < 500, (at, repr(value)[:200], answer.text[:500])
    assert app.http.post("/v1/spaces/source/search", json={"query": "Porto"}).status_code == 200
    for space in app.memory.spaces():
        assert app.http.get(f"/v1/spaces/{quote(space, safe='')}/export").status_code == 200


@pytest.mark.parametrize(
    ("at", "value"),
    [(("links", 0, "b"), "\ud800"), (("links", 0, "b"), ""), (("links", 0, "weight"), 10**400),
     (("facts", 0, "ended_by"), "\udfff"),
     (("cube", "strength"), 10**400), (("cube", "id"), ""), (("cube", "metadata"), {"a": float("nan")}), (("versions",), None)],
)  # fmt: skip
def test_an_odd_record_is_refused_and_nothing_is_stored(client, at, value):
    for text in ("I live in Porto.", "I moved to Faro."):
        client.post("/v1/spaces/source/cubes", json={"content": text, "speaker": "Ana"})
    client.post("/v1/spaces/source/consolidate", json={})
    records = [json.loads(line) for line in client.get("/v1/spaces/source/export").text.splitlines()]
    record = next(r for r in records if r.get("links") and r.get("facts"))
    lines = [json.dumps(r) for r in (*records, replaced(record, at, value))]
    answer = client.post("/v1/spaces/target/import", content="\n".join(lines))
    assert answer.status_code == 422
    assert client.get("/v1/spaces/target/cubes").json()["items"] == []

"""The log: one line per request, errors with their location, and nothing that was sent."""

import http.server
import io
import json
import logging
import secrets
import sys
import threading
import urllib.error
import urllib.request
from functools import partial

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
pytest.importorskip("uvicorn", reason="needs mnemos-os[serve]")


from mnemos import Mnemos
from mnemos.serve import logs
from mnemos.serve.keys import RIGHTS

URL = "http://127.0.0.1"
CANARY = "canary"


@pytest.fixture
def app(server):
    """A client with all rights, and its key."""
    token, key = server.keys.add("test", spaces=["*"], rights=RIGHTS)
    return server.client(token=token, raise_server_exceptions=False), key


def logged(form, level, act):
    """Return the lines logged during a call of `act`."""
    stream, before = io.StringIO(), sys.stderr
    sys.stderr = stream
    try:
        with logs.logging_to_stderr(form, level):
            act()
    finally:
        sys.stderr = before
    return stream.getvalue().splitlines()


def test_a_request_is_one_line_with_its_route_its_key_and_its_id(app):
    client, key = app
    answers = []
    [line] = logged(
        "json", "info",
        lambda: answers.append(client.get("/v1/spaces/nobody/cubes/c1", headers={"X-Request-Id": "abc-1"})),
    )  # fmt: skip
    data = json.loads(line)
    assert (data["method"], data["route"], data["status"]) == ("GET", "/v1/spaces/{space}/cubes/{id}", 404)
    assert (data["key"], data["request"], data["level"], data["logger"]) == (key.id, "abc-1", "info", "mnemos.access")
    assert 0 <= data["ms"] < 60_000
    assert answers[0].headers["X-Request-Id"] == "abc-1"
    [text] = logged("text", "info", lambda: client.get("/v1/spaces", headers={"X-Request-Id": "abc-2"}))
    assert "mnemos.access: GET /v1/spaces 200" in text
    assert text.endswith(f"key={key.id} request=abc-2")


@pytest.mark.parametrize(
    "bad", ["", "a b", "x" * 65, "mnk_aaaaaaaa_" + "A" * 43, "line\tbreak", "<script>", "a;b", "%0a", "Xmnk_x"]
)
def test_an_id_that_could_do_harm_is_replaced(app, bad):
    client, _ = app
    lines = logged("text", "debug", lambda: client.get("/health", headers={"X-Request-Id": bad}))
    given = client.get("/health", headers={"X-Request-Id": bad}).headers["X-Request-Id"]
    assert len(given) == 16
    assert int(given, 16) >= 0
    assert len(lines) == 1
    assert not bad or bad not in lines[0]


def test_levels_say_what_is_logged(app):
    client, _ = app
    assert logged("json", "warning", lambda: client.get("/v1/spaces")) == []
    assert logged("json", "info", lambda: client.get("/health")) == []  # load balancers ask every second
    [line] = logged("json", "debug", lambda: client.get("/health"))
    assert json.loads(line)["level"] == "debug"


def test_what_was_set_up_before_comes_back():
    root, ours = logging.getLogger(), logging.getLogger("mnemos")
    before = (root.handlers[:], root.level, ours.level)
    logged("json", "debug", lambda: None)
    assert (root.handlers, root.level, ours.level) == before


def test_libraries_do_not_log_addresses(app):
    def act():
        logging.getLogger("httpx").info("HTTP Request: POST http://upstream/?q=%s", CANARY)
        logging.getLogger("httpx").debug(CANARY)

    assert logged("text", "debug", act) == []


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_defect_is_logged_with_its_place_and_without_its_message(app, monkeypatch, form):
    client, _ = app

    def fails(*args, **options):
        try:
            raise KeyError(CANARY)
        except KeyError as error:
            raise ZeroDivisionError(f"{CANARY} quoted") from error

    monkeypatch.setattr(Mnemos, "spaces", fails)
    lines = logged(form, "error", lambda: client.get("/v1/spaces"))
    text = "\n".join(lines)
    assert CANARY not in text
    assert "ZeroDivisionError" in text
    assert "KeyError" in text
    assert "in fails" in text
    if form == "json":
        defect, request = map(json.loads, lines)
        assert defect["traceback"].startswith("ZeroDivisionError\n")
        assert defect["request"] == request["request"]
        assert (defect["level"], request["level"], request["status"]) == ("error", "error", 500)


def test_what_sqlite_quotes_is_not_logged(app, monkeypatch):
    from mnemos.errors import StoreError

    client, _ = app

    def fails(*args, **options):
        raise StoreError(f'/data/x.mnemos: fts5: syntax error near "{CANARY}"; see /data')

    monkeypatch.setattr(Mnemos, "spaces", fails)
    lines = logged("text", "error", lambda: client.get("/v1/spaces"))
    assert "StoreError: /data/x.mnemos: fts5: syntax error near (…); see /data" in lines[0].replace("\\u2026", "…")
    assert CANARY not in "\n".join(lines)


@pytest.mark.parametrize("form", ["text", "json"])
def test_errors_that_libraries_log_come_without_their_messages(form, monkeypatch, request):
    for name in ("uvicorn", "uvicorn.error"):  # other tests run uvicorn with a log of its own, or without one
        logger = logging.getLogger(name)
        monkeypatch.setattr(logger, "propagate", True)
        monkeypatch.setattr(logger, "disabled", False)
        request.addfinalizer(partial(logger.setLevel, logger.level))
        logger.setLevel(logging.NOTSET)

    def act():
        try:
            raise ExceptionGroup(CANARY, [ValueError(CANARY)])
        except ExceptionGroup:
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
        logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: <ValueError('%s')>", CANARY)

    text = "\n".join(logged(form, "warning", act))
    assert CANARY not in text
    assert "Exception in ASGI application" in text
    assert "ExceptionGroup" in text
    assert "ValueError" in text
    assert "Task exception was never retrieved" in text


def test_a_line_of_text_cannot_be_forged():
    [line] = logged("text", "info", lambda: logs.log.warning("a\nb \x1b[31m\u202e\u2028c"))
    assert line.endswith("a b \\x1b[31m\\u202e c")


# -- a real process, with canaries everywhere


class Upstream(http.server.BaseHTTPRequestHandler):
    """An API that answers with an error that quotes, or that breaks off."""

    keys = []

    def do_POST(self):
        self.keys.append(self.headers["Authorization"])
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if b"break-off" in body:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"CANARY-upstream-partial")
            return
        self.send_response(500)
        self.end_headers()
        self.wfile.write(b'{"error": {"message": "CANARY-upstream-error"}}')

    def log_message(self, *args):
        pass


@pytest.fixture
def upstream():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def send(url, body=None, method=None, **headers):
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **headers}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except (http.client.IncompleteRead, urllib.error.URLError, OSError) as error:
        return 0, repr(error).encode()


@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_that_is_sent_is_in_the_log(start, upstream, form):
    secret = "sk-CANARY-" + secrets.token_hex(8)
    server = start(
        "--log-format", form, "--log-level", "debug", "--upstream", upstream, MNEMOS_UPSTREAM_KEY=secret,
        OPENAI_API_KEY="CANARY-openai",
    )  # fmt: skip
    mine = {"Authorization": f"Bearer {server.key}"}
    base = f"{server.url}/v1/spaces/CANARY-space"
    assert send(f"{base}/cubes", {"content": "CANARY-memory lives in Faro", "speaker": "CANARY-who"}, **mine)[0] == 201
    assert send(f"{base}/search", {"query": 'CANARY-search "x" AND ('}, **mine)[0] == 200
    assert send(f"{base}/search?q=CANARY-query", {"query": "CANARY-search"}, **mine)[0] == 422
    sent = [
        send(f"{base}/cubes", b'{"content": CANARY-broken', **mine),
        send(f"{base}/cubes", {"CANARY-field": 1}, **mine),
        send(f"{base}/cubes/CANARY-id", **mine),
        send(f"{base}/cubes/CANARY-id", {"content": "CANARY"}, method="PATCH", **mine),
        send(f"{base}/forget", {"query": "CANARY-forget", "preview": True}, **mine),
        send(f"{base}/import", b"CANARY-import\n", **mine),
        send(f"{server.url}/CANARY-path/%0aCANARY-line?CANARY=1", **mine),
        send(f"{server.url}/v1/spaces", Authorization="Bearer mnk_CANARY-wrong"),
        send(f"{server.url}/v1/spaces", **{**mine, "X-Request-Id": "CANARY id", "User-Agent": "CANARY-agent"}),
        send(f"{server.url}/v1/spaces", **mine, Host="CANARY-host"),
        send(f"{server.url}/v1/spaces", **mine, Origin="http://CANARY-origin"),
        send(f"{base}/cubes", {"content": "x"}, **mine, **{"Idempotency-Key": "CANARY-idem"}),
        send(f"{base}/cubes", {"content": "y"}, **mine, **{"Idempotency-Key": "CANARY-idem"}),
        *(
            send(
                f"{server.url}/v1/chat/completions?CANARY=q", {"model": "m", "messages": [{"role": "user", "content": text}]},
                **mine, **{"X-Mnemos-Space": "CANARY-space", "X-Mnemos-Session": "CANARY-session"},
            )
            for text in ("CANARY-chat", "break-off CANARY-chat")
        ),
    ]  # fmt: skip
    statuses = [status for status, _ in sent]
    assert set(statuses) >= {0, 200, 201, 401, 403, 404, 409, 421, 422, 500}
    assert server.end() == 0
    log = server.log
    assert "canary" not in log.lower()
    assert "mnk_" not in log
    assert "Faro" not in log
    assert "the upstream broke off" in log
    order = [log.index(word) for word in ("serving", "/v1/spaces/{space}/search", "stopping: SIGTERM", "stopped")]
    assert order == sorted(order)
    if form == "json":
        requests = [data for line in server.lines[:-1] if (data := json.loads(line))["logger"] == "mnemos.access"]
        assert len(requests) == 3 + len(sent)
        assert len({data["request"] for data in requests}) == len(requests)


def test_the_key_of_the_upstream_may_come_from_a_file(start, upstream, tmp_path):
    (tmp_path / "key").write_text("sk-from-a-file\n")
    server = start("--upstream", upstream, MNEMOS_UPSTREAM_KEY_FILE=str(tmp_path / "key"))
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    send(f"{server.url}/v1/chat/completions", body, Authorization=f"Bearer {server.key}")
    assert Upstream.keys[-1] == "Bearer sk-from-a-file"

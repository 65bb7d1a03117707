"""The page's files: served without a key, not to pages of other sites, and no other files."""

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")

from starlette.testclient import TestClient

from mnemos.serve import static
from mnemos.serve.limits import ServerLimits
from tests.serve.apps import URL, App

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FILES = {
    "index.html": ("<!doctype html><p>é", "text/html; charset=utf-8"),
    "app.js": ("export const a = 1;", "text/javascript; charset=utf-8"),
    "base.css": ("p {}", "text/css; charset=utf-8"),
    "icon.svg": ("<svg/>", "image/svg+xml"),
    "vendor/lib.js": ("1", "text/javascript; charset=utf-8"),
}


@pytest.fixture
def app(tmp_path, monkeypatch):
    folder = tmp_path / "page"
    for name, (text, _) in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "__init__.py").write_text("secret = 1")
    (tmp_path / "app.py").write_text("secret = 2")
    monkeypatch.setattr(static.load, "__defaults__", (folder,))
    with App(tmp_path / "root", limits=ServerLimits(hosts=("memory.lan",), rate=0.01, burst=30)) as server:
        yield server.app


@pytest.fixture
def bare(app):
    return TestClient(app, URL, follow_redirects=False)


@pytest.mark.parametrize("name", FILES)
def test_a_file_comes_without_a_key_with_its_type_and_the_headers_of_a_page(bare, name):
    text, kind = FILES[name]
    answer = bare.get("/page/" + name)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, text.encode(), kind)
    assert answer.headers["content-security-policy"] == CSP
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    head = bare.head("/page/" + name)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", answer.headers["etag"])


def test_the_root_leads_to_the_page(bare):
    answer = bare.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/page/")
    assert bare.get("/page/").content == bare.get("/page/index.html").content == FILES["index.html"][0].encode()


def test_a_file_that_one_has_is_not_sent_again(bare):
    tag = bare.get("/page/app.js").headers["etag"]
    for sent in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        answer = bare.get("/page/app.js", headers={"If-None-Match": sent})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
        assert answer.headers["content-security-policy"] == CSP
    assert bare.get("/page/app.js", headers={"If-None-Match": '"other"'}).status_code == 200
    assert bare.get("/page/base.css").headers["etag"] != tag


@pytest.mark.parametrize(
    "path",
    ["../app.py", "..%2Fapp.py", "%2e%2e/app.py", "%2e%2e%2fapp.py", "..%5Capp.py", "%252e%252e/app.py", "/app.py",
     "//etc/passwd", "%2Fetc%2Fpasswd", "./app.js", "vendor/../app.js", "vendor", "vendor/", "__init__.py", "app.js/",
     "app.js%00", "APP.JS", ".", "..", "C:%5Cx", "index.html%20", "~root", "*", "%ff"],
)  # fmt: skip
def test_no_other_file_is_ever_served(app, path):
    sent = []

    async def run():
        scope = {
            "type": "http", "method": "GET", "path": "/page/" + path, "raw_path": ("/page/" + path).encode(), "query_string": b"",
            "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "scheme": "http", "server": ("127.0.0.1", 1),
            "http_version": "1.1",
        }  # fmt: skip

        async def send(message):
            sent.append(message)

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        await app(scope, receive, send)

    import anyio

    anyio.run(run)  # not through a client, which would tidy the path up
    assert sent[0]["status"] == 404
    assert b"secret" not in b"".join(m.get("body", b"") for m in sent)


@pytest.mark.parametrize(
    "path", ["/page", "/pagex/app.js", "/v1/spaces", "/metrics", "/index.html", "//", "/page%2Fapp.js"]
)
def test_everything_else_needs_a_key(bare, path):
    answer = bare.get(URL + path)
    assert answer.status_code == 401
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Host": "evil.example"}, 421), ({"Origin": "https://evil.example"}, 403), ({"Sec-Fetch-Site": "cross-site"}, 403),
     ({"Host": "memory.lan"}, 200), ({"Origin": URL, "Sec-Fetch-Site": "same-origin"}, 200)],
)  # fmt: skip
def test_hosts_and_origins_hold_for_the_page_too(bare, headers, status):
    assert bare.get("/page/", headers=headers).status_code == status


def test_too_many_requests_for_the_page_wait(bare):
    statuses = [bare.get("/page/app.js").status_code for _ in range(32)]
    assert (statuses[0], statuses[-1]) == (200, 429)


def test_the_page_is_only_read(bare):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert bare.request(method, "/page/app.js").status_code == 405


def test_the_packaged_page_is_there_and_of_known_types():
    files = static.load()
    assert files["index.html"].type == "text/html; charset=utf-8"
    for name, file in files.items():
        if name.endswith(".html"):
            text = file.data.decode("utf-8")
            assert "http://" not in text.replace("http://www.w3.org", "")
            assert "https://" not in text
            assert " style=" not in text  # which the policy would not apply
            assert " onclick=" not in text

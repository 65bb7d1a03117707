"""A browser that looks at a real server: Debian's Chromium, driven by playwright."""

import json
import shutil
import socket
import threading
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
"""
RIGHTS = ("read", "write", "erase", "admin")
START = datetime(2024, 1, 10, 9, tzinfo=UTC)


class Site:
    """A server in a thread of this process, its memory and its keys. `clock.now` is the time of the memory."""

    def __init__(self, root):
        import uvicorn

        from mnemos import Mnemos
        from mnemos.serve.app import create_app
        from mnemos.serve.keys import KeyStore

        self.now = START
        self.memory = Mnemos(root, embedder="none", clock=lambda: self.now)
        self.keys = KeyStore.under(root)
        self.own = self.key()
        self.app = create_app(self.memory, self.keys)
        self.port = 0
        self._uvicorn = uvicorn
        self.start()

    def start(self):
        config = self._uvicorn.Config(
            self.app, port=self.port, log_level="warning", lifespan="off", ws="none", timeout_graceful_shutdown=1
        )
        self.server = self._uvicorn.Server(config)
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]})
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def stop(self):
        self.server.should_exit = True
        self.thread.join(20)

    def close(self):
        self.stop()
        self.memory.close()
        self.app.state.idempotency.close()
        self.keys.close()

    def key(self, rights=RIGHTS, spaces=("*",), name="tester", **more):
        return self.keys.add(name, spaces=spaces, rights=rights, **more)[0]

    def ask(self, method, path, body=None):
        """Return what the API answers to a key that may do everything."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.own}", "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers, method=method)) as answer:
            return json.load(answer)

    def fill(self, name, count=0):
        """Make a space: a few days of Ana and Bo, with a changed fact, a version, links; or `count` plain memories."""
        space = self.memory.space(name)
        if count:
            space.add_many(
                [{"content": f"Plain memory number {i}.", "at": START - timedelta(hours=i)} for i in range(count)],
                reconcile=False,
            )
            return space
        told = (
            ("I live in Porto.", "Ana", 0), ("My sister Rita has a dog called Fado.", "Ana", 3), ("What does Fado eat?", "Bo", 3),
            ("Fado eats sardines, whatever the vet says.", "Ana", 3), ("I live in Faro now.", "Ana", 40),
            ("Rita and Fado came to Faro by train.", "Ana", 75),
        )  # fmt: skip
        for text, speaker, day in told:
            self.now = START + timedelta(days=day)
            space.add(text, speaker=speaker, session=f"day {day}", at=self.now)
        return space


@pytest.fixture(scope="module")  # no longer: while it lives, no other test of the process can run an event loop
def browser():
    sync = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(browser, tmp_path_factory):
    for name in ("fastapi", "uvicorn"):
        pytest.importorskip(name, reason="needs mnemos[serve]")
    site = Site(tmp_path_factory.mktemp("root"))
    yield site
    site.close()


class Visit:
    """A tab with a key in it; what it logs and what it asks the server for is kept."""

    def __init__(self, site, context):
        self.site = site
        self.context = context
        self.page = context.new_page()
        self.errors, self.asked, self.dialogs = [], [], []
        self.page.add_init_script(WATCH)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("request", lambda request: self.asked.append(request))
        self.page.on("dialog", self._dialog)
        self.page.set_default_timeout(10_000)

    def _dialog(self, dialog):
        self.dialogs.append(dialog.message)
        dialog.accept()

    def open(self, place="", token=None, filled=None):
        """Go to a view with a key, without the sign-in; `filled` is what the view calls itself when it is there."""
        key = json.dumps(token or self.site.key())
        once = f"if (!sessionStorage.seen) sessionStorage['mnemos.key'] = {key}; sessionStorage.seen = '1';"
        self.page.add_init_script(once)
        self.page.goto(f"{self.site.url}/page/{'#/' + place if place else ''}")
        if filled:
            self.wait(filled)
        return self.page

    def go(self, place, filled):
        self.page.evaluate("place => { location.hash = '#/' + place }", place)
        self.wait(filled)

    def wait(self, filled):
        self.page.wait_for_selector(f"body[data-filled={filled}]")

    def count(self, selector, number):
        """Wait until so many elements match."""
        from playwright.sync_api import expect

        expect(self.page.locator(selector)).to_have_count(number, timeout=10_000)

    def texts(self, selector):
        return [" ".join(text.split()) for text in self.page.locator(selector).all_inner_texts()]

    def ids(self, within="#main"):
        """Return the ids of the memories that a list shows."""
        links = self.page.locator(f"{within} a.open")
        return [link.get_attribute("href").split("/")[-1] for link in links.all()]

    def check(self):
        """Nothing went wrong that nobody saw."""
        assert self.dialogs == []
        assert self.page.evaluate("window.violations") == []
        assert [e for e in self.errors if "Failed to load resource" not in e] == []


@pytest.fixture
def visit(site, browser):
    """A tab; after the test it must have logged no error and no violation of the content security policy."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, locale="en-GB", timezone_id="UTC")
    visit = Visit(site, context)
    yield visit
    visit.check()
    context.close()


@pytest.fixture(scope="session")
def files():
    """The page's own files, without the libraries: name to text."""
    import mnemos.serve

    folder = Path(mnemos.serve.__file__).with_name("page")
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file() and "vendor" not in path.parts
    }

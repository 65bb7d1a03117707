"""A browser that visits a real server: Debian's Chromium, driven by playwright."""

import json
import shutil
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
        pytest.importorskip(name, reason="needs mnemos-os[serve]")
    from tests.serve.page.sites import Site

    site = Site(tmp_path_factory.mktemp("root"))
    yield site
    site.close()


class Visit:
    """A tab with a key; it records what the page logs and requests."""

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
        """Open a view with a key, without the sign-in; wait until it marks itself as `filled`."""
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
        """Wait until `number` elements match."""
        from playwright.sync_api import expect

        expect(self.page.locator(selector)).to_have_count(number, timeout=10_000)

    def texts(self, selector):
        return [" ".join(text.split()) for text in self.page.locator(selector).all_inner_texts()]

    def ids(self, within="#main"):
        """Return the ids of the memories that a list shows."""
        links = self.page.locator(f"{within} a.open")
        return [link.get_attribute("href").split("/")[-1] for link in links.all()]

    def check(self):
        """Assert that the page raised no error that no test saw."""
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

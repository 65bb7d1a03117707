"""Take the screenshots of the web page for docs/page.md, from a demo space behind a real server.

    pip install playwright; apt-get install chromium
    python tools/page_shots.py [FOLDER]

The space contains the synthetic conversation of `mnemos demo` and a few notes. Without FOLDER it writes to docs/.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mnemos import Mnemos
from mnemos.cli.demo import Clock, remember, story
from mnemos.serve.keys import RIGHTS, KeyStore
from mnemos.text.forget.policy import Policy

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDE: Any = {"width": 1280, "height": 860}
PHONE: Any = {"width": 390, "height": 844}
NOTE = "kiln-note"
VIEWS = (
    "cube", "timeline", "graph", "fading", "storage", "runs", "audit", "add", "edit", "forget", "keys", "spaces",
)  # fmt: skip
KEPT = {
    ("light", "search"): "search", ("light", "cube"): "cube", ("light", "timeline"): "timeline", ("dark", "graph"): "graph",
    ("phone", "search"): "phone",
}  # fmt: skip


def fill(root: Path) -> str:
    """Create the demo space, learned day by day, and keys; return the key with all rights."""
    clock = Clock()
    with Mnemos(root, clock=clock) as memory:
        space = memory.space("mira")
        remember(space, clock, story())
        for day, text in (("10-20", "My kiln is a second-hand Rohde."), ("10-28", "My kiln is a new Nabertherm.")):
            clock.now = datetime.fromisoformat(f"2025-{day}T09:00+01:00")
            space.add(text, speaker="Mira", session="notes", at=clock.now)
        space.pin(space.cubes(limit=1).items[0].id)
        clock.now = datetime.now(UTC) - timedelta(days=2)
        text = "The glaze kiln runs at 1,220 degrees."
        space.add_many(
            [{"id": NOTE, "content": text, "speaker": "Mira", "session": "notes", "source": "studio-notes.md"}]
        )
        clock.now += timedelta(days=1)
        space.update(NOTE, content=text.replace("1,220", "1,240"))
        space.consolidate()
        space.policy = Policy(law="power", min_retention=0.0405)
        memory.space("studio").add("The wheel by the window squeaks.", speaker="Mira")
    keys = KeyStore.under(root)
    token, _ = keys.add("Mira's laptop", spaces=["*"], rights=RIGHTS)
    keys.add("chat agent", spaces=["mira"], rights=["read", "write"], days=30)
    keys.close()
    return token


@contextmanager
def serving(root: Path, *more: str) -> Iterator[str]:
    """Serve a root with `mnemos serve` in its own process; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-c", "from mnemos.cli import main; main()", "serve", "--root", str(root), "--port", str(port),
         *more],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{address}/health").read()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait()


def sign_in(page: Any, address: str, token: str) -> None:
    """Open the page and sign in with a key."""
    page.goto(f"{address}/page/")
    page.get_by_label("Key", exact=True).fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("body[data-filled=search]")


def views(page: Any, address: str) -> Iterator[str]:
    """Go through the views; yield the name of each once it is filled."""
    yield "first"
    page.fill("#q", "What is Biscuit afraid of?")
    page.keyboard.press("Enter")
    page.wait_for_selector(".whybar")
    page.locator(".why summary").first.click()
    yield "search"
    for name in VIEWS:
        place = name if name in ("keys", "spaces") else f"s/mira/{name}"
        place += f"/{NOTE}" if name in ("cube", "edit", "forget", "graph") else ""
        page.evaluate(f"location.hash = '#/{place}'")
        page.wait_for_selector(f"body[data-filled={name}]")
        page.wait_for_timeout(900)  # until charts and the layout of the graph have settled
        if name == "timeline":
            page.locator(".histogram").focus()
            page.keyboard.press("Home")
            page.wait_for_selector("[data-period]")
            page.wait_for_timeout(400)
        if name == "graph":
            page.locator(f'.node[data-node="{NOTE}"]').click()
        yield name


def main() -> None:
    """Take all screenshots: light, dark, and on a phone."""
    from playwright.sync_api import sync_playwright

    chosen = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    folder = chosen or Path("docs")
    with tempfile.TemporaryDirectory(prefix="mnemos-shots-") as temporary, sync_playwright() as play:
        root = Path(temporary) / "root"
        token = fill(root)
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with serving(root) as address:
            for scheme, size in (("light", WIDE), ("dark", WIDE), ("phone", PHONE)):
                context = browser.new_context(
                    viewport=size,
                    color_scheme="dark" if scheme == "dark" else "light",
                    locale="en-GB",
                    timezone_id="UTC",
                )
                page = context.new_page()
                if chosen:
                    page.on("console", lambda message: print(message.type, message.text))
                    page.on("pageerror", lambda error: print("error", error))
                sign_in(page, address, token)
                for name in views(page, address):
                    if chosen:
                        page.screenshot(path=folder / f"{scheme}-{name}.png")
                    elif (scheme, name) in KEPT:
                        page.screenshot(path=folder / f"page-{KEPT[scheme, name]}.png")
                context.close()
        browser.close()


if __name__ == "__main__":
    main()

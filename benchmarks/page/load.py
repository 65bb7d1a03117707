"""Speed of the page over 100,000 cubes: `mnemos serve` in its own process, headless Chromium.

    pip install '.[serve]' playwright; apt-get install chromium
    python -m benchmarks page-load

A synthetic conversation, without vectors. The page is opened five times with an empty cache: measured are the time from the
start of the navigation until the first view (search box, counts, newest memories) is filled, which the page marks itself,
and the longest task of the browser's main thread. Then each view once: the time from changing the address until the view
marks itself, and the longest task until a second later.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serve.serving import fill
from mnemos import Mnemos
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.synthetic import Corpus
from mnemos.errors import MnemosError
from mnemos.serve.keys import RIGHTS, KeyStore
from tools.page_shots import CHROMIUM, FLAGS, serving

REST = 1_000  # milliseconds after a view is filled
VIEWS = ("timeline", "graph", "cube", "fading", "storage", "runs", "audit", "add", "edit", "forget", "spaces", "keys")
WATCH = """
window.longest = 0;
const watch = new PerformanceObserver((list) => {
  for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
});
watch.observe({ type: "longtask", buffered: true });
"""


def furnish(root: Path, cubes: int) -> tuple[str, str]:
    """Fill a space; return a key with all rights, and the id of a cube."""
    fill(root, cubes, "none")
    with Mnemos(root, embedder="none") as memory:
        cube = memory.space("load").cubes(limit=1).items[0].id
    return KeyStore.under(root).add("page", spaces=["*"], rights=RIGHTS)[0], cube


def open_page(browser: Any, address: str, token: str) -> tuple[Any, dict[str, float]]:
    """Open the first view in a new profile; return the page and the measurements in milliseconds."""
    page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
    page.set_default_timeout(240_000)
    page.add_init_script(WATCH + f"sessionStorage['mnemos.key'] = {json.dumps(token)};")
    page.goto(f"{address}/page/#/s/load")
    page.wait_for_selector("body[data-filled=search]")
    page.wait_for_timeout(REST)
    filled = page.evaluate("performance.getEntriesByName('mnemos:search')[0].startTime")
    return page, {"filled_ms": round(filled), "longest_task_ms": round(page.evaluate("window.longest"))}


def change(page: Any, place: str, view: str) -> dict[str, float]:
    """Go to a view; return the time until it is filled and the longest task, in milliseconds."""
    begin = page.evaluate(
        "place => { window.longest = 0; location.hash = place; delete document.body.dataset.filled; return performance.now(); }",
        f"#/{place}",
    )
    page.wait_for_selector(f"body[data-filled={view}]")
    page.wait_for_timeout(REST)
    filled = page.evaluate("name => performance.getEntriesByName(name).at(-1).startTime", f"mnemos:{view}")
    return {"filled_ms": round(filled - begin), "longest_task_ms": round(page.evaluate("window.longest"))}


def ask(page: Any) -> dict[str, float]:
    """Search twice with the same question; measure the second time, since the first builds the server's index."""
    page.evaluate("location.hash = '#/s/load'")
    page.wait_for_selector("body[data-filled=search]")
    for _ in range(2):
        page.fill("#q", Corpus(0).queries(3)[2])
        begin = page.evaluate("window.longest = 0, performance.now()")
        with page.expect_response("**/search") as answer:
            page.keyboard.press("Enter")
        answer.value.finished()
        page.wait_for_selector(".hits:not(.stale)")
        end = page.evaluate("performance.now()")
        page.wait_for_timeout(REST)
    return {"filled_ms": round(end - begin), "longest_task_ms": round(page.evaluate("window.longest"))}


@dataclass(frozen=True)
class Options:
    """Size of the space, and number of openings."""

    cubes: int = 100_000  # cubes in the space
    openings: int = 5  # times that the page is opened


def table(result: Result) -> Rows:
    """Return the table of the time until views are filled."""
    first = result["first view"]
    lines: Rows = [[f"{result['cubes']:,} memories, {result['browser']}", "filled after, ms", "longest task, ms"]]
    opened = f"first view, {len(first['openings'])} openings: median / slowest"
    lines.append([opened, f"{first['median_ms']} / {first['longest_ms']}", first["longest_task_ms"]])
    return lines + [[view, row["filled_ms"], row["longest_task_ms"]] for view, row in result["views"].items()]


@benchmark(
    "page-load",
    help="Time in which the page fills its views over 100,000 memories, in headless Chromium.",
    options=Options,
    tables={"page-load": table},
    extra="serve",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Open the page of a server, and each of its views."""
    from playwright.sync_api import sync_playwright

    if shutil.which("chromium") is None:
        raise MnemosError("this needs Chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as folder, sync_playwright() as play:
        root = Path(folder) / "root"
        token, cube = furnish(root, options.cubes)
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with serving(root, "--embedder", "none") as address:
            opened = []
            for _ in range(options.openings):
                page, measured = open_page(browser, address, token)
                opened.append(measured)
                page.context.close()
            page, _ = open_page(browser, address, token)
            views = {"search, 20 hits": ask(page)}
            for view in VIEWS:
                place = {"cube": f"s/load/cube/{cube}", "edit": f"s/load/edit/{cube}", "forget": f"s/load/forget/{cube}",
                         "spaces": "spaces", "keys": "keys"}.get(view, f"s/load/{view}")  # fmt: skip
                views[view] = change(page, place, view)
        version = browser.version
        browser.close()
    return {
        "browser": f"Chromium {version}, headless", "cubes": options.cubes,
        "first view": {
            "openings": opened, "median_ms": statistics.median(o["filled_ms"] for o in opened),
            "longest_ms": max(o["filled_ms"] for o in opened), "longest_task_ms": max(o["longest_task_ms"] for o in opened),
        },
        "views": views,
    }  # fmt: skip

"""Stored texts are shown as text and never executed; the key is sent only in a header."""

import hashlib
import json
import re
import urllib.request

import pytest

BAD = '<script>window.ran = 1; alert(1)</script><img src=x onerror="window.ran = 1; alert(2)"><b>bold</b>'
LINK = "See https://example.org/?q=1 and javascript:alert(3)"


@pytest.fixture
def hostile(site):
    space = site.memory.space(f"<img src=x onerror=alert(4)> {len(site.memory.spaces())}")
    space.add(
        BAD,
        speaker=BAD[:40],
        session="<i>session</i>",
        kind="<u>kind</u>",
        source=BAD,
        metadata={"<b>": BAD, "l": [BAD]},
    )
    space.add(LINK, speaker="Ana", session="<i>session</i>")
    return space


def test_stored_markup_is_shown_as_text_in_every_view(site, visit, hostile):
    token = site.key(name="<img src=x onerror=alert(5)>")
    cube = next(c for c in hostile.cubes(limit=10).items if c.metadata)
    hostile.update(cube.id, content=BAD + " again")
    space = urllib.request.quote(hostile.name, safe="")
    page = visit.open(f"s/{space}", token=token, filled="search")
    page.locator("a.open").first.wait_for()
    assert page.locator("a.open").first.inner_text().startswith("<script>window.ran")
    page.fill("#q", "window alert")
    page.keyboard.press("Enter")
    page.wait_for_selector(".whybar")
    for view in (
        f"cube/{cube.id}", "timeline", "graph", f"graph/{cube.id}", "fading", "storage", "runs", "audit", f"edit/{cube.id}",
        f"forget/{cube.id}", "add",
    ):  # fmt: skip
        visit.go(f"s/{space}/{view}", view.split("/")[0])
        page.wait_for_timeout(150)
        assert page.locator("main script, main img, main b, main i:not([class]):not([style]), main u").count() == 0
        if view == f"cube/{cube.id}":
            shown = page.locator("main").inner_text()
            for part in (BAD, "<i>session</i>", "<u>kind</u>", json.dumps({"<b>": BAD}, indent=1)[4:12]):
                assert part in shown
            assert page.locator(".old").inner_text() == BAD
        if view == "timeline":
            page.locator(".histogram").focus()
            page.keyboard.press("End")
            page.wait_for_selector("li.cube")
    for view in ("spaces", "keys"):
        visit.go(view, view)
        assert page.locator("main img").count() == 0
    assert "<img src=x onerror=alert(5)>" in page.locator("main").inner_text()
    assert page.evaluate("window.ran") is None


def test_links_in_a_memory_are_not_made_clickable(site, visit, hostile):
    cube = next(c for c in hostile.cubes(limit=10).items if not c.metadata)
    page = visit.open(f"s/{urllib.request.quote(hostile.name, safe='')}/cube/{cube.id}", filled="cube")
    assert LINK in page.locator(".split .text").inner_text()
    hrefs = {a.get_attribute("href") for a in page.locator("a[href]").all()}
    assert {href for href in hrefs if not href.startswith("#")} == set()


def test_the_key_is_sent_in_a_header_and_kept_in_this_tab_only(site, visit):
    site.fill("secret")
    token = site.key()
    page = visit.page
    page.goto(f"{site.url}/page/")
    page.get_by_label("Key", exact=True).fill(token)
    assert page.get_by_label("Key", exact=True).get_attribute("type") == "password"
    page.keyboard.press("Enter")
    visit.wait("search")
    for view in ("timeline", "graph", "fading", "storage"):
        visit.go(f"s/secret/{view}", view)
    assert all(token not in request.url for request in visit.asked)
    assert token not in page.url
    api = [request for request in visit.asked if "/v1/" in request.url]
    assert api
    assert {request.headers["authorization"] for request in api} == {f"Bearer {token}"}
    assert page.evaluate("JSON.stringify(localStorage)").count(token) == 0
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("sessionStorage['mnemos.key']") == token
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Key", exact=True).wait_for()
    assert token not in page.evaluate("JSON.stringify(sessionStorage)")


def test_everything_comes_from_the_server_itself(site, visit, files):
    site.fill("own")
    page = visit.open("s/own", filled="search")
    for view in ("timeline", "graph", "fading"):
        visit.go(f"s/own/{view}", view)
    assert {request.url.split("/")[2] for request in visit.asked if not request.url.startswith("blob:")} == {
        site.url[7:]
    }
    for name, text in files.items():
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), name
    assert page.title() == "Fading · own · Mnemos"


def test_no_markup_is_ever_made_of_text(files):
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|srcdoc|\beval\(|new Function|DOMParser"
        r"|setAttribute\(.style"
    )
    for name, text in files.items():
        assert not forbidden.search(text), name
    index = files["index.html"]
    assert not re.search(r"\son\w+=|<style|style=|<script(?! type=\"module\" src=)", index)


def test_the_policy_of_the_page_allows_nothing_but_its_own_files(site):
    with urllib.request.urlopen(f"{site.url}/page/") as answer:
        policy = dict(part.split(maxsplit=1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"


def test_the_libraries_are_those_that_are_listed_and_carry_their_licences():
    from pathlib import Path

    import mnemos.serve

    folder = Path(mnemos.serve.__file__).with_name("page") / "vendor"
    rows = re.findall(r"\| `([\w.-]+)` \|.*\| `([0-9a-f]{64})` \|", (folder / "README.md").read_text(encoding="utf-8"))
    there = {path.name for path in folder.iterdir() if path.suffix in (".js", ".css")}
    assert {name for name, _ in rows} == there
    for name, digest in rows:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    for package in ("preact", "htm", "uplot", "d3-force", "d3-dispatch", "d3-quadtree", "d3-timer"):
        assert (folder / f"LICENSE-{package}.txt").stat().st_size > 500

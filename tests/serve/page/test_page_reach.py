"""The page without a mouse, on a phone, in the dark, and with a screen reader."""

import re

import pytest

VIEWS = ("timeline", "graph", "fading", "storage", "runs", "audit", "add", "import", "forget")


@pytest.fixture(scope="module")
def reach(site):
    space = site.fill("reach")
    space.add(
        "W" * 300 + " a word without a blank, and https://example.org/" + "path/" * 40,
        speaker="S" * 90,
        session="x" * 120,
    )
    space.consolidate()
    return space


def focused(page):
    return page.evaluate(
        "document.activeElement.innerText || document.activeElement.value || document.activeElement.id"
    )


def test_from_a_search_over_a_hit_and_an_edit_to_a_preview_by_keyboard_alone(site, visit, reach):
    page = visit.open("s/reach", filled="search")
    press = page.keyboard.press
    press("/")
    page.keyboard.type("Fado sardines")
    press("Enter")
    page.wait_for_selector(".whybar")
    press("ArrowDown")
    first = visit.texts("a.open")[0]
    assert focused(page) == first
    press("j")
    press("k")
    assert focused(page) == first
    press("Enter")
    visit.wait("cube")
    page.wait_for_selector("h1:focus")
    press("e")
    visit.wait("edit")
    page.wait_for_selector("textarea:focus")
    press("Control+End")
    page.keyboard.type(" Always.")
    press("Control+Enter")
    visit.wait("cube")
    page.get_by_text("Always.").first.wait_for()
    cube = next(c for c in reach.cubes(limit=100).items if c.text.endswith("Always."))
    assert cube.version == 2
    for _ in range(40):
        press("Tab")
        if focused(page) == "Forget…":
            break
    press("Enter")
    visit.wait("forget")
    page.wait_for_selector(".panel.warn")
    press("Escape")
    visit.wait("search")
    assert reach.get(cube.id).text.endswith("Always.")
    assert visit.texts("h2.section")[0].endswith("“Fado sardines”")  # what was found is still there


def test_the_keys_are_listed_and_a_dialogue_gives_the_focus_back(site, visit, reach):
    page = visit.open("s/reach", filled="search")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keyboard").wait_for()
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    page.keyboard.press("n")
    visit.wait("add")
    page.wait_for_selector("h1:focus")


def test_what_is_typed_into_a_field_is_no_command(site, visit, reach):
    page = visit.open("s/reach/add", filled="add")
    page.get_by_label("What to remember").focus()
    page.keyboard.type("n/jk?eg")
    assert page.get_by_label("What to remember").input_value() == "n/jk?eg"
    assert page.url.endswith("#/s/reach/add")


def test_no_view_is_wider_than_a_phone(site, visit, reach):
    cube = next(c for c in reach.cubes(limit=100).items if c.text.startswith("W"))
    visit.page.set_viewport_size({"width": 360, "height": 740})
    page = visit.open("s/reach", filled="search")

    def check(view):
        page.wait_for_timeout(150)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360, (view, wide)

    check("search")
    page.fill("#q", "Fado word blank")
    page.keyboard.press("Enter")
    page.wait_for_selector(".whybar")
    page.locator("summary").last.click()
    check("hits")
    for view in (*VIEWS, f"cube/{cube.id}", f"edit/{cube.id}", f"forget/{cube.id}", f"graph/{cube.id}"):
        visit.go(f"s/reach/{view}", view.split("/")[0])
        if view == "timeline":
            page.locator(".histogram").focus()
            page.keyboard.press("End")
            page.wait_for_selector("li.cube")
        if view.startswith("graph"):
            page.locator(".node").first.click()
        check(view)
    for view in ("keys", "spaces"):
        visit.go(view, view)
        check(view)
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Timeline").click()
    visit.wait("timeline")


CONTRAST = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour[3] > 250) return colour;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    const text = walk.currentNode.data.trim();
    if (!text || !element.checkVisibility() || element.closest("svg, :disabled, .said, .hidden, .spin, option")) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), element.className + ": " + text.slice(0, 40)]);
  }
  return found;
}
"""


NAMELESS = """
() => {
  const used = "button, a[href], input, select, textarea, summary, [role=button], [role=img], [role=slider]";
  const name = (e) => e.ariaLabel || e.textContent.trim() || e.title || e.labels?.[0]?.textContent.trim();
  const nameless = [...document.querySelectorAll(used)].filter((e) => e.checkVisibility() && !name(e));
  return nameless.map((e) => e.outerHTML.slice(0, 120));
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(site, visit, reach, scheme):
    page = visit.page
    page.emulate_media(color_scheme=scheme)
    cube = reach.cubes(limit=1).items[0]
    visit.open("s/reach", filled="search")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(n) for n in re.findall(r"\d+", background)[:3]) < 200) == (scheme == "dark")
    for view in (*VIEWS, f"cube/{cube.id}", f"forget/{cube.id}"):
        visit.go(f"s/reach/{view}", view.split("/")[0])
        page.wait_for_timeout(250)
        seen = page.evaluate(CONTRAST)
        assert len(seen) > 10
        assert [pair for pair in seen if pair[0] < 4.5] == [], view


def test_the_colours_can_be_chosen_and_are_remembered(site, visit, reach):
    page = visit.open("s/reach", filled="search")
    press = page.get_by_role("button", name=re.compile("Colours"))
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    press.click()  # light
    press.click()  # dark
    page.wait_for_function("before => getComputedStyle(document.body).backgroundColor != before", arg=before)
    page.reload()
    visit.wait("search")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_everything_that_can_be_used_has_a_name(site, visit, reach):
    cube = reach.cubes(limit=1).items[0]
    page = visit.open("s/reach", filled="search")
    for view in (*VIEWS, f"cube/{cube.id}", f"edit/{cube.id}"):
        visit.go(f"s/reach/{view}", view.split("/")[0])
        assert page.evaluate(NAMELESS) == [], view
        visit.count("h1", 1)
        assert page.evaluate("document.title").endswith("· reach · Mnemos")


def test_the_focus_goes_to_the_heading_of_a_new_view_and_changes_are_told(site, visit, reach):
    page = visit.open("s/reach", filled="search")
    page.get_by_role("link", name="Timeline").click()
    page.wait_for_selector("h1:focus")
    assert page.locator("h1").inner_text() == "Timeline"
    page.locator(".histogram").focus()
    page.keyboard.press("End")
    page.wait_for_selector(".said >> text=memor")
    page.keyboard.press("Home")
    page.wait_for_selector('.histogram[aria-valuenow="0"]')


def test_nothing_moves_for_those_who_want_it_still(site, visit, reach):
    page = visit.page
    page.emulate_media(reduced_motion="reduce")
    visit.open("s/reach", filled="search")
    visit.go("s/reach/graph", "graph")
    page.wait_for_selector(".node")
    where = page.locator(".node").first.get_attribute("transform")
    page.wait_for_timeout(300)
    assert page.locator(".node").first.get_attribute("transform") == where
    assert page.evaluate("document.getAnimations().length") == 0

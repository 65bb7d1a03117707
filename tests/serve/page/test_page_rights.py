"""The page offers only what a key may do; admins create and revoke keys and remove spaces."""

import re

WRITES = re.compile(
    r"Add|Edit|Pin|Archive|Run now|Store the policy|Roll back.*|Remember|Forget.*|Revoke.*|Remove.*|New key.*"
)


def offered(page):
    """Return what can be pressed on a view."""
    return {
        text
        for text in (" ".join(e.inner_text().split()) for e in page.locator("button, a.button, nav a").all())
        if text
    }


def test_a_key_that_may_only_read_sees_no_button_that_writes(site, visit):
    space = site.fill("readers")
    cube = space.cubes().items[0]
    space.update(cube.id, content="I live in Porto, near the river.")
    page = visit.open("s/readers", token=site.key(["read"]), filled="search")
    assert not {text for text in offered(page) if WRITES.fullmatch(text)}
    for view in (f"cube/{cube.id}", "timeline", "graph", "fading", "storage", "runs", f"forget/{cube.id}"):
        visit.go(f"s/readers/{view}", view.split("/")[0])
        page.wait_for_timeout(200)
        assert not {text for text in offered(page) if WRITES.fullmatch(text)}, view
        assert {"Audit log", "Keys"} & offered(page) == set()
    assert "lacks the right to erase" in page.locator("main").inner_text()
    assert "not write, erase, admin" in page.locator(".me").inner_text()
    page.evaluate("location.hash = '#/s/readers/add'")
    page.wait_for_selector("text=This key does not allow that")
    page.keyboard.press("n")
    page.evaluate("location.hash = '#/s/readers/audit'")
    page.wait_for_selector("text=It lacks the right admin.")


def test_a_key_that_may_do_everything_is_offered_it(site, visit):
    space = site.fill("admins")
    page = visit.open(f"s/admins/cube/{space.cubes().items[0].id}", filled="cube")
    assert {"Add", "Edit", "Pin", "Archive", "Forget…", "Audit log", "Keys", "Spaces"} <= offered(page)


def test_a_key_that_may_only_write_can_add(site, visit):
    page = visit.open("", token=site.key(["write"], ["inbox"]))
    page.get_by_label("Name of the new space").fill("inbox")
    page.get_by_role("button", name="Add its first memory").click()
    visit.wait("add")
    page.get_by_label("What to remember").fill("A note for later.")
    page.get_by_role("button", name="Remember").click()
    page.wait_for_selector("text=1 memory stored")
    assert site.memory.space("inbox").cubes().items[0].text == "A note for later."
    assert page.get_by_role("link", name="Import a file").count() == 0  # an import also reads
    visit.go("s/inbox/import", "import")
    page.wait_for_selector("text=An import needs the right read")


def test_an_admin_makes_a_key_which_is_shown_once_and_revokes_it(site, visit):
    site.fill("keyed")
    page = visit.open("keys", filled="keys")
    page.get_by_role("button", name="New key…").click()
    box = page.locator("dialog")
    box.get_by_label("Name", exact=True).fill("agent 7")
    box.get_by_label("Spaces", exact=True).fill("keyed, team-*")
    box.get_by_label("write").check()
    box.get_by_label("Days until it expires").fill("30")
    box.get_by_role("button", name="Create the key").click()
    token = page.locator("[data-token]").inner_text()
    made = next(key for key in site.keys.all() if key.name == "agent 7")
    assert (made.spaces, made.rights, round((made.expires - made.made).total_seconds() / 86_400)) == (
        ("keyed", "team-*"), ("read", "write"), 30,
    )  # fmt: skip
    assert site.keys.find(token).id == made.id
    box.get_by_role("button", name="I have it").click()
    row = page.locator(f'[data-key="{made.id}"]')
    row.wait_for()
    assert token not in page.content()
    shown = {key.get_attribute("data-key") for key in page.locator("[data-key]").all()}
    assert shown == {key["id"] for key in site.ask("GET", "/v1/keys")["keys"]}
    row.get_by_role("button", name="Revoke…").click()
    page.locator("dialog").get_by_role("button", name="Revoke", exact=True).click()
    row.get_by_text("revoked").wait_for()
    assert site.keys.find(token) is None


def test_an_admin_of_some_spaces_is_told_why_a_wider_key_is_refused(site, visit):
    page = visit.open("keys", token=site.key(["read", "admin"], ["keyed"]), filled="keys")
    page.get_by_role("button", name="New key…").click()
    box = page.locator("dialog")
    assert box.get_by_label("erase").count() == 0
    box.get_by_label("Name", exact=True).fill("wider")
    box.get_by_label("Spaces", exact=True).fill("*")
    box.get_by_role("button", name="Create the key").click()
    page.wait_for_selector("dialog .fault")
    assert "cannot grant what it does not have" in box.inner_text()
    assert "wider" not in [key.name for key in site.keys.all()]


def test_a_space_is_removed_only_when_its_name_is_typed(site, visit):
    site.fill("unwanted")
    site.fill("wanted")
    page = visit.open("spaces", filled="spaces")
    assert set(visit.texts(".spaces a.open")) == set(site.memory.spaces())
    page.locator("li", has_text="unwanted").get_by_role("button", name="Remove…").click()
    box = page.locator("dialog")
    press = box.get_by_role("button", name="Remove the space")
    box.get_by_label("Type its name to remove it").fill("wanted")
    assert press.is_disabled()
    box.get_by_label("Type its name to remove it").fill("unwanted")
    press.click()
    page.wait_for_selector("dialog", state="detached")
    page.locator("li", has_text="unwanted").wait_for(state="detached")
    assert "unwanted" not in site.memory.spaces()
    assert "wanted" in site.memory.spaces()

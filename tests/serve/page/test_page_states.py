"""Expired keys, servers that are slow, unreachable or empty: the page says what happened and what to do."""

import pytest


def test_a_wrong_key_is_told_and_nothing_is_kept(site, visit):
    page = visit.page
    page.goto(f"{site.url}/page/")
    for wrong in ("mnk_aaaaaaaa_" + "x" * 43, "naïve key"):
        page.get_by_label("Key", exact=True).fill(wrong)
        page.keyboard.press("Enter")
        page.wait_for_selector(".signin .fault")
        assert page.evaluate("sessionStorage.length") == 0
    page.get_by_label("Key", exact=True).fill(site.key())
    page.keyboard.press("Enter")
    page.wait_for_selector("nav")


def test_a_key_that_ends_while_one_writes_leads_to_sign_in_and_the_text_is_kept(site, visit):
    space = site.fill("ended")
    cube = space.cubes().items[1]
    token = site.key()
    page = visit.open(f"s/ended/edit/{cube.id}", token=token, filled="edit")
    page.get_by_label("What to remember").fill("A long text that took an hour.")
    site.keys.revoke(site.keys.find(token).id)
    page.get_by_role("button", name="Store as version 2").click()
    page.wait_for_selector(".signin .notice")
    assert "expired or was revoked" in page.locator(".signin .notice").inner_text()
    assert page.evaluate("sessionStorage['mnemos.key']") is None
    page.get_by_label("Key", exact=True).fill(site.key())
    page.keyboard.press("Enter")
    visit.wait("edit")
    assert page.get_by_label("What to remember").input_value() == "A long text that took an hour."
    page.get_by_role("button", name="Store as version 2").click()
    visit.wait("cube")
    assert space.get(cube.id).text == "A long text that took an hour."


def test_a_draft_outlives_a_change_of_view_but_not_a_sign_out(site, visit):
    site.fill("drafts")
    page = visit.open("s/drafts/add", filled="add")
    page.get_by_label("What to remember").fill("Half a thought")
    visit.go("s/drafts/timeline", "timeline")
    visit.go("s/drafts/add", "add")
    assert page.get_by_label("What to remember").input_value() == "Half a thought"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Key", exact=True).fill(site.key())
    page.keyboard.press("Enter")
    visit.wait("add")
    assert page.get_by_label("What to remember").input_value() == ""


def test_a_slow_server_is_shown_as_slow_and_leaving_gives_the_request_up(site, visit):
    site.fill("slow")
    page = visit.open("s/slow", filled="search")
    page.route("**/v1/**/timeline*", lambda route: None)  # never answered
    failed = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.evaluate("location.hash = '#/s/slow/timeline'")
    page.wait_for_selector("text=Loading the timeline…")
    page.wait_for_selector("text=The server is slow", timeout=8_000)
    assert page.locator("h1").inner_text() == "Timeline"
    visit.go("s/slow/storage", "storage")
    page.wait_for_timeout(100)
    assert any("/timeline" in url for url in failed)
    assert page.locator(".fault").count() == 0


def test_a_server_that_never_answers_is_given_up_after_a_time_and_can_be_asked_again(site, browser, visit):
    site.fill("hung")
    page = visit.page
    page.add_init_script(
        "const wait = AbortSignal.timeout; AbortSignal.timeout = (ms) => wait.call(AbortSignal, ms / 60);"
    )
    visit.open("s/hung", filled="search")
    page.route("**/forms", lambda route: None)
    page.evaluate("location.hash = '#/s/hung/storage'")
    page.wait_for_selector(".fault")
    assert "did not respond within 30 seconds" in page.locator(".fault").inner_text()
    page.unroute("**/forms")
    page.get_by_role("button", name="Try again").click()
    visit.wait("storage")


def test_a_search_is_tried_again_after_an_error(site, visit):
    site.fill("flaky")
    page = visit.open("s/flaky", filled="search")
    page.route("**/search", lambda route: route.fulfill(status=503, json={"detail": "the space is busy."}))
    page.fill("#q", "Fado")
    page.keyboard.press("Enter")
    page.wait_for_selector(".fault")
    assert "the space is busy." in page.locator(".fault").inner_text()
    page.unroute("**/search")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(".whybar")
    visit.count(".fault", 0)


def test_a_server_that_is_gone_is_told_and_text_is_kept_until_it_is_back(site, visit):
    space = site.fill("down")
    page = visit.open("s/down/add", filled="add")
    page.get_by_label("What to remember").fill("Written while the server was away.")
    site.hang_up()
    try:
        page.get_by_role("button", name="Remember").click()
        page.wait_for_selector(".fault")
        assert "cannot be reached" in page.locator(".fault").inner_text()
        assert page.get_by_label("What to remember").input_value() == "Written while the server was away."
    finally:
        site.listen()
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector("text=1 memory stored")
    assert [c.text for c in space.cubes(limit=100).items].count("Written while the server was away.") == 1


def test_an_answer_that_was_lost_does_not_store_twice(site, visit):
    space = site.fill("lost")
    page = visit.open("s/lost/add", filled="add")
    lost = []

    def lose(route):
        lost.append(route.fetch())  # the server stores it, the answer does not arrive
        route.abort()

    page.route("**/cubes", lose, times=1)
    page.get_by_label("What to remember").fill("Once only.")
    page.get_by_role("button", name="Remember").click()
    page.wait_for_selector(".fault")
    assert lost[0].status == 201
    with page.expect_response("**/cubes") as answer:
        page.get_by_role("button", name="Try again").click()
    page.wait_for_selector("text=1 memory stored")
    assert answer.value.headers["idempotent-replayed"] == "true"
    assert [c.text for c in space.cubes(limit=100).items].count("Once only.") == 1


@pytest.mark.parametrize(
    ("rights", "text"),
    [(["read", "write"], "created with its first memory"), (["read"], "no space that this key may read")],
)
def test_where_there_is_no_space_the_page_says_what_to_do(site, visit, rights, text):
    page = visit.open("", token=site.key(rights, ["nothing-here-*"]))
    page.wait_for_selector(f"text={text}")


def test_an_empty_space_says_so_in_every_view(site, visit):
    site.memory.space("empty")
    page = visit.open("s/empty", filled="search")
    page.get_by_text("This space is empty").wait_for()
    for view, text in (
        ("timeline", "There is no memory in this period"), ("graph", "This space has no memories yet"),
        ("storage", "Nothing is stored yet"), ("runs", "There has been no run yet"), ("fading", "archives and erases nothing"),
    ):  # fmt: skip
        visit.go(f"s/empty/{view}", view)
        page.get_by_text(text).first.wait_for()


@pytest.mark.parametrize(
    ("place", "text"),
    [("s/ended2/cube/nobody", "There is no such memory"), ("s/no-such-space", "there is no space"), ("%zz/x", "")],
)
def test_addresses_that_lead_nowhere_are_told(site, visit, place, text):
    site.memory.space("ended2").add("Something.")
    page = visit.open(place)
    page.wait_for_selector(f"text={text}" if text else "body[data-filled=search]")
    page.wait_for_selector("nav")


def test_a_search_without_hits_says_so(site, visit):
    site.fill("hitless")
    page = visit.open("s/hitless", filled="search")
    page.fill("#q", "zeppelin")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=No memory answers “zeppelin”")
    page.get_by_role("button", name="Back to the newest").click()
    page.wait_for_selector("text=Newest memories")

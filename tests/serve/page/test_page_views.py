"""Each view shows what the API returns."""

import json
import re
from datetime import timedelta

import pytest

from mnemos.cube import MemCube, new_id
from mnemos.store.values import Entry
from tests.store.sqlite.raw import UNGUARD_AUDIT, damage


def number(text):
    return float(text.replace("−", "-").replace(",", ""))


@pytest.fixture(scope="module")
def ana(site):
    space = site.fill("ana")
    space.consolidate()
    return space


def test_the_first_view_has_the_counts_and_the_newest_memories(site, visit, ana):
    page = visit.open("s/ana", filled="search")
    stats = site.ask("GET", "/v1/spaces/ana/stats")
    page.wait_for_selector("[data-count]")
    shown = {dd.get_attribute("data-count"): number(dd.inner_text()) for dd in page.locator("dd[data-count]").all()}
    assert shown == {name: stats[name] for name in shown}
    assert {"cubes", "superseded", "sessions", "speakers"} <= set(shown)
    newest = site.ask("GET", "/v1/spaces/ana/cubes?newest=true&limit=50")
    assert visit.ids() == [cube["id"] for cube in newest["items"]]


def test_hits_are_those_of_the_api_and_their_reasons_sum_to_the_score(site, visit, ana):
    page = visit.open("s/ana", filled="search")
    page.fill("#q", "Does Fado live in Faro with Rita?")
    page.keyboard.press("Enter")
    page.wait_for_selector(".whybar")
    hits = site.ask("POST", "/v1/spaces/ana/search", {"query": "Does Fado live in Faro with Rita?", "k": 20})["hits"]
    assert len(hits) > 2
    assert visit.ids() == [hit["cube"]["id"] for hit in hits]
    whole = None
    for row, hit in zip(page.locator("li.cube").all(), hits, strict=True):
        row.locator(".why summary").click()
        shown = [float(td.get_attribute("data-value")) for td in row.locator("td").all()]
        assert shown[-1] == hit["score"]
        assert sum(shown[:-1]) == pytest.approx(hit["score"], abs=1e-6)
        assert sorted(shown[:-1]) == sorted(v for v in hit["why"].values() if v)
        # the bar: widths as the values, of which there is one scale for all hits
        box = row.locator(".whybar").bounding_box()["width"]
        parts = row.locator(".whybar .part").all()
        width = {True: 0, False: 0}
        for part in parts:
            width["down" in part.get_attribute("class").split()] += part.bounding_box()["width"]
        colours = [part.get_attribute("title") for part in parts]
        values = [number(re.search(r"[−\d.]+$", title)[0]) for title in colours]
        assert sum(values) == pytest.approx(hit["score"], abs=0.05)
        scale = sum(abs(v) for v in values) / (width[True] + width[False])
        whole = whole or scale
        assert scale == pytest.approx(whole, rel=0.05)
        assert width[True] + width[False] <= box + 1
    legend = visit.texts(".legend li")
    titles = {re.sub(r" [−\d.]+$", "", p.get_attribute("title")) for p in page.locator(".whybar .part").all()}
    assert titles <= set(legend)


def test_a_hit_shows_the_other_times_it_was_said_and_what_it_has_superseded(site, visit):
    space = site.fill("behind")
    for day in (80, 81):
        space.add("Took the pills.", speaker="Ana", at=site.now.replace(year=2025) + timedelta(days=day))
    page = visit.open("s/behind", filled="search")
    for asked, label in (("Took the pills.", "Said 1 other time"), ("Where does Ana live?", "Before that: 1 memory")):
        page.fill("#q", asked)
        with page.expect_response("**/search") as answer:
            page.keyboard.press("Enter")
        page.get_by_text(label).first.click()
        first = next(hit for hit in answer.value.json()["hits"] if hit["also"] or hit["earlier"])
        behind = page.get_by_role("list", name=label).locator("a")
        assert [a.inner_text() for a in behind.all()] == [c["text"] for c in first["also"] + first["earlier"]]


def test_filters_go_with_the_question(site, visit, ana):
    page = visit.open("s/ana", filled="search")
    page.locator(".filters summary").click()
    page.get_by_label("Speaker").fill("Bo")
    page.fill("#q", "Fado")
    page.keyboard.press("Enter")
    page.wait_for_selector(".whybar")
    assert set(visit.texts("li.cube .who")) == {"Bo"}


def test_a_list_comes_fifty_at_a_time(site, visit):
    site.fill("long", 120)
    page = visit.open("s/long", filled="search")
    visit.count("li.cube", 50)
    page.get_by_role("button", name="Show 50 more").click()
    visit.count("li.cube", 100)
    page.get_by_role("button", name="Show 50 more").click()
    visit.count("li.cube", 120)
    page.get_by_role("button", name="Show 50 more").wait_for(state="detached")
    newest = [cube["id"] for cube in site.ask("GET", "/v1/spaces/long/cubes?newest=true&limit=200")["items"]]
    assert visit.ids() == newest
    limits = [re.search(r"limit=(\d+)", r.url)[1] for r in visit.asked if "/cubes?" in r.url]
    assert set(limits) == {"50"}


def test_the_timeline_counts_and_lists_a_period(site, visit, ana):
    page = visit.open("s/ana/timeline", filled="timeline")
    line = site.ask("GET", "/v1/spaces/ana/timeline?by=auto")
    chart = page.locator(".histogram")
    assert chart.get_attribute("data-by") == line["by"] == "day"
    assert int(chart.get_attribute("data-total")) == sum(bucket["n"] for bucket in line["buckets"])
    chart.focus()
    page.keyboard.press("End")
    last = line["buckets"][-1]
    page.wait_for_selector(f'[data-period="{last["start"]}"]')
    page.wait_for_selector("li.cube")
    until = (site.now + timedelta(days=1)).date().isoformat()
    there = site.ask("GET", f"/v1/spaces/ana/cubes?since={last['start'][:10]}&until={until}")
    assert visit.ids() == [cube["id"] for cube in there["items"]]
    page.keyboard.press("Home")
    page.wait_for_selector('.histogram[aria-valuetext="13 Jan 2024: 3 memories"]')
    assert line["buckets"][0]["n"] == 3


def test_a_click_on_a_bar_picks_its_period(site, visit, ana):
    page = visit.open("s/ana/timeline", filled="timeline")
    page.wait_for_selector(".u-over")
    page.get_by_label("By", exact=True).select_option("month")
    page.wait_for_selector(".histogram[data-by=month]")
    page.wait_for_timeout(200)
    box = page.locator(".u-over").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 5, box["y"] + box["height"] - 5)
    line = site.ask("GET", "/v1/spaces/ana/timeline?by=month")
    page.wait_for_selector(f'[data-period="{line["buckets"][-1]["start"]}"]')
    page.get_by_role("button", name="Zoom in").click()
    page.wait_for_selector(".crumb >> text=All time")


def test_the_slider_shows_what_was_believed_then(site, visit, ana):
    page = visit.open("s/ana/timeline", filled="timeline")
    now = int(page.locator(".histogram").get_attribute("data-total"))
    with page.expect_response(lambda r: "/timeline?" in r.url and "as_of=" in r.url) as answer:
        page.get_by_label("As believed on").fill("50")
    then = sum(bucket["n"] for bucket in answer.value.json()["buckets"])
    page.wait_for_selector(f'.histogram[data-total="{then}"]')
    assert 0 < then < now
    moment = re.search(r"as_of=([^&]+)", answer.value.url)[1]
    assert then == sum(b["n"] for b in site.ask("GET", f"/v1/spaces/ana/timeline?as_of={moment}")["buckets"])


def test_the_graph_has_the_nodes_of_the_api_and_names_the_links(site, visit, ana):
    page = visit.open("s/ana/graph", filled="graph")
    page.wait_for_selector(".node")
    graph = site.ask("GET", "/v1/spaces/ana/graph?limit=60")
    assert {n.get_attribute("data-node") for n in page.locator(".node").all()} == {n["id"] for n in graph["nodes"]}
    kinds = {edge["kind"] for edge in graph["edges"]}
    assert set(visit.texts("[aria-label='Kinds of links'] li")) == kinds
    assert "supersedes" in kinds
    new = next(edge for edge in graph["edges"] if edge["kind"] == "supersedes")
    page.locator(f'.node[data-node="{new["source"]}"]').focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(f'[data-chosen="{new["source"]}"]')
    own = [e for e in graph["edges"] if new["source"] in (e["source"], e["target"])]
    visit.count(".links li", len(own))
    assert any(text.startswith("supersedes →") for text in visit.texts(".links li"))
    page.get_by_role("link", name="Centre here").click()
    page.wait_for_selector(".node.centre")
    assert page.url.endswith(f"#/s/ana/graph/{new['source']}")
    around = site.ask("GET", f"/v1/spaces/ana/graph?around={new['source']}&depth=1&limit=60")
    visit.count(".node", len(around["nodes"]))
    page.get_by_label("Steps away").select_option("2")
    wider = site.ask("GET", f"/v1/spaces/ana/graph?around={new['source']}&depth=2&limit=60")
    visit.count(".node", len(wider["nodes"]))


def test_more_can_be_shown_around_a_node(site, visit, ana):
    graph = site.ask("GET", "/v1/spaces/ana/graph?limit=60")
    end = next(edge["target"] for edge in graph["edges"] if edge["kind"] == "supersedes")
    page = visit.open(f"s/ana/graph/{end}", filled="graph")
    page.wait_for_selector(".node")
    around = {n["id"] for n in site.ask("GET", f"/v1/spaces/ana/graph?around={end}&depth=1&limit=60")["nodes"]}
    other = next(name for name in around if name != end)
    page.locator(f'.node[data-node="{other}"]').focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Show more around it").click()
    both = around | {n["id"] for n in site.ask("GET", f"/v1/spaces/ana/graph?around={other}&depth=1&limit=40")["nodes"]}
    visit.count(".node", len(both))


def test_weights_are_named_by_what_they_are_and_not_edited(site, visit):
    space = site.fill("learned")
    parents = tuple(cube.id for cube in space.cubes(limit=2).items)
    about = {"method": "adapter", "architecture": "LlamaForCausalLM", "bytes": 43_000}
    header = {"form": "parametric", "kind": "carrier", "parents": parents, "metadata": about}
    weights = MemCube(new_id(), "", "learned", site.now, site.now, **header)
    space.store.insert([Entry(weights, ())], None)
    page = visit.open(f"s/learned/cube/{weights.id}", filled="cube")
    page.get_by_text("Weights that a model has learned (LlamaForCausalLM, adapter), of 2 memories; 43 kB.").wait_for()
    page.get_by_role("button", name="Pin").wait_for()
    assert page.get_by_role("link", name="Edit").count() == 0
    visit.go(f"s/learned/cube/{parents[0]}", "cube")
    page.get_by_role("link", name="(carrier)").wait_for()
    visit.go(f"s/learned/graph/{weights.id}", "graph")
    page.get_by_label("carrier: (carrier)").wait_for()


def test_a_memory_shows_its_header_links_and_strength(site, visit, ana):
    old = ana.cubes(state="superseded", include_superseded=True).items[0]
    page = visit.open(f"s/ana/cube/{old.id}", filled="cube")
    assert visit.texts(".split .text") == [old.text]
    header = dict(line.split("\n")[:2] for line in page.locator(".facts > div").all_inner_texts())
    assert (header["Speaker"], header["Session"], header["State"]) == ("Ana", "day 0", "superseded")
    page.wait_for_selector("[data-link]")
    assert "← supersedes" in visit.texts("[data-link]")
    page.wait_for_selector("[data-now]")
    curve = site.ask("GET", f"/v1/spaces/ana/cubes/{old.id}/curve?days=90")
    assert float(page.locator("[data-now]").get_attribute("data-now")) == pytest.approx(curve["now"], rel=1e-3)
    assert curve["law"] in page.locator("aside").inner_text()
    page.wait_for_selector("aside .u-over")


def test_what_fades_is_listed_in_order_and_the_policy_can_be_changed(site, visit):
    space = site.fill("fades")
    page = visit.open("s/fades/fading", filled="fading")
    shown = [float(span.get_attribute("data-strength")) for span in page.locator("[data-strength]").all()]
    assert shown == [cube["strength"] for cube in site.ask("GET", "/v1/spaces/fades/fading?limit=50")["next"]]
    assert shown == sorted(shown)
    page.get_by_label("Maximum memories in search").fill("2")
    page.get_by_label("Law of forgetting").select_option("fifo")
    page.get_by_role("button", name="Store the policy").click()
    page.wait_for_selector("text=Would be archived now")
    assert (space.policy.law, space.policy.cubes) == ("fifo", 2)
    assert "A run would archive 3 memories" in page.locator(".lead").inner_text()
    page.get_by_label("Maximum memories in search").fill("many")
    page.get_by_role("button", name="Store the policy").click()
    assert "“many” is not a number" in page.locator(".fault").inner_text()


def test_storage_shows_the_sizes_of_the_api(site, visit, ana):
    page = visit.open("s/ana/storage", filled="storage")
    forms = site.ask("GET", "/v1/spaces/ana/forms")
    n = [int(td.get_attribute("data-n")) for td in page.locator("[data-n]").all()]
    sizes = [int(td.get_attribute("data-bytes")) for td in page.locator("[data-bytes]").all()]
    assert n == [form["n"] for form in forms["forms"]]
    assert sizes == [row["bytes"] for row in (*forms["forms"], *forms["parts"])]


def test_a_run_can_be_started_and_is_listed(site, visit):
    site.fill("runs")
    page = visit.open("s/runs/runs", filled="runs")
    page.get_by_text("There has been no run yet.").wait_for()
    page.get_by_role("button", name="Run now").click()
    page.wait_for_selector("td")
    run = site.ask("GET", "/v1/spaces/runs/runs")["runs"][0]
    told = page.locator("td").nth(1).inner_text()
    for kind, count in run["written"].items():
        assert f"{count} × {kind} written" in told
    assert page.locator("td time").get_attribute("datetime") == run["at"]


def test_the_audit_log_is_shown_newest_first_and_verified(site, visit):
    space = site.fill("logged")
    for i in range(60):
        space.add(f"Entry number {i} of the log.")
    page = visit.open("s/logged/audit", filled="audit")
    entries = site.ask("GET", "/v1/spaces/logged/audit?limit=1000")["entries"]
    first = [int(text) for text in visit.texts("tbody td:first-child")]
    assert first == [entry["index"] for entry in entries][::-1][:50]
    page.locator("[data-verified=true]").wait_for()
    page.get_by_role("button", name="Older").click()
    page.locator("tbody td:first-child").first.get_by_text(str(len(entries) - 50), exact=True).wait_for()
    damage(space.store.path, *UNGUARD_AUDIT, "UPDATE audit SET actor = 'nobody' WHERE i = 3")
    page.get_by_role("button", name="Verify again").click()
    page.wait_for_selector("[data-verified=false]")
    assert "entry 3" in page.locator("[data-verified]").inner_text()


def chosen(name, content):
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content.encode()}


def test_a_file_is_imported_once_and_what_was_left_out_is_told(site, visit):
    chats = [
        {"role": "user", "content": "The <b>blue</b> door sticks in winter.", "timestamp": "2024-03-02T10:15:00Z"},
        {"role": "user", "content": "The plumber comes on Fridays."},
        {"role": "user"},
    ]
    page = visit.open("s/imported/add", filled="add")
    page.get_by_role("link", name="Import a file").click()
    visit.wait("import")
    press = page.get_by_role("button", name="Import")
    assert press.is_disabled()
    page.get_by_label("File").set_input_files(chosen("chats <b>.json", json.dumps(chats)))
    press.click()
    report = page.locator("[data-report]")
    report.get_by_text("chats <b>.json: 2 memories imported").wait_for()
    told = " ".join(report.inner_text().split())
    assert "3 entries of the format chats: 2 new." in told
    assert "Left out 1 × no text" in told
    assert {c.text for c in site.memory.space("imported").cubes()} == {chats[0]["content"], chats[1]["content"]}
    press.click()
    report.get_by_text("0 memories imported").wait_for()
    assert "2 there already" in " ".join(report.inner_text().split())
    page.get_by_label("File").set_input_files(chosen("broken.json", "{"))
    press.click()
    page.locator(".fault").wait_for()
    visit.count("[data-report]", 0)
    assert "broken.json" in page.locator(".fault").inner_text()
    assert site.memory.space("imported").count() == 2


def test_adding_stores_once_and_edits_make_versions_that_can_be_rolled_back(site, visit):
    space = site.fill("writes")
    page = visit.open("s/writes/add", filled="add")
    page.get_by_label("What to remember").fill("The spare key hangs behind the clock.")
    page.get_by_label("Speaker").fill("Ana")
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Metadata").fill('{"topic": "home"}')
    page.get_by_role("button", name="Remember").click()
    page.wait_for_selector("text=1 memory stored")
    (cube_id,) = visit.ids()
    cube = space.get(cube_id)
    assert (cube.text, cube.speaker, cube.metadata) == (
        "The spare key hangs behind the clock.",
        "Ana",
        {"topic": "home"},
    )
    keys = [r.headers.get("idempotency-key") for r in visit.asked if r.method == "POST" and r.url.endswith("/cubes")]
    assert len(keys) == 1
    assert keys[0]
    visit.go(f"s/writes/edit/{cube_id}", "edit")
    page.get_by_label("What to remember").fill("The spare key is with Rita.")
    page.get_by_role("button", name="Store as version 2").click()
    visit.wait("cube")
    assert space.get(cube_id).text == "The spare key is with Rita."
    assert space.get(cube_id).metadata == {"topic": "home"}
    assert space.get(cube_id).at == cube.at
    page.get_by_role("button", name="Roll back to this…").click()
    page.locator("dialog").get_by_role("button", name="Roll back").click()
    page.wait_for_selector(".versions >> text=Version 3")
    assert space.get(cube_id).text == "The spare key hangs behind the clock."
    assert [v.version for v in space.history(cube_id)] == [1, 2, 3]


def test_a_version_that_somebody_else_wrote_meanwhile_is_not_overwritten_unseen(site, visit):
    space = site.fill("both")
    cube = space.cubes().items[1]
    page = visit.open(f"s/both/edit/{cube.id}", filled="edit")
    page.get_by_label("What to remember").fill("Mine.")
    space.update(cube.id, content="Theirs.")
    page.get_by_role("button", name="Store as version 2").click()
    page.wait_for_selector("text=Store mine after it, as version 3")
    assert space.get(cube.id).text == "Theirs."
    assert page.locator("blockquote").inner_text() == "Theirs."
    assert page.get_by_label("What to remember").input_value() == "Mine."
    page.get_by_role("button", name="Store mine after it, as version 3").click()
    page.get_by_role("button", name="Store as version 3").click()
    visit.wait("cube")
    assert [v.text for v in space.history(cube.id)][1:] == ["Theirs.", "Mine."]


def test_memories_are_pinned_and_archived_and_brought_back(site, visit):
    space = site.fill("shelf")
    cube = space.cubes().items[0]
    page = visit.open(f"s/shelf/cube/{cube.id}", filled="cube")
    for press, then, pinned, state in (
        ("Pin", "Unpin", True, "active"), ("Archive", "Restore", True, "archived"),
        ("Restore", "Archive", True, "active"), ("Unpin", "Pin", False, "active"),
    ):  # fmt: skip
        page.get_by_role("button", name=press, exact=True).click()
        page.get_by_role("button", name=then, exact=True).wait_for()
        now = space.get(cube.id)
        assert (now.pinned, now.state) == (pinned, state)


def test_forgetting_erases_what_was_shown_and_shows_the_receipt_whole(site, visit):
    space = site.fill("gone")
    space.consolidate()
    page = visit.open("s/gone/forget", filled="forget")
    assert page.get_by_role("button", name="Preview").is_disabled()
    page.get_by_label("Phrase").fill("What does Fado eat")
    page.get_by_role("button", name="Preview").click()
    page.wait_for_selector(".panel.warn")
    would = [c["id"] for c in site.ask("POST", "/v1/spaces/gone/forget", {"query": "What does Fado eat"})["cubes"]]
    assert visit.ids("[aria-label='What would be erased']") == would
    assert page.get_by_role("list", name="Near, and kept").get_by_text("has all its words").count() == 1
    assert len(would) >= 1
    late = space.add("Fado eats sardines again.", speaker="Bo")  # added after the preview: it is kept
    before = space.count()
    page.get_by_role("button", name=re.compile("^Forget .*…$")).click()
    with page.expect_response("**/forget") as answer:
        page.locator("dialog").get_by_role("button", name="Forget").click()
    page.wait_for_selector("[data-receipt]")
    assert json.loads(page.locator("[data-receipt]").inner_text()) == answer.value.json()
    receipt = answer.value.json()
    assert receipt["verified"] is True
    assert set(would) <= set(receipt["ids"])
    assert space.count() < before
    assert space.get(late.id).text == "Fado eats sardines again."
    assert page.get_by_role("link", name="Save as a file").get_attribute("download").startswith("receipt-")


def test_what_is_near_is_erased_only_when_it_is_ticked(site, visit):
    space = site.fill("ticked")
    page = visit.open("s/ticked/forget", filled="forget")
    page.get_by_label("Phrase").fill("eats sardines whatever")
    page.get_by_role("button", name="Preview").click()
    near = page.get_by_role("list", name="Near, and kept").locator("li.cube")
    near.first.wait_for()
    assert page.locator(".panel.warn").count() == 0  # the phrase is in none as it is written
    offered = visit.ids("[aria-label='Near, and kept']")
    before = space.count()
    near.first.get_by_label("erase this too").check()
    page.get_by_role("button", name=re.compile("^Forget .*…$")).click()
    page.locator("dialog").get_by_role("button", name="Forget").click()
    page.wait_for_selector("[data-receipt]")
    receipt = json.loads(page.locator("[data-receipt]").inner_text())
    assert receipt["verified"] is True
    assert offered[0] in receipt["ids"]
    assert not set(offered[1:]) & set(receipt["ids"])
    assert space.count() < before


def test_laws_links_and_signals_have_the_names_of_the_server(site, visit):
    site.fill("named")
    known = site.ask("GET", "/v1/vocabulary")
    page = visit.open("s/named/fading", filled="fading")
    assert set(visit.texts("form.panel select option")) == set(known["laws"])
    visit.go("s/named/graph", "graph")
    assert visit.texts("main select >> nth=0 >> option") == ["all kinds", *known["links"]]
    visit.go("s/named", "search")
    page.fill("#q", "Fado")
    page.keyboard.press("Enter")
    page.wait_for_selector(".hits")
    assert set(visit.texts(".legend li")) <= {*known["signals"].values(), "other"}

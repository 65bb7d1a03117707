"""Notes: edited, renamed, cut, copied; other line ends and encodings; tables, lists and code that stay whole."""

import os
from datetime import UTC, datetime

import pytest

from mnemos import Mnemos
from mnemos.errors import InvalidInput
from mnemos.transfer import export_markdown, import_path
from mnemos.transfer.sections import sections


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        yield memory.space("s")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "notes" / "sub").mkdir(parents=True)
    return tmp_path / "notes"


def texts(space, **filters):
    return sorted(c.text for c in space.cubes(limit=1_000, **filters).items)


def counts(report):
    return report.added, report.updated, report.removed, report.skipped


HOUSE = "# House\n\nThe boiler is old.\n\n## Garden\n\nRoses.\n\n## Shed\n\nEmpty.\n"


def test_an_edited_section_is_a_version_and_a_cut_one_is_not_current(space, folder):
    note = folder / "house.md"
    note.write_text(HOUSE)
    assert counts(import_path(space, folder)) == (3, 0, 0, 0)
    note.write_text(HOUSE.replace("Roses.", "Tulips.").replace("## Shed\n\nEmpty.\n", "## Attic\n\nFull.\n"))
    assert counts(import_path(space, folder)) == (1, 1, 1, 1)
    assert texts(space) == ["Full.", "The boiler is old.", "Tulips."]
    assert "Empty." in texts(space, state="any")
    (tulips,) = [c for c in space.cubes().items if c.text == "Tulips."]
    assert [v.text for v in space.history(tulips.id)] == ["Roses.", "Tulips."]
    assert counts(import_path(space, folder)) == (0, 0, 0, 3)
    note.write_text(HOUSE)
    assert counts(import_path(space, folder)) == (0, 2, 1, 1), "what was cut comes back as a version"
    assert texts(space) == ["Empty.", "Roses.", "The boiler is old."]


def test_a_section_that_moves_within_a_note_is_the_same(space, folder):
    (folder / "a.md").write_text("One.\n\n# B\n\nTwo.\n")
    import_path(space, folder)
    (folder / "a.md").write_text("# New\n\nZero.\n\n# B\n\nTwo.\n\n# C\n\nOne.\n")
    assert counts(import_path(space, folder)) == (1, 0, 0, 2)
    assert texts(space) == ["One.", "Two.", "Zero."]


@pytest.mark.parametrize("edit", ["", "\n## Cellar\n\nDry.\n"])
def test_a_renamed_note_is_recognised_by_its_words(space, folder, edit):
    (folder / "house.md").write_text(HOUSE)
    import_path(space, folder)
    (folder / "house.md").rename(folder / "sub" / "home.md")
    (folder / "sub" / "home.md").write_text(HOUSE + edit)
    report = import_path(space, folder)
    assert counts(report) == (1 if edit else 0, 3, 0, 0)
    assert {c.source for c in space.cubes().items} == {"sub/home.md"}
    assert len(texts(space)) == 3 + bool(edit)
    assert counts(import_path(space, folder)) == (0, 0, 0, 3 + bool(edit))


def test_a_copy_and_a_note_of_the_same_name_elsewhere_are_notes_of_their_own(space, folder, tmp_path):
    (folder / "a.md").write_text("Milk.")
    (folder / "b.md").write_text("Milk.")
    assert import_path(space, folder).added == 2
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "a.md").write_text("A poem.")
    report = import_path(space, tmp_path / "else")
    assert counts(report) == (1, 0, 0, 0)
    assert texts(space) == ["A poem.", "Milk.", "Milk."], "the other a.md was not cut"
    assert counts(import_path(space, folder)) == (0, 0, 0, 2)


def test_a_note_alone_and_in_its_folder_is_one_note(space, folder):
    (folder / "sub" / "a.md").write_text("Milk.")
    assert import_path(space, folder / "sub" / "a.md").added == 1
    assert counts(import_path(space, folder)) == (0, 0, 0, 1)
    assert counts(import_path(space, folder / "sub")) == (0, 0, 0, 1)


def test_a_file_that_is_gone_takes_nothing_out(space, folder):
    for name in "ab":
        (folder / f"{name}.md").write_text(f"Text {name}.")
    import_path(space, folder)
    (folder / "b.md").unlink()
    assert counts(import_path(space, folder)) == (0, 0, 0, 1)
    assert texts(space) == ["Text a.", "Text b."]


def test_what_was_erased_stays_erased_under_any_name(space, folder):
    (folder / "a.md").write_text("# Diary\n\nMy secret.\n\n# Other\n\nStays.\n")
    import_path(space, folder)
    space.forget([c.id for c in space.cubes().items if c.text == "My secret."])
    for name in ("a.md", "b.md"):
        (folder / "a.md").replace(folder / name) if name == "b.md" else None
        report = import_path(space, folder)
        assert [p.what for p in report.problems if "erased" in p.what]
        assert texts(space) == ["Stays."]
    assert import_path(space, folder, restore_erased=True).added == 1


def test_a_note_is_a_documents_words_and_ends_nothing(space, folder):
    space.add("I live in Porto.", role="user")
    (folder / "a.md").write_text("I live in Oslo.")
    import_path(space, folder)
    assert [c.role for c in space.cubes(kind="note", state="any").items] == ["note"]
    assert "I live in Porto." in texts(space)


BODY = "---\r\ndate: 2024-03-02\r\ntags: a\r\n---\r\n# Garden\r\n\r\nRoses – tall.\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le with a mark", "utf-32"])
@pytest.mark.parametrize("ends", ["\r\n", "\n", "\r"])
def test_line_ends_and_encodings(encoding, ends, space, folder):
    text = BODY.replace("\r\n", ends)
    data = ("\ufeff" + text).encode("utf-16-le") if "mark" in encoding else text.encode(encoding)
    (folder / "a.md").write_bytes(data)
    import_path(space, folder)
    (cube,) = space.cubes().items
    assert (cube.text, cube.at, cube.metadata["heading"]) == (
        "Roses – tall.",
        datetime(2024, 3, 2, tzinfo=UTC),
        "Garden",
    )
    assert cube.metadata["front_matter"] == {"date": "2024-03-02", "tags": "a"}


def test_a_note_that_is_no_text_costs_that_note(space, folder):
    (folder / "a.md").write_text("Good.")
    (folder / "b.md").write_bytes(b"\xff\xfe\x00bad\xff")
    (folder / "c.md").write_bytes(b"caf\xe9")
    report = import_path(space, folder)
    assert texts(space) == ["Good."]
    assert {p.where for p in report.problems} == {"b.md", "c.md"}
    with pytest.raises(InvalidInput, match="not UTF-8"):
        import_path(space, folder / "c.md")


def cut(text):
    return [section for _, section in sections(text)]


def test_a_table_is_cut_between_rows_and_each_piece_has_its_head():
    rows = [f"| row {i} | {'word ' * 20}|" for i in range(60)]
    pieces = cut("\n".join(["| name | words |", "|:---|---:|", *rows]))
    assert len(pieces) > 3
    assert all(piece.startswith("| name | words |\n|:---|---:|\n| row") for piece in pieces)
    assert [line for piece in pieces for line in piece.split("\n")[2:]] == rows


def test_a_list_is_cut_between_items_and_code_not_at_all():
    items = [f"- item {i} {'word ' * 40}\n  goes on {i}\n    - inner {i}." for i in range(20)]
    pieces = cut("Before:\n" + "\n".join(items))
    assert len(pieces) > 3
    for i, item in enumerate(items):
        head, _, inner = item.rpartition("\n")
        assert sum(head in piece for piece in pieces) == sum(inner in piece for piece in pieces) == 1, i
    code = "```py\n" + "\n".join(f"x = {i}" for i in range(400)) + "\n\nlast = 1\n```"
    (whole,) = [p for p in cut(f"Text before.\n{code}\nText after. {'word ' * 300}") if "```" in p]
    assert code in whole


def test_numbered_lists_and_tables_without_edges_stay_whole():
    rows = [f"row {i} | {'word ' * 30}" for i in range(40)]
    pieces = cut("a | b\n--- | ---\n" + "\n".join(rows))
    assert all(p.startswith("a | b\n--- | ---\n") for p in pieces)
    assert sum(p.count("row ") for p in pieces) == 40
    items = [f"{i}. step {'word ' * 30}" for i in range(1, 40)]
    assert [line for p in cut("\n".join(items)) for line in p.split("\n")] == [i.rstrip() for i in items] or all(
        item.rstrip() in "\n".join(cut("\n".join(items))) for item in items
    )


def test_an_export_comes_back_as_the_same_words(space, folder, tmp_path):
    words = "<b>bold</b> [x](javascript:alert(1)) & &lt; a]\\(b `code`"
    space.add(words, id="x", speaker="Ana", at="2024-01-01")
    export_markdown(space, folder / "out")
    with Mnemos(tmp_path / "other", embedder="none") as memory:
        other = memory.space("o")
        import_path(other, folder / "out")
        (note,) = other.cubes().items
        assert note.text == f"**Ana**, 2024-01-01 00:00 `x`\n\n> {words}"
        assert note.metadata.get("front_matter") is None


def test_a_note_is_dated_by_its_front_matter_its_name_or_its_last_change(space, folder):
    (folder / "2023-05-04 b.md").write_text("b")
    (folder / "c.md").write_text("c")
    (folder / "d.md").write_text("---\ncreated: 2022-02-02T10:00:00+01:00\n---\nd")
    os.utime(folder / "c.md", (1_600_000_000, 1_600_000_000))
    import_path(space, folder)
    assert {c.text: c.at.isoformat() for c in space.cubes().items} == {
        "b": "2023-05-04T00:00:00+00:00", "c": "2020-09-13T12:26:40+00:00", "d": "2022-02-02T10:00:00+01:00",
    }  # fmt: skip

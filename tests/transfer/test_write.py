"""Exports overwrite nothing unless asked, never write through a link, and a Markdown export is inert."""

import os
import re
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mnemos import Mnemos
from mnemos.errors import InvalidInput, StoreError
from mnemos.transfer import export_jsonl, export_markdown, export_space
from mnemos.transfer.pages import inert, text_of
from mnemos.transfer.write import new_file

WRITERS = [export_space, export_jsonl, export_markdown]


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        memory.space("a").add("something", id="x")
        yield memory.space("a")


def target(write, folder):
    """Return the file that an export to `folder` / "out" writes."""
    return folder / "out" / "no-session.md" if write is export_markdown else folder / "out"


@pytest.mark.parametrize("write", WRITERS)
def test_an_export_replaces_a_file_only_when_asked(write, space, tmp_path):
    assert write(space, tmp_path / "out") == 1
    file = target(write, tmp_path)
    before = file.read_bytes()
    space.add("more", id="y")
    with pytest.raises(InvalidInput, match="exists already"):
        write(space, tmp_path / "out")
    assert file.read_bytes() == before
    assert write(space, tmp_path / "out", overwrite=True) == 2
    assert file.read_bytes() != before
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [p.name for p in file.parent.iterdir() if p.name.endswith(".part")] == []


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("where", ["file", "nowhere"])
@pytest.mark.parametrize("write", WRITERS)
def test_an_export_never_writes_through_a_link(write, where, overwrite, space, tmp_path):
    victim = tmp_path / "victim"
    if where == "file":
        victim.write_text("kept")
    file = target(write, tmp_path)
    file.parent.mkdir(exist_ok=True)
    file.symlink_to(victim)
    with pytest.raises(InvalidInput, match="is a link"):
        write(space, tmp_path / "out", overwrite=overwrite)
    assert file.is_symlink()
    assert (victim.read_text() if victim.exists() else "kept") == "kept"
    assert victim.exists() == (where == "file")


def test_a_folder_that_is_a_link_is_not_written_to(space, tmp_path):
    (tmp_path / "else").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "else")
    with pytest.raises(InvalidInput, match="is a link"):
        export_markdown(space, tmp_path / "out")
    assert list((tmp_path / "else").iterdir()) == []


def test_an_old_name_of_a_partial_file_is_not_written_through(space, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / "out.part").symlink_to(victim)
    export_space(space, tmp_path / "out")
    assert victim.read_text() == "kept"


@pytest.mark.parametrize("write", WRITERS)
def test_only_a_plain_file_is_replaced(write, space, tmp_path):
    file = target(write, tmp_path)
    file.parent.mkdir(exist_ok=True)
    os.mkfifo(file)
    with pytest.raises(InvalidInput, match="no plain file"):
        write(space, tmp_path / "out", overwrite=True)


def test_a_file_that_appears_while_an_export_is_written_is_kept(tmp_path):
    def write():
        with new_file(tmp_path / "out") as file:
            file.write(b"mine")
            (tmp_path / "out").write_text("theirs")

    with pytest.raises(InvalidInput, match="another program"):
        write()
    assert (tmp_path / "out").read_text() == "theirs"
    assert len(list(tmp_path.iterdir())) == 1


def test_no_page_is_written_when_one_of_them_exists(space, tmp_path):
    space.add("other", session="s")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "s.md").write_text("kept")
    with pytest.raises(InvalidInput, match=r"s\.md exists"):
        export_markdown(space, tmp_path / "out")
    assert [f.name for f in (tmp_path / "out").iterdir()] == ["s.md"]


def test_a_folder_that_cannot_be_made_is_told(space, tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(StoreError, match="cannot write to"):
        export_markdown(space, tmp_path / "file" / "out")


HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "![x](http://track/er.png)",
    "[x](JaVaScRiPt:alert(1))", "[x](data:text/html,<script>)", "[x]: javascript:alert(1)\n\n[x]", "<javascript:alert(1)>",
    "[x](&#106;avascript:alert(1))", "[x](\\javascript\\:alert(1))", "\\[x](vbscript:x)", "[x]\\(javascript:x)", "\\<b>",
    "&lt;b&gt;", "<!-- x -->", "```\n<b>\n```\n[x](javascript:x)", "`<b>`", "<a href='javascript:x'>y</a>", 
    "</div><svg/onload=x>",
    "[a][b]\n\n[b]: data:text/html,x", "x\r<b>", "x\u2028<b>", "> <b>\n\n<b>", "1. [x](\n javascript:x)",
    "[![x](y)](javascript:z)",
]  # fmt: skip


PLAIN = set("hr h1 h2 h3 h4 h5 h6 p strong em code pre blockquote ul ol li br".split())  # noqa: SIM905


def tags(page):
    """Return the names of the elements, and of anything else in angle brackets, that a page is rendered to."""
    return set(re.findall(r"</?\s*([^\s/>]*)", MarkdownIt("commonmark", {"html": True}).render(page)))


@pytest.mark.parametrize("where", ["text", "speaker", "session", "id"])
@pytest.mark.parametrize("words", HOSTILE)
def test_a_page_renders_without_html_links_or_pictures(words, where, space, tmp_path):
    space.add(**{"content": "x", "content" if where == "text" else where: words})
    export_markdown(space, tmp_path / "out")
    for file in (tmp_path / "out").iterdir():
        assert tags(file.read_text(encoding="utf-8")) <= PLAIN


@given(st.text(alphabet="<>&;#92ltamp()[]:\\!`x \n", max_size=40))
def test_what_is_made_inert_comes_back_and_nothing_of_it_is_live(text):
    page = inert(text)
    assert text_of(page) == text
    assert tags(page) <= PLAIN

"""The memory tool's commands: documented texts, versions, errors, and comparison with the SDK's own tool."""

import re
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.adapters.anthropic_files import ToolError
from mnemos.adapters.anthropic_memory import MemoryTool


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path, embedder="hashing") as m:
        yield m.space("claude")


@pytest.fixture
def tool(space):
    return MemoryTool(space)


def do(tool, command, **more):
    return tool.run({"command": command, **more})


def refused(tool, text, command, **more):
    with pytest.raises(ToolError) as error:
        do(tool, command, **more)
    assert str(error.value) == text


NOTES = "/memories/notes.txt"


def test_the_documented_texts_of_what_works(tool):
    assert do(tool, "view", path="/memories").splitlines() == [
        "Here're the files and directories up to 2 levels deep in /memories, excluding hidden items and node_modules:",
        "0B\t/memories",
    ]
    assert do(tool, "create", path=NOTES, file_text="one\ntwo\nthree\n") == f"File created successfully at: {NOTES}"
    assert do(tool, "view", path=NOTES) == (
        f"Here's the content of {NOTES} with line numbers:\n     1\tone\n     2\ttwo\n     3\tthree\n     4\t"
    )
    assert do(tool, "view", path=NOTES, view_range=[2, 3]).splitlines()[1:] == ["     2\ttwo", "     3\tthree"]
    assert do(tool, "view", path=NOTES, view_range=[3, -1]).splitlines()[1:] == ["     3\tthree", "     4\t"]
    edited = do(tool, "str_replace", path=NOTES, old_str="two", new_str="2\n2½")
    assert edited.startswith("The memory file has been edited.")
    assert edited.splitlines()[1:] == ["     1\tone", "     2\t2", "     3\t2½", "     4\tthree", "     5\t"]
    assert do(tool, "insert", path=NOTES, insert_line=0, insert_text="zero\n") == f"The file {NOTES} has been edited."
    assert do(tool, "view", path=NOTES).splitlines()[1:3] == ["     1\tzero", "     2\tone"]
    to = "/memories/old/notes.txt"
    assert do(tool, "rename", old_path=NOTES, new_path=to) == f"Successfully renamed {NOTES} to {to}"
    assert do(tool, "delete", path="/memories/old") == "Successfully deleted /memories/old"
    assert tool.space.count() == 0


def test_the_documented_texts_of_what_does_not(tool):
    do(tool, "create", path=NOTES, file_text="a\nb a\n")
    gone = "/memories/gone"
    refused(tool, f"The path {gone} does not exist. Please provide a valid path.", "view", path=gone)
    refused(tool, f"Error: File {NOTES} already exists", "create", path=NOTES, file_text="x")
    lost = f"Error: The path {gone} does not exist"
    refused(tool, f"{lost}. Please provide a valid path.", "str_replace", path=gone, old_str="a", new_str="b")
    refused(tool, lost, "insert", path=gone, insert_line=0, insert_text="b")
    refused(tool, lost, "delete", path=gone)
    refused(tool, lost, "rename", old_path=gone, new_path="/memories/x")
    refused(tool, f"Error: The destination {NOTES} already exists", "rename", old_path=NOTES, new_path=NOTES)
    refused(
        tool, f"No replacement was performed, old_str `c` did not appear verbatim in {NOTES}.",
        "str_replace", path=NOTES, old_str="c", new_str="b",
    )  # fmt: skip
    refused(
        tool, "No replacement was performed. Multiple occurrences of old_str `a` in lines: 1, 2. Please ensure it is unique",
        "str_replace", path=NOTES, old_str="a", new_str="b",
    )  # fmt: skip
    refused(
        tool, "Error: Invalid `insert_line` parameter: 3. It should be within the range of lines of the file: [0, 2]",
        "insert", path=NOTES, insert_line=3, insert_text="b",
    )  # fmt: skip
    for bad in (
        {"command": "list"},
        {},
        {"command": "view"},
        {"command": "insert", "path": NOTES, "insert_line": "1"},
        None,
    ):
        with pytest.raises(ToolError):
            tool.run(bad)
    with pytest.raises(ToolError, match="view_range"):
        do(tool, "view", path=NOTES, view_range=[1])
    assert do(tool, "view", path=NOTES).splitlines()[1:] == ["     1\ta", "     2\tb a", "     3\t"]


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "memories/x", "/memoriesx", "/memories/../etc", "/memories/a/..", "/memories/%2e%2e/x", "", "/memories/\x00",
     "/memories/%252e%252e%252fx", "/memories/..\\x", "/memories/a/../../x", "/memories/\ud800", "/memories/" + "x" * 1000]
)  # fmt: skip
def test_paths_that_lead_out_are_refused_by_every_command(tool, path):
    do(tool, "create", path=NOTES, file_text="x")
    for command in (
        {"command": "view", "path": path}, {"command": "create", "path": path, "file_text": "x"},
        {"command": "str_replace", "path": path, "old_str": "x", "new_str": "y"}, {"command": "delete", "path": path},
        {"command": "insert", "path": path, "insert_line": 0, "insert_text": "x"},
        {"command": "rename", "old_path": path, "new_path": "/memories/y"},
        {"command": "rename", "old_path": NOTES, "new_path": path},
    ):  # fmt: skip
        with pytest.raises(ToolError, match="Path"):
            tool.run(command)
    assert [cube.metadata["path"] for cube in tool.space.cubes().items] == [NOTES]


def test_directories_are_listed_moved_and_deleted_with_what_is_in_them(tool):
    for path in ("a/b/c/deep.md", "a/x.md", "b.md", ".hidden/x", "node_modules/y", "a/.secret", "ab/z.md"):
        do(tool, "create", path=f"/memories/{path}", file_text="x" * 1536)
    assert do(tool, "view", path="/memories/").splitlines()[1:] == [
        "6K\t/memories", "3K\t/memories/a/", "1.5K\t/memories/a/b/", "1.5K\t/memories/a/x.md", "1.5K\t/memories/ab/",
        "1.5K\t/memories/ab/z.md", "1.5K\t/memories/b.md",
    ]  # fmt: skip
    assert do(tool, "view", path="/memories/a/b").splitlines()[2:] == [
        "1.5K\t/memories/a/b/c/", "1.5K\t/memories/a/b/c/deep.md",
    ]  # fmt: skip
    refused(
        tool,
        "Error: /memories/a cannot be moved into itself",
        "rename",
        old_path="/memories/a",
        new_path="/memories/a/n",
    )
    for path in ("/memories/b.md/x", "/memories/b.md/x/y"):
        with pytest.raises(ToolError, match=r"b.md is a file"):
            do(tool, "create", path=path, file_text="x")
    with pytest.raises(ToolError, match="already exists"):
        do(tool, "create", path="/memories/a", file_text="x")
    do(tool, "rename", old_path="/memories/a", new_path="/memories/n/a")
    assert do(tool, "view", path="/memories/n/a/b/c/deep.md")
    do(tool, "delete", path="/memories/n")
    left = {cube.metadata["path"] for cube in tool.space.cubes().items}
    assert left == {f"/memories/{p}" for p in (".hidden/x", "node_modules/y", "ab/z.md", "b.md")}
    for path in ("/memories", "/memories/"):
        with pytest.raises(ToolError, match="cannot be deleted or renamed"):
            do(tool, "delete", path=path)


def test_files_are_searched_and_every_edit_is_a_version(tool, space):
    do(tool, "create", path="/memories/customers/rita.md", file_text="Rita prefers mail.")
    do(tool, "str_replace", path="/memories/customers/rita.md", old_str="mail", new_str="the telephone")
    do(tool, "rename", old_path="/memories/customers", new_path="/memories/people")
    [hit] = space.search("How does Rita like to be reached?", kind="file")
    assert hit.cube.text == "Rita prefers the telephone."
    assert [(v.text, v.metadata["path"]) for v in space.history(hit.cube.id)] == [
        ("Rita prefers mail.", "/memories/customers/rita.md"),
        ("Rita prefers the telephone.", "/memories/customers/rita.md"),
        ("Rita prefers the telephone.", "/memories/people/rita.md"),
    ]


def test_a_tool_use_block_becomes_a_tool_result(tool):
    assert tool.definition == {"type": "memory_20250818", "name": "memory"}
    made = tool.result({"id": "t1", "input": {"command": "create", "path": NOTES, "file_text": ""}})
    assert made == {"type": "tool_result", "tool_use_id": "t1", "content": f"File created successfully at: {NOTES}"}
    failed = tool.result(SimpleNamespace(id="t2", input={"command": "view", "path": "/etc"}))
    assert (failed["is_error"], failed["tool_use_id"]) == (True, "t2")


TEXTS = st.text(st.sampled_from("ab \n\té日"), max_size=12)


@settings(max_examples=30)
@given(first=TEXTS, inserted=st.lists(st.tuples(st.integers(0, 4), TEXTS), max_size=3), old=TEXTS, new=TEXTS)
def test_contents_are_kept_as_a_file_would_keep_them(tmp_path_factory, first, inserted, old, new):
    with Mnemos(tmp_path_factory.mktemp("m"), embedder="none") as m:
        tool = MemoryTool(m.space("s"))
        do(tool, "create", path=NOTES, file_text=first)
        text = first
        if old and text.count(old) == 1 and text.find(old, text.index(old) + 1) < 0:
            do(tool, "str_replace", path=NOTES, old_str=old, new_str=new)
            text = text.replace(old, new)
        for n, more in inserted:
            lines = text.split("\n")[: -1 if text.endswith("\n") or not text else None]
            if n <= len(lines):
                do(tool, "insert", path=NOTES, insert_line=n, insert_text=more)
                lines.insert(n, more.removesuffix("\n"))
                end = "\n" if not text or text.endswith("\n") or more.endswith("\n") else ""
                text = "\n".join(lines) + end
        shown = do(tool, "view", path=NOTES).split("\n", 1)[1]
        assert re.sub(r"^ *\d+\t", "", shown, flags=re.M) == text


def test_the_sdks_own_tool_answers_alike(tool, tmp_path):
    sdk = pytest.importorskip("anthropic.lib.tools._beta_builtin_memory_tool")
    own = sdk.BetaLocalFilesystemMemoryTool(str(tmp_path / "sdk"))
    a, b = "/memories/a.md", "/memories/d/b.md"
    for command in (
        {"command": "create", "path": a, "file_text": "x\ny\nx\n"}, {"command": "create", "path": a, "file_text": "x"},
        {"command": "view", "path": a}, {"command": "view", "path": a, "view_range": [2, -1]}, {"command": "view", "path": b},
        {"command": "str_replace", "path": a, "old_str": "x", "new_str": "z"},
        {"command": "str_replace", "path": a, "old_str": "q", "new_str": "z"},
        {"command": "str_replace", "path": a, "old_str": "y", "new_str": "z"},
        {"command": "insert", "path": a, "insert_line": 1, "insert_text": "new\n"}, {"command": "view", "path": a},
        {"command": "rename", "old_path": a, "new_path": b}, {"command": "view", "path": b},
        {"command": "delete", "path": b}, {"command": "delete", "path": b}, {"command": "view", "path": "/memories/../etc"},
    ):  # fmt: skip
        try:
            wanted, fails = own.call(command), False
        except Exception as error:
            wanted, fails = str(error), True
        got = tool.result({"id": "t", "input": command})
        assert got.get("is_error", False) is fails, command
        assert got["content"].removeprefix("Error: ") == wanted.removeprefix("Error: "), command

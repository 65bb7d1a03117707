"""Anthropic's memory tool (memory_20250818) in a space. It does not need the package anthropic."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mnemos.adapters.anthropic_files import ROOT, ToolError, checked, content, hidden, listing, numbered, stored
from mnemos.adapters.base import MemorySpace
from mnemos.adapters.reading import cubes
from mnemos.cube import MemCube
from mnemos.errors import InvalidInput

KIND = "file"
ROLE = "assistant"  # Claude writes the files: nothing in them is the user's own words
CONTEXT_LINES = 2  # shown before and after an edit
_FIELDS = {
    "view": ("path",),
    "create": ("path", "file_text"),
    "str_replace": ("path", "old_str", "new_str"),
    "insert": ("path", "insert_line", "insert_text"),
    "delete": ("path",),
    "rename": ("old_path", "new_path"),
}


class MemoryTool:
    """Stores Claude's /memories as cubes of the kind "file": searchable, with a version per edit; a delete erases.

    `run` takes the input of a tool_use block and returns the text that Anthropic documents, or raises ToolError;
    `result` turns a tool_use block into a tool_result block. A directory exists while it contains files. Secrets in files
    are redacted unless the space's setting keeps them. Edits through one tool object are serialised, so use one per space.
    """

    definition: Mapping[str, str] = {"type": "memory_20250818", "name": "memory"}  # for the request's `tools`

    def __init__(self, space: MemorySpace) -> None:
        self.space = space
        self._lock = threading.RLock()
        self._commands: dict[str, Callable[..., str]] = {
            "view": self.view, "create": self.create, "str_replace": self.str_replace, "insert": self.insert,
            "delete": self.delete, "rename": self.rename,
        }  # fmt: skip

    def run(self, command: Mapping[str, Any]) -> str:
        """Run one command and return its text. Raises ToolError."""
        name = command.get("command") if isinstance(command, Mapping) else command
        if not isinstance(name, str) or name not in _FIELDS:
            raise ToolError(f"Unknown command: {name!r}. Use one of {', '.join(_FIELDS)}.")
        values: list[Any] = []
        for field in _FIELDS[name]:
            value = command.get(field, "" if field == "new_str" else None)
            wanted = int if field == "insert_line" else str
            if isinstance(value, bool) or not isinstance(value, wanted):
                raise ToolError(f"Invalid `{field}` parameter of {name}: {value!r:.80}.")
            values.append(value)
        if name == "view":
            values.append(command.get("view_range"))
        with self._lock:
            try:
                return self._commands[name](*values)
            except ToolError:
                raise
            except InvalidInput as error:
                raise ToolError(f"Error: {error}") from error

    def result(self, block: Any) -> dict[str, Any]:
        """Return the tool_result block for a tool_use block (a dict, or the object of the SDK)."""
        name, command = (block["id"], block["input"]) if isinstance(block, Mapping) else (block.id, block.input)
        result = {"type": "tool_result", "tool_use_id": name}
        try:
            return result | {"content": self.run(command)}
        except ToolError as error:
            return result | {"content": str(error), "is_error": True}

    def view(self, path: str, view_range: Sequence[int] | None = None) -> str:
        """Return a file with line numbers, or the files of a directory, two levels deep."""
        name = checked(path)
        if (cube := self._file(name)) is not None:
            return f"Here's the content of {path} with line numbers:\n{numbered(path, content(cube), view_range)}"
        files = self._files(name)
        if not files and name != ROOT:
            raise ToolError(f"The path {path} does not exist. Please provide a valid path.")
        shown = {file: cube for file, cube in files.items() if not hidden(file[len(name) :])}
        head = (
            f"Here're the files and directories up to 2 levels deep in {path}, excluding hidden items and node_modules:"
        )
        return "\n".join([head, *listing(name, shown)])

    def create(self, path: str, file_text: str) -> str:
        """Create a file. Raises ToolError if the path exists."""
        name = checked(path)
        if name == ROOT or self._file(name) is not None or self._files(name):
            raise ToolError(f"Error: File {path} already exists")
        self._check_parents(name, path)
        text, metadata = stored(name, file_text)
        self.space.add(text, kind=KIND, role=ROLE, metadata=metadata, reconcile=False)
        return f"File created successfully at: {path}"

    def str_replace(self, path: str, old_str: str, new_str: str) -> str:
        """Replace a text that occurs exactly once in a file."""
        cube = self._require(path, " Please provide a valid path.")
        text = content(cube)
        if not old_str or old_str not in text:
            raise ToolError(f"No replacement was performed, old_str `{old_str}` did not appear verbatim in {path}.")
        at = text.index(old_str)
        if (again := text.find(old_str, at + 1)) >= 0:
            places = [at]
            while again >= 0:
                places.append(again)
                again = text.find(old_str, again + 1)
            lines = ", ".join(dict.fromkeys(str(text.count("\n", 0, p) + 1) for p in places))
            raise ToolError(
                f"No replacement was performed. Multiple occurrences of old_str `{old_str}` in lines: {lines}. "
                "Please ensure it is unique"
            )
        new = text[:at] + new_str + text[at + len(old_str) :]
        self._write(cube, cube.metadata["path"], new)
        first = text.count("\n", 0, at) + 1
        last = min(first + new_str.count("\n") + CONTEXT_LINES, new.count("\n") + 1)
        lines = numbered(path, new, [max(1, first - CONTEXT_LINES), last])
        return f"The memory file has been edited. Here is the snippet showing the change (with line numbers):\n{lines}"

    def insert(self, path: str, insert_line: int, insert_text: str) -> str:
        """Insert lines after line `insert_line`; 0 is the top."""
        cube = self._require(path)
        text = content(cube)
        lines = text.split("\n")
        if lines[-1] == "":
            lines.pop()
        if not 0 <= insert_line <= len(lines):
            raise ToolError(
                f"Error: Invalid `insert_line` parameter: {insert_line}. "
                f"It should be within the range of lines of the file: [0, {len(lines)}]"
            )
        lines.insert(insert_line, insert_text.removesuffix("\n"))
        ended = not text or text.endswith("\n") or insert_text.endswith("\n")
        self._write(cube, cube.metadata["path"], "\n".join(lines) + "\n" * ended)
        return f"The file {path} has been edited."

    def delete(self, path: str) -> str:
        """Erase a file, or a directory with its files."""
        for cube in self._subtree(path).values():
            self.space.delete(cube.id)
        return f"Successfully deleted {path}"

    def rename(self, old_path: str, new_path: str) -> str:
        """Rename a file or a directory; versions are kept."""
        found, new = self._subtree(old_path), checked(new_path)
        old = checked(old_path)
        if new == ROOT or self._file(new) is not None or self._files(new):
            raise ToolError(f"Error: The destination {new_path} already exists")
        if new.startswith(old + "/"):
            raise ToolError(f"Error: {old_path} cannot be moved into itself")
        self._check_parents(new, new_path)
        for path, cube in found.items():
            self._write(cube, new + path[len(old) :], content(cube))
        return f"Successfully renamed {old_path} to {new_path}"

    def _cubes(self, **filters: Any) -> Iterator[MemCube]:
        found = cubes(self.space, kind=KIND, state="any", **filters)
        return (cube for cube in found if isinstance(cube.metadata.get("path"), str))

    def _file(self, name: str) -> MemCube | None:
        return next(self._cubes(where={"path": name}), None)

    def _files(self, name: str) -> dict[str, MemCube]:
        found = {str(cube.metadata["path"]): cube for cube in self._cubes()}
        return {path: found[path] for path in sorted(found) if path.startswith(name + "/")}

    def _require(self, path: str, hint: str = "") -> MemCube:
        if (cube := self._file(checked(path))) is None:
            raise ToolError(f"Error: The path {path} does not exist{'.' if hint else ''}{hint}")
        return cube

    def _subtree(self, path: str) -> dict[str, MemCube]:
        """Return the file at a path, or the files of a directory. Raises ToolError if there are none."""
        name = checked(path)
        if name == ROOT:
            raise ToolError(f"Error: {ROOT} itself cannot be deleted or renamed")
        file = self._file(name)
        if not (found := self._files(name) | ({} if file is None else {name: file})):
            raise ToolError(f"Error: The path {path} does not exist")
        return found

    def _check_parents(self, name: str, path: str) -> None:
        parts = name.split("/")
        for depth in range(3, len(parts)):
            if self._file("/".join(parts[:depth])) is not None:
                raise ToolError(f"Error: {path} cannot be created: {'/'.join(parts[:depth])} is a file")

    def _write(self, cube: MemCube, name: str, text: str) -> None:
        if (name, text) == (cube.metadata["path"], content(cube)):
            return
        content_text, metadata = stored(name, text)
        self.space.update(cube.id, content=content_text, role=ROLE, metadata=metadata)

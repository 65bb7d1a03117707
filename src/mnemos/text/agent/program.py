"""Program: a list of instructions carried out one after the other over a store of files, within a small context.

After L2MAC (arXiv 2310.02003): an instruction registry, a file store that is read and written as whole files, and a control
unit that counts the context, checks what was written, and, when the window is full, asks for a summary of the progress and
starts the same instruction again with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mnemos.arguments import check_count, check_text
from mnemos.errors import InvalidInput, NotFound
from mnemos.text.agent.shelf import Shelf
from mnemos.text.agent.task import Task
from mnemos.text.memory import TextMemory
from mnemos.text.recall.context import Count, estimate_tokens

KIND = "agent-file"  # of the cubes
LONGEST_SUMMARY = 0.4  # of the window


class Files:
    """Files of a program, each a cube of the kind `agent-file` with its versions."""

    def __init__(self, memory: TextMemory, name: str) -> None:
        self._memory, self._shelf = memory, Shelf(memory, KIND, name)

    def names(self) -> list[str]:
        """Return the paths, in order."""
        return sorted(str(cube.metadata["path"]) for cube in self._shelf.cubes())

    def read(self, path: str) -> str:
        """Return the text of a file. Raises NotFound."""
        for cube in self._shelf.cubes():
            if cube.metadata["path"] == path:
                return str(cube.metadata["text"])
        raise NotFound(f"there is no file {path!r}: there are {', '.join(self.names()) or 'none yet'}.")

    def write(self, path: str, text: str) -> None:
        """Write a file as a whole; earlier versions stay in its history."""
        with self._memory.store.transaction():
            old = next((c for c in self._shelf.cubes() if c.metadata["path"] == check_text(path, "path")), None)
            draft = self._shelf.draft(f"{path}\n{text}", {"path": path, "text": check_text(text, "text")})
            self._shelf.write([draft if old is None else self._shelf.next(old, draft)])


@dataclass(frozen=True, slots=True)
class Action:
    """What an executor does next: read or write a file, or finish the instruction."""

    do: str  # read, write or finish
    path: str = ""
    text: str = ""


Execute = Callable[[str], Action]  # takes a prompt
Summarise = Callable[[str], str]  # takes a prompt, returns the progress so far in a few words
Check = Callable[[Files], str | None]  # what is wrong with the files; None: nothing


class Program:
    """The control unit. Instructions are steps of a task of the same name, so a killed run goes on where it was."""

    def __init__(self, memory: TextMemory, name: str, *, tokens: int = 2_000, count: Count | None = None) -> None:
        self.files, self.task = Files(memory, name), Task(memory, name)
        self.tokens, self.count = check_count(tokens, "tokens"), count or estimate_tokens
        self.peak = 0  # tokens of the largest prompt

    def load(self, instructions: Sequence[str]) -> None:
        """Add instructions to the registry; those that are there stay as they are."""
        for i, instruction in enumerate(instructions, 1):
            self.task.add(f"instruction {i:03}", instruction, needs=[f"instruction {i - 1:03}"] if i > 1 else [])

    def run(self, execute: Execute, summarise: Summarise, check: Check, *, most: int = 50) -> bool:
        """Carry out the open instructions; return whether all are done. `most` bounds the actions of each.

        An instruction is done when the executor finishes it and the check finds nothing. Raises InvalidInput where an
        instruction and its summary alone do not fit into the window.
        """
        while open_ := self.task.ready():
            if not self._carry_out(open_[0], execute, summarise, check, most):
                return False
        return all(node.status == "done" for node in self.task.nodes().values())

    def _carry_out(self, step: str, execute: Execute, summarise: Summarise, check: Check, most: int) -> bool:
        progress, seen = str(self.task.get(step).slots.get("progress", "")), list[str]()
        for _ in range(most):
            prompt = self._prompt(step, progress, seen)
            if self.count(prompt) > self.tokens:
                if not seen:
                    raise InvalidInput(f"{step} does not fit into {self.tokens} tokens: give more, or split it.")
                progress = self._short(summarise(self._prompt(step, progress, seen[:-1])))
                self.task.set(step, progress=progress)  # a killed run goes on from here
                seen = [] if self.count(self._prompt(step, progress, seen[-1:])) > self.tokens else seen[-1:]
                continue
            self.peak = max(self.peak, self.count(prompt))
            action = execute(prompt)
            if action.do == "read":
                try:
                    seen.append(f"File {action.path}:\n{self.files.read(action.path)}")
                except NotFound as error:
                    seen.append(str(error))
            elif action.do == "write":
                self.files.write(action.path, action.text)
                seen.append(f"Wrote {action.path}.")
            elif action.do != "finish":
                raise InvalidInput(f"the action is {action.do!r}: use read, write or finish.")
            if action.do != "read" and (wrong := check(self.files)) is not None:
                seen.append(f"Check failed: {wrong}")
            elif action.do == "finish":
                self.task.done(step)
                return True
        return False

    def _prompt(self, step: str, progress: str, seen: Sequence[str]) -> str:
        head = [f"Instruction: {self.task.get(step).intent}", f"Files: {', '.join(self.files.names()) or 'none'}"]
        return "\n".join([*head, *([f"Progress: {progress}"] if progress else []), *seen])

    def _short(self, text: str) -> str:
        """Return a summary cut to its share of the window, so that a restart makes room."""
        while text and self.count(text) > LONGEST_SUMMARY * self.tokens:
            text = text[: int(len(text) * 0.9)]
        return text

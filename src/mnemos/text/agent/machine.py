"""Programs that are stored in memory: a fixed reader with an associative read-write memory computes anything.

After "Memory Augmented Large Language Models are Computationally Universal" (arXiv 2301.04589): a loop takes the instruction
stored under the program counter, substitutes `@{name}` by what memory has, asks a fixed reader, and a regular expression
parses `name = "value"` and the next instruction back into memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b

from mnemos.arguments import check_count, check_text
from mnemos.errors import InvalidInput, NotFound, StoreError
from mnemos.guard.key import key_of
from mnemos.text.agent.shelf import Shelf
from mnemos.text.memory import TextMemory

KIND = "agent-file"  # of the cubes
COUNTER, HALT = "op", "halt"
_NAME = re.compile(r"@\{([\w-]+)\}")
_ASSIGN = re.compile(r'([\w@{}-]+) = "([^"\n]*)"')
_SUM = re.compile(r"(-?\d+)([+-]\d+)")
Answer = Callable[[str], str]  # the fixed reader: a prompt, and what it says


class Machine:
    """An associative memory of strings in a space, and the loop that runs stored instructions over it.

    Each name is a cube of the kind `agent-file`; a write is its next version. Every value carries a keyed hash of itself and
    its name, so that an entry that was changed behind the memory's back is noticed when it is read.
    """

    def __init__(self, memory: TextMemory, name: str) -> None:
        self._memory, self._shelf = memory, Shelf(memory, KIND, check_text(name, "name"))
        self._held: dict[str, str] = {}
        self._dirty: set[str] = set()
        self.load()

    def load(self) -> None:
        """Read the memory from the space. Raises StoreError for an entry that was changed behind its back."""
        self._held, self._dirty = {}, set()
        for cube in self._shelf.cubes():
            name, value = str(cube.metadata["name"]), str(cube.metadata["value"])
            if cube.metadata["mark"] != self._mark(name, value):
                raise StoreError(f"the entry {name!r} was changed: its mark does not fit. Restore it from a backup.")
            self._held[name] = value

    def get(self, name: str, default: str | None = None) -> str:
        """Return the value of a name, or the default. Raises NotFound without one."""
        value = self._held.get(name, default)
        if value is None:
            raise NotFound(f"memory has no entry {name!r}: write it first.")
        return value

    def put(self, values: Mapping[str, str]) -> None:
        """Write values; `save` makes them durable."""
        for name, value in values.items():
            if self._held.get(name) != value:
                self._held[name] = check_text(value, name)
                self._dirty.add(name)

    def save(self) -> None:
        """Store what was written, in one transaction: it survives a crash as a whole or not at all."""
        with self._memory.store.transaction():
            known = {str(cube.metadata["name"]): cube for cube in self._shelf.cubes()}
            drafts = []
            for name in sorted(self._dirty):
                value = self._held[name]
                about = {"name": name, "value": value, "mark": self._mark(name, value)}
                draft = self._shelf.draft(f'{name} = "{value}"', about)
                drafts.append(self._shelf.next(known[name], draft) if name in known else draft)
            self._shelf.write(drafts)
        self._dirty = set()

    def run(self, answer: Answer, steps: int, *, save_each: int = 1_000) -> int:
        """Run stored instructions for at most `steps`, or until the counter says "halt"; return the number of steps run.

        The state is saved every `save_each` steps and at the end. Raises InvalidInput where the reader assigns nothing.
        """
        check_count(steps, "steps", least=0)
        for done in range(steps):
            at = self.get(COUNTER)
            if at == HALT:
                self.save()
                return done
            said = answer(self.filled(self.get(at)))
            values = dict(_ASSIGN.findall(said))
            if COUNTER not in values:
                raise InvalidInput(f"the reader gave no next instruction after {at!r}: {said!r:.60}.")
            self.put({self.filled(name): _summed(self.filled(value)) for name, value in values.items()})
            if (done + 1) % save_each == 0:
                self.save()
        self.save()
        return steps

    def filled(self, text: str) -> str:
        """Return a text with each @{name} replaced by what memory has, the innermost first; "0" is what it has not."""
        while (new := _NAME.sub(lambda match: self._held.get(match[1], "0"), text)) != text:
            text = new
        return text

    def _mark(self, name: str, value: str) -> str:
        secret = key_of(self._memory.store)
        return blake2b(f"{name}\0{value}".encode(), digest_size=8, key=secret, person=b"mnemos machine").hexdigest()


def _summed(value: str) -> str:
    """Return the sum that a value spells, such as "4+1"; other values as they are."""
    match = _SUM.fullmatch(value)
    return str(int(match[1]) + int(match[2])) if match else value

"""What an import did, file by file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """Something of a source and what became of it: why it was not imported, was left out, or how it was taken."""

    where: str  # file, and position in it
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass
class FileReport:
    """What was done with one file. `read` is the sum of added, updated, skipped, problems and left out."""

    name: str
    format: str = ""
    read: int = 0
    added: int = 0
    updated: int = 0  # a new version of what was there: edited, moved or cut since
    skipped: int = 0  # there already
    removed: int = 0  # not read: what was there and is no longer in the source, taken out of what is current
    problems: list[Problem] = field(default_factory=list)  # what could not be imported, and why
    left_out: list[Problem] = field(default_factory=list)  # what was left out by intention, and why
    remarks: list[Problem] = field(default_factory=list)  # what was taken, but not as it was

    @property
    def undated(self) -> int:
        """How many messages had no time, and have that of the import."""
        return sum(remark.what == NOW for remark in self.remarks)


NOW = "no time was found: dated now"


@dataclass
class ImportReport:
    """What an import did: the sums over its files, and each file."""

    format: str
    files: list[FileReport] = field(default_factory=list)

    @property
    def read(self) -> int:
        """How many messages, sections and cubes were read."""
        return sum(file.read for file in self.files)

    @property
    def added(self) -> int:
        """How many were new."""
        return sum(file.added for file in self.files)

    @property
    def updated(self) -> int:
        """How many got a new version, or were taken out because the source no longer has them."""
        return sum(file.updated for file in self.files)

    @property
    def skipped(self) -> int:
        """How many were there already."""
        return sum(file.skipped for file in self.files)

    @property
    def removed(self) -> int:
        """How many were taken out of what is current, because they are no longer in the source. History is kept."""
        return sum(file.removed for file in self.files)

    @property
    def undated(self) -> int:
        """How many had no time, and have that of the import."""
        return sum(file.undated for file in self.files)

    @property
    def problems(self) -> list[Problem]:
        """What could not be imported, and why."""
        return [problem for file in self.files for problem in file.problems]

    @property
    def left_out(self) -> list[Problem]:
        """What was left out by intention, and why."""
        return [problem for file in self.files for problem in file.left_out]

    @property
    def remarks(self) -> list[Problem]:
        """What was taken, but not as it was."""
        return [problem for file in self.files for problem in file.remarks]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready data."""
        names = ("format", "read", "added", "updated", "skipped", "removed", "undated")
        lists = ("problems", "left_out", "remarks")
        return {
            **{name: getattr(self, name) for name in names},
            **{name: [asdict(problem) for problem in getattr(self, name)] for name in lists},
            "files": [{**asdict(file), "undated": file.undated} for file in self.files],
        }


def reasons(problems: Iterable[Problem]) -> list[tuple[str, int, str]]:
    """Return (reason, how often, where first) of problems, the most frequent first."""
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for problem in problems:
        counts[problem.what] += 1
        first.setdefault(problem.what, problem.where)
    return [(what, n, first[what]) for what, n in counts.most_common()]

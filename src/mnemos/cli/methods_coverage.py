"""The coverage matrix of docs/methods: each form of memory by the six operations on it, made from the registry.

After "Rethinking Memory in AI: Taxonomy, Operations, Topics, and Future Directions" (arXiv 2505.00675), with the operations
of this house. A cell has methods, or says why it has none; tests/contracts/test_coverage.py fails on one that does neither.
"""

from __future__ import annotations

from collections.abc import Sequence

from mnemos.registry import Entry

MEMORIES = ("text", "activation", "parametric")
OPERATIONS = ("encode", "recall", "update", "forget", "consolidate", "compress")
UNSUPPORTED = {  # (form, operation) -> why there is no method, and what to use
    ("activation", "encode"): "unsupported: `migrate` prefills keys and values; readers of texts are in `recall`",
    ("activation", "update"): "unsupported: keys and values of a changed text are stale and are prefilled again",
}


def coverage(entries: Sequence[Entry]) -> list[str]:
    """Return the matrix as lines of Markdown: the number of methods in each cell with its page, or why there is none."""
    said = "The six operations on each form of memory: how many methods there are, or why there is none."
    lines = ["", "## Coverage", "", said, ""]
    lines += ["| operation | " + " | ".join(MEMORIES) + " |", "| --- | " + " | ".join("---" for _ in MEMORIES) + " |"]
    for operation in OPERATIONS:
        cells = []
        for form in MEMORIES:
            count = sum(e.form == form and e.operation == operation for e in entries)
            page = f"[{count} method{'s' if count > 1 else ''}]({form}-{operation}.md)"
            cells.append(page if count else UNSUPPORTED.get((form, operation), ""))
        lines.append(f"| {operation} | " + " | ".join(cells) + " |")
    return lines

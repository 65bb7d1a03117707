"""Tables of patterns: a name, followed by the indented lines of its pattern."""

from __future__ import annotations


def read_table(table: str) -> dict[str, str]:
    """Return the patterns of a table by name; lines are joined without a blank, and those that begin with # are left out."""
    found, name = dict[str, str](), ""
    for line in table.strip("\n").split("\n"):
        if line.startswith("#"):
            continue
        if line.startswith("  "):
            found[name] = found.get(name, "") + line[2:]
        else:
            name = line
    return found

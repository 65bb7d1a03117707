"""Generates docs/laws.md, the gallery of the laws: `python -m mnemos.bench.laws.document > docs/laws.md`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mnemos.bench.laws.catalogue import laws, paper
from mnemos.bench.laws.run import STORED, agreement
from mnemos.bench.registry import Result

INTRO = """\
# The laws of memory: a gallery

<!-- generated from the results by `python -m mnemos.bench.laws.document > docs/laws.md` -->

Each picture is an experiment that its command repeats in seconds or minutes, with other seeds by `--seeds 3,4,5`. Points are
means over seeds with their standard deviation, bands are intervals of 95 % of a fitted curve. What each claim of a
paper came to is on [the page of results](results/laws.md).
"""


def render(result: Result) -> str:
    """Return the page: for each stored law its sentence, its picture, its command and its curves."""
    lines = [INTRO]
    stored = {name: result["parts"][name] for name in laws() if name in result["parts"]}
    for name, part in stored.items():
        seen = [claim["seen"] for claim in part["claims"]]
        lines += [f"## {name}", "", laws()[name].about, ""]
        if part.get("means"):
            lines += [f"**For a memory:** {part['means']}", ""]
        lines += [f"![{name}](../benchmarks/results/laws/laws-{name}.png)", ""]
        lines += [*map(_curve, part.get("fits", ())), *([""] if part.get("fits") else [])]
        of = ", ".join(map(paper, laws()[name].papers))
        counts = f"{seen.count('yes')} of {len(seen)} claims seen, {seen.count('partly')} partly"
        if part.get("repeated"):
            counts += f"; verdicts the same on other seeds: {agreement(part)}"
        lines += [f"`mnemos bench laws {name}` · {part['cpu_seconds']:.0f} s of a processor · {of} · {counts}", ""]
    return "\n".join(lines)


def _curve(fit: dict[str, Any]) -> str:
    numbers = ", ".join(f"{of} {v:.3g} ({low:.3g} to {high:.3g})" for of, (v, low, high) in fit["numbers"].items())
    return f"- {fit['panel']}, {fit['curve']}: {fit['says']}; {numbers}; R² {fit['r2']:.3f}"


if __name__ == "__main__":
    print(render(json.loads(Path(STORED).read_text(encoding="utf-8"))), end="")

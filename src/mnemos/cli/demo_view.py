"""Print the demo on a terminal, or draw it as a picture. Imported only when the demo runs."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from mnemos.cli.demo import Answer, Demo
from mnemos.cli.escape import styled
from mnemos.cli.render import header, highlight
from mnemos.cube import Hit
from mnemos.reason.dates import find_dates

WIDTH = 100
SIGNALS = 4  # signals shown of each hit


def show(demo: Demo, out: Console) -> None:
    """Print the run, for a terminal of 100 columns."""
    width = min(out.width, WIDTH)
    out.print()
    out.print(Text.assemble("  ", ("Mnemos", "bold magenta"), " remembers ", (demo.about, "bold"), "."))
    out.print(
        f"  {demo.messages} memories from {demo.sessions} conversations, stored and indexed in {demo.seconds:.2f} s "
        f"on this machine:\n  no LLM, no network, {'no server' if demo.engine.startswith('SQLite') else demo.engine}."
    )
    for answer in demo.answers:
        title = Text(answer.question, "bold")
        took = Text(f"{answer.milliseconds:.1f} ms", "green")
        out.print()
        out.print(
            Panel(
                _body(answer), title=title, title_align="left", subtitle=took, subtitle_align="right",
                border_style="blue", width=width, padding=(0, 2),
            )
        )  # fmt: skip
    out.print()
    out.print(Text.assemble("  A block for a prompt, ", ("mnemos context", "bold"), f' "{demo.prompt}":'))
    out.print(Panel(Text(demo.context, "cyan"), border_style="dim", width=width, padding=(0, 2)))
    place = f"--root {demo.root} --space demo " if demo.kept else ""
    out.print()
    if demo.kept:
        out.print(
            Text.assemble("  Ask it yourself:    ", (f'mnemos search {place}"Where does the cat sleep?"', "bold green"))
        )
    else:
        out.print(Text.assemble("  Ask it yourself:    ", ("mnemos demo --keep memory", "bold green")))
    out.print(
        Text.assemble("  Start your own:     ", ('mnemos add "I was born in Lisbon." --speaker Ana', "bold green"))
    )
    out.print(Text.assemble("  In Python:          ", ('mnemos.Mnemos().space("ana").search("...")', "bold green")))
    out.print()


def _body(answer: Answer) -> Text:
    body = Text()
    if answer.earlier is not None and answer.then is not None:
        body.append("today             ", "dim").append_text(_said(answer.hit, answer.question)).append("\n")
        day = datetime.fromisoformat(answer.then)
        body.append(f"as of {day.day} {day:%b %Y}  ", "dim").append_text(_said(answer.earlier, answer.question))
    else:
        body.append_text(_heading(answer.hit)).append("\n").append_text(_said(answer.hit, answer.question))
    return body.append("\n").append_text(_reasons(answer.hit.why))


def _heading(hit: Hit) -> Text:
    return header(hit.cube)


def _said(hit: Hit, question: str) -> Text:
    """Return the text of a hit with the question's words highlighted and each relative date followed by its meaning."""
    text = highlight(styled(hit.cube.text), question)
    result, done = Text(), 0
    for date in find_dates(hit.cube.text, hit.cube.at):
        if date.relative:
            first, last = date.start, date.end - timedelta(microseconds=1)
            meaning = f"{first:%Y-%m-%d}" if first.date() == last.date() else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
            result.append_text(text[done : date.span_end]).append(f" [{meaning}]", "italic magenta")
            done = date.span_end
    return result.append_text(text[done:])


def _reasons(why: Mapping[str, float]) -> Text:
    """Return the strongest signals in one line, each with a bar as long as its share."""
    line = Text("why  ", "dim")
    total = sum(abs(v) for v in why.values()) or 1.0
    for name, value in sorted(why.items(), key=lambda item: -abs(item[1]))[:SIGNALS]:
        bar = "━" * max(1, round(20 * abs(value) / total))
        line.append(f"{name} ", "dim").append(bar, "red" if value < 0 else "green").append(f" {value:.2f}   ", "dim")
    return line


def picture(demo: Demo) -> str:
    """Return the screen as SVG, without any reference to the network."""
    console = Console(
        record=True, width=WIDTH, height=100, file=io.StringIO(), force_terminal=True, color_system="truecolor",
        markup=False, emoji=False, highlight=False, legacy_windows=False, no_color=False, _environ={},
    )  # fmt: skip
    show(demo, console)
    svg = console.export_svg(title="mnemos demo", unique_id="mnemos-demo")
    return re.sub(r"@font-face\s*\{[^}]*\}\s*", "", svg)

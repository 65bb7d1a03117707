"""Print cubes and hits on a terminal. Stored text is never parsed as markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mnemos.cli.escape import one_line, styled
from mnemos.cube import Hit, MemCube
from mnemos.guard.preview import Offer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

BAR = 24  # columns of the longest bar of `why`
_WORD = re.compile(r"\w+")


def when(moment: datetime) -> str:
    """Return a time as text: Fri 7 Feb 2025 19:04, in its own offset."""
    return f"{moment:%a} {moment.day} {moment:%b %Y %H:%M}"


def size(count: int) -> str:
    """Return a number of bytes as text: 512 B, 1.5 kB, 23 MB."""
    units = ("B", "kB", "MB", "GB", "TB")
    step = max(i for i in range(len(units)) if i == 0 or count >= 1000**i)
    return f"{count / 1000**step:.3g} {units[step]}"


def header(cube: MemCube) -> Text:
    """Return the line above a text: time, speaker, session and id."""
    from rich.text import Text

    line = Text(when(cube.at), "cyan")
    for value, style in ((cube.speaker or cube.role, "bold"), (cube.session, "")):
        if value:
            line.append("  ").append(one_line(value), style)
    if cube.kind != "turn":
        line.append("  ").append(one_line(cube.kind), "magenta")
    if cube.version > 1:
        line.append(f"  version {cube.version}", "magenta")
    return line.append("  ").append(one_line(cube.id), "dim")


def highlight(text: Text, query: str) -> Text:
    """Highlight the words of `text` that have the stem of a word of the query."""
    from mnemos.index.terms import stop_terms, terms

    wanted = set(terms(query)) - stop_terms() or set(terms(query))
    for match in _WORD.finditer(text.plain):
        found = wanted.intersection(terms(match[0]))
        if not found:
            continue
        inside = [t for t in found if t != match[0] and not t.isascii() and t in match[0]]  # a part of a CJK run
        for part in inside:
            text.stylize("bold yellow", *_span(match, part))
        if not inside:
            text.stylize("bold yellow", *match.span())
    return text


def _span(match: re.Match[str], part: str) -> tuple[int, int]:
    start = match.start() + match[0].index(part)
    return start, start + len(part)


def bars(why: Mapping[str, float]) -> Table:
    """Return a table with a line per signal: name, bar and share of the score; the largest first."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    top = max((abs(v) for v in why.values()), default=0.0) or 1.0
    for name, value in sorted(why.items(), key=lambda item: -abs(item[1])):
        if f"{abs(value):.3f}" != "0.000":
            bar = "━" * max(1, round(BAR * abs(value) / top))
            table.add_row(one_line(name), Text(bar, "red" if value < 0 else "green"), f"{value:+.3f}")
    return table


def show_card(out: Console, title: Text, body: Text, extra: RenderableType | None = None) -> None:
    """Print a title and an indented text below it: wrapped on a terminal, unbroken lines elsewhere."""
    from rich.padding import Padding
    from rich.text import Text

    out.print(title, soft_wrap=True)
    if out.is_terminal:
        out.print(Padding(body, (0, 0, 0, 4)))
    else:
        for line in body.split("\n"):
            out.print(Text("    ").append_text(line), soft_wrap=True)
    if extra is not None:
        out.print(Padding(extra, (0, 0, 0, 4), expand=False))


def show_hits(out: Console, hits: Iterable[Hit], query: str, *, why: bool = False) -> None:
    """Print hits as cards, best first, with the words of the query highlighted; with `why` their signals too."""
    from rich.text import Text

    for rank, hit in enumerate(hits, 1):
        if rank > 1:
            out.print()
        title = Text(f"{rank:>2}  ", "bold").append(f"{hit.score:.3f}  ", "green").append_text(header(hit.cube))
        if hit.relevance is not None:
            title.append(f"  {hit.relevance:.0%}", "dim")
        body = highlight(styled(hit.cube.text.strip()), query)
        if hit.also:
            body.append("\nalso " + ", ".join(f"{cube.at:%Y-%m-%d %H:%M}" for cube in hit.also), "dim")
        for cube in hit.earlier:
            until = f", until {cube.valid_to:%Y-%m-%d}" if cube.valid_to else ""
            body.append(f"\nearlier{until}: ", "dim").append(styled(cube.text))
        show_card(out, title, body, bars(hit.why) if why else None)


def show_cubes(out: Console, cubes: Iterable[MemCube]) -> None:
    """Print cubes as cards."""
    for cube in cubes:
        show_card(out, header(cube), styled(cube.text.strip()))


def show_offers(out: Console, offers: Sequence[Offer]) -> None:
    """Print cubes that an erasure would keep, as cards with the reason why they may be meant."""
    if offers:
        out.print(styled("near, and kept; erase them by id:", "bold"))
    for offer in offers:
        show_card(
            out, header(offer.cube).append(f"  {one_line(offer.reason)}", "yellow"), styled(offer.cube.text.strip())
        )


def facts(rows: Mapping[str, object]) -> Table:
    """Return a table of names and values, without values that are None or empty."""
    from rich.console import ConsoleRenderable
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        if value not in (None, "", (), [], {}):
            table.add_row(name, value if isinstance(value, ConsoleRenderable) else styled(str(value)))
    return table


def columns(*heads: str) -> Table:
    """Return an empty table with these column heads, without vertical lines."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    return table

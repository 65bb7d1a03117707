"""Commands about Mnemos itself: methods, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mnemos.cli.command import command
from mnemos.cli.escape import styled
from mnemos.cli.render import columns, facts
from mnemos.cli.terminal import Terminal
from mnemos.errors import InvalidInput
from mnemos.location import locate
from mnemos.registry import Entry, Paper, all_entries, find


@command("json")
def methods(
    t: Terminal,
    name: Annotated[str | None, typer.Argument(help="The name of one method (default: all).")] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the pages of all methods, as docs/methods has them.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write the pages into this folder instead.")
    ] = None,
    results: Annotated[
        Path, typer.Option("--results", metavar="DIR", help="The folder of benchmark results for the pages.")
    ] = Path("benchmarks/results"),
) -> None:
    """Show the methods of Mnemos and the papers they come from."""
    if markdown or out is not None:
        _pages(out, results, t)
        return
    found = all_entries() if name is None else find(name)
    if t.json:
        data = [_as_data(method) for method in found]
        t.say(data[0] if name is not None and len(data) == 1 else data)
    elif name is not None:
        for number, method in enumerate(found):
            if number:
                t.out.print()
            shown = _as_data(method)
            shown |= {"papers": "\n".join(_papers(method)), "baselines": ", ".join(method.baselines)}
            t.out.print(facts(shown))
    else:
        table = columns("method", "form / operation", "what it does", "papers")
        for method in found:
            place = styled(f"{method.form} / {method.operation}")
            papers = styled("\n".join(_papers(method)), "dim")
            table.add_row(styled(method.name, "bold"), place, styled(method.summary), papers)
        t.out.print(table)


@command("embedder", "json")
def demo(
    t: Terminal,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep", metavar="FOLDER|URL", help="Keep the demo's memory in this folder or Postgres database."
        ),
    ] = None,
    postgres: Annotated[
        bool, typer.Option("--postgres", help="Keep it in a Postgres that is started for the demo and ended after it.")
    ] = False,
    svg: Annotated[Path | None, typer.Option("--svg", help="Also write the screen as an SVG picture.")] = None,
) -> None:
    """Store a small conversation and ask six questions about it."""
    from mnemos.cli.demo import play
    from mnemos.cli.demo_view import picture, show

    if postgres and keep is not None:
        raise InvalidInput("--postgres starts a server for the demo, and --keep names a root. Leave one of them out.")
    result = play(None if keep is None else locate(keep), t.settings.embedder, postgres=postgres)
    if t.json:
        t.say(result.to_dict())
    else:
        show(result, t.out)
    if svg is not None:
        svg.write_text(picture(result), encoding="utf-8")
        t.note(f"wrote {svg}")


def _pages(out: Path | None, results: Path, t: Terminal) -> None:
    """Print the pages of all methods, or write them into a folder."""
    from mnemos.cli import methods_page

    if out is None:
        print("\n".join(methods_page.pages(results).values()), end="")
    else:
        t.note(f"{len(methods_page.write(results, out))} pages are in {out}")


def _papers(method: Entry) -> list[str]:
    return [_paper(paper) for paper in method.papers]


def _paper(paper: Paper) -> str:
    places = [f"arXiv {paper.arxiv}"] if paper.arxiv else []
    places += [f"github.com/{paper.code}"] if paper.code else []
    return f"{paper.title} ({', '.join(places)})" if places else paper.title


def _as_data(method: Entry) -> dict[str, Any]:
    return {
        "name": method.name, "form": method.form, "operation": method.operation, "kind": method.kind,
        "summary": method.summary, "address": method.address,
        "papers": [{"title": p.title, "arxiv": p.arxiv, "code": p.code} for p in method.papers], "task": method.task,
        "baselines": list(method.baselines), "phase": method.phase if method.form == "activation" else None,
        "unmeasured": method.unmeasured,
    }  # fmt: skip

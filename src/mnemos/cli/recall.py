"""Commands that search: search, context."""

from __future__ import annotations

from typing import Annotated, Unpack

import typer

from mnemos.cli.command import command
from mnemos.cli.escape import styled
from mnemos.cli.options import AskedAt
from mnemos.cli.render import show_hits
from mnemos.cli.terminal import Terminal
from mnemos.space import SearchMethod
from mnemos.text.recall.filters import Filters
from mnemos.text.recall.many import enough

SHOWN = 5  # hits of a question that asks for one thing
Question = Annotated[str, typer.Argument(help="The question, in your own words.")]
MinScore = Annotated[
    float | None, typer.Option("--min-score", min=0, max=1, help="The least probability, of a hit, that it answers.")
]


@command(filters=True)
def search(
    t: Terminal,
    query: Question,
    k: Annotated[
        int | None,
        typer.Option("--k", "-k", min=1, help="How many to show (default: 5, or 10 for a list or a count)."),
    ] = None,
    *,
    asked_at: AskedAt = None,
    method: Annotated[
        SearchMethod,
        typer.Option(
            "--method",
            help="hybrid; cross-encoder, which reads the first 20 hits once more; or words, or vectors, alone.",
        ),
    ] = "hybrid",
    min_score: MinScore = None,
    why: Annotated[bool, typer.Option("--why", help="Show what each signal added to the score.")] = False,
    **filters: Unpack[Filters],
) -> None:
    """Find the cubes that answer a question, best first."""
    wanted = enough(query, SHOWN) if k is None else k
    hits = t.space().search(query, wanted, asked_at=asked_at, method=method, min_score=min_score, **filters)
    if t.json:
        t.say([hit.to_dict() for hit in hits])
    elif hits:
        show_hits(t.out, hits, query, why=why)
        if not hits.answerable:
            t.note("none of these seems to answer the question")
    else:
        _nothing(t, bool(filters), "" if min_score is None else "; or nothing is that relevant: lower --min-score")


@command(filters=True)
def context(
    t: Terminal,
    question: Question,
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="The most tokens that the block may have.")] = 800,
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="How many hits to choose from.")] = 40,
    *,
    asked_at: AskedAt = None,
    min_score: MinScore = None,
    **filters: Unpack[Filters],
) -> None:
    """Pack the best hits into a block for a prompt: in time order, cited by id, within a budget.

    Nothing is printed where nothing seems to answer, unless --min-score says how relevant each must be (0: all).
    """
    block = t.space().context(question, tokens=tokens, k=k, asked_at=asked_at, min_score=min_score, **filters)
    if t.json:
        t.say({"context": block})
    elif block:
        t.out.print(styled(block), soft_wrap=True)
    else:
        _nothing(
            t,
            bool(filters),
            "; or nothing seems to answer: --min-score 0 shows the nearest; or the budget is too small: raise --tokens",
        )


def _nothing(t: Terminal, filtered: bool, also: str = "") -> None:
    """Print why nothing may have been found, and what to do."""
    if t.space().count() == 0:
        t.note(f'this space is empty: try mnemos add "..." -s {t.space().name}')
    elif filtered:
        t.note(f"nothing matches the filters: leave one out, or see `mnemos list`{also}")
    else:
        t.note(f"nothing found: use other words, or list all cubes with `mnemos list`{also}")

"""`mnemos bench NAME`: measure, and `mnemos bench report`: render the tables of the docs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mnemos.cli.command import command
from mnemos.cli.escape import styled
from mnemos.cli.render import columns
from mnemos.cli.terminal import Terminal

RETRIEVAL = {
    "locomo": "Recall of the evidence in LoCoMo's ten conversations, by turn and by session.",
    "beam": "Recall of the source messages in BEAM's long chats.",
    "longmemeval": "Recall of the answer sessions by LongMemEval's own protocol.",
}
LIFE = {
    "facts": "Facts that change over a year: is the latest value first, and as-of the one of that day?",
    "stage-faults": "Extraction, update and answer scored apart, with faults put into each.",
    "temporal-order": "Which of two turns came first.",
    "retention": "Laws of forgetting at equal budget, with skewed reuse.",
    "poison": "Attacks on what an agent is shown, with and without the guard.",
    "endurance": "A year of 50,000 turns with questions by day and consolidation by night.",
    "erasure": "A thousand random spaces in which something is forgotten; what is left of it.",
    "summary-loss": "What summaries of summaries lose: rare things first.",
    "faults": "A model that fails in a third of its calls: are writes lost?",
}
KV = {
    "kv-long": "Blocks that are fetched when asked for, in contexts of up to 16 times the trained length.",
    "kv-diffusion": "Caches for masked-diffusion decoding: agreement, what is computed again, ablations.",
    "kv-speed": "What a cache through Mnemos costs and saves in time: its door, an eighth held, KV cubes.",
    "kv-pages": "Pages, a shared prefix, attention in chunks and virtual memory: room and time.",
    "kv-schedule": "How long caches are kept while tools work, and which prefixes stay, in a simulation.",
}
app = typer.Typer(
    no_args_is_help=True, help="Measure: each run writes one JSON result that the docs are rendered from."
)

Data = Annotated[
    Path, typer.Option("--data", help="The benchmark's data, a file or a folder; it is not part of Mnemos.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="Where to write the result, a .json file or a folder (default: benchmarks/results)."),
]
Seed = Annotated[int | None, typer.Option("--seed", help="The seed of the data.")]


@command("embedder", "json")
def retrieval(
    t: Terminal,
    data: Data,
    out: Out = None,
    systems: Annotated[
        str | None, typer.Option("--systems", help="Some of mnemos,bm25,vectors, separated by commas (default: all).")
    ] = None,
    splits: Annotated[
        str | None, typer.Option("--splits", help="Only the questions of these splits, separated by commas.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first conversations, so many.")] = None,
) -> None:
    """Registered once for each retrieval benchmark, which is the name of the command."""
    options = {
        "systems": _names(systems),
        "splits": _names(splits),
        "limit": limit,
        "embedder": None if t.settings.embedder == "bundled" else t.settings.embedder,
    }
    _run(t, t.command, data, out, options)


for _name, _help in RETRIEVAL.items():
    app.command(_name, help=_help)(retrieval)


@app.command()
@command("json")
def scale(
    t: Terminal,
    out: Out = None,
    sizes: Annotated[
        str | None, typer.Option("--sizes", help="Numbers of cubes, separated by commas, such as 1000,10000.")
    ] = None,
    vectors: Annotated[
        Literal["real", "random"] | None,
        typer.Option("--vectors", help="real: the bundled model embeds everything; random: much faster to fill."),
    ] = None,
    adds: Annotated[int | None, typer.Option("--adds", min=1, help="How many single adds to time.")] = None,
    queries: Annotated[int | None, typer.Option("--queries", min=1, help="How many searches to time.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="The seed of the texts.")] = None,
) -> None:
    """Time and memory by the number of cubes in one space."""
    try:
        counts = None if sizes is None else [int(text) for text in sizes.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{sizes!r} is not a list of numbers such as 1000,10000.") from error
    options = {"sizes": counts, "vectors": vectors, "adds": adds, "queries": queries, "seed": seed}
    _run(t, "scale", None, out, options)


@app.command()
@command("json")
def startup(
    t: Terminal,
    out: Out = None,
    repeats: Annotated[int | None, typer.Option("--repeats", min=1, help="How many processes to start.")] = None,
) -> None:
    """Time of `import mnemos`, and memory of an idle process."""
    _run(t, "startup", None, out, {"repeats": repeats})


@command("json")
def life(
    t: Terminal,
    out: Out = None,
    seed: Seed = None,
) -> None:
    """Registered once for each benchmark of the life of memories, which is the name of the command."""
    _run(t, t.command, None, out, {"seed": seed})


for _name, _help in {**LIFE, **KV}.items():
    app.command(_name, help=_help)(life)


@app.command()
@command("json")
def kv(
    t: Terminal,
    out: Out = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="The small model: recall, heads or mha (default: recall).")
    ] = None,
    methods: Annotated[
        str | None, typer.Option("--methods", help="Some cache methods, separated by commas (default: all).")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="FOLDER", help="A causal model as transformers saves it, in place of a small one."
        ),
    ] = None,
    contexts: Annotated[int | None, typer.Option("--contexts", min=4, help="Contexts of a task (default: 50).")] = None,
    seed: Seed = None,
) -> None:
    """Every cache method at equal bytes, on a small model that is trained on the spot."""
    given = {"kind": kind, "methods": _names(methods), "model": model, "contexts": contexts, "seed": seed}
    _run(t, "kv", None, out, given)


@app.command("train-models")
@command("json")
def train_models(
    t: Terminal,
    out: Out = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Some of recall,heads,mha,long, separated by commas (default: all).")
    ] = None,
    seed: Seed = None,
) -> None:
    """Train the small models that `mnemos bench kv` measures with, once, and say what they answer with a full cache."""
    _run(t, "train-models", None, out, {"kind": _names(kind), "seed": seed})


@app.command()
@command("json")
def report(
    t: Terminal,
    results: Annotated[Path, typer.Option("--results", help="The folder with the results.")] = Path(
        "benchmarks/results"
    ),
    docs: Annotated[Path, typer.Option("--docs", help="The page whose tables are rendered.")] = Path(
        "docs/benchmarks.md"
    ),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if the page is not current.")] = False,
) -> None:
    """Render the tables in the docs from the results."""
    from mnemos.bench.report import render

    changed = render(results, docs, check)
    if t.json:
        t.say({"docs": str(docs), "changed": changed})
    else:
        t.out.print(styled(f"{docs} was {'rendered anew' if changed else 'current'}"))


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",")]


def _run(t: Terminal, name: str, data: Path | None, out: Path | None, options: dict[str, Any]) -> None:
    from mnemos.bench.report import TABLES
    from mnemos.bench.run import run_benchmark

    result = run_benchmark(name, data, out, **options)
    if t.json:
        t.say(result)
        return
    for table, (file, rows) in TABLES.items():
        if file in (f"text/{name}", f"kv/{name}") and not table.startswith("summary"):
            t.out.print(table, style="bold")
            _table(t, rows(result))


def _table(t: Terminal, rows: Sequence[Sequence[Any]]) -> None:
    table = columns(*(str(head) for head in rows[0]))
    for row in rows[1:]:
        table.add_row(*(styled(str(cell)) for cell in row))
    t.out.print(table)

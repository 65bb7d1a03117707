"""Commands on what models have learned by heart: weights list, show, learn, ask, measure, plan, remove."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mnemos.cli.command import command
from mnemos.cli.escape import styled
from mnemos.cli.options import CubeId, CubeIds
from mnemos.cli.render import columns, facts, size, when
from mnemos.cli.terminal import Terminal
from mnemos.cube import MemCube
from mnemos.errors import InvalidInput, NotFound
from mnemos.migrate.weight_cubes import stale, weight_cubes

app = typer.Typer(no_args_is_help=True, help="What models have learned of a space by heart.")

Model = Annotated[
    str,
    typer.Option("--model", metavar="PATH", help="A folder that transformers can load, or smollm2.", show_default=True),
]
MODEL = "smollm2"


@app.command("list")
@command("root", "space", "json")
def list_weights(t: Terminal) -> None:
    """Show the weights of a space: what they hold, what they cost, and whether they may be used."""
    space = t.space()
    found = weight_cubes(space.store)
    old = stale(space.store, found)
    if t.json:
        t.say([{**cube.to_dict(), "stale": old.get(cube.id)} for cube in found])
        return
    if not found:
        t.note("no model has learned anything of this space yet: mnemos weights learn")
        return
    table = columns("id", "learned", "carrier", "texts", "size", "recall", "state")
    for cube in found:
        about = cube.metadata
        recall = _measures(cube, "after").get("recall", ("",))[0]
        state = old.get(cube.id) or ("imported, not measured" if about.get("imported") else "in use")
        cells = (cube.id, when(cube.at), str(about.get("method")), f"{len(cube.parents):,}", size(int(about.get("bytes", 0))),
                 f"{recall:.2f}" if recall != "" else "", state)  # fmt: skip
        table.add_row(*map(styled, cells))
    t.out.print(table)


@app.command("show")
@command("root", "space", "json")
def show_weights(t: Terminal, id: CubeId) -> None:
    """Show what weights were learned from, how, and what was measured before and after."""
    cube = _get(t, id)
    reason = stale(t.space().store, [cube]).get(id)
    if t.json:
        t.say({**cube.to_dict(), "stale": reason})
        return
    about = cube.metadata
    rows = {"carrier": about.get("method"), "knobs": about.get("knobs"), "model": about.get("architecture"),
            "size": size(int(about.get("bytes", 0))), "texts": ", ".join(cube.parents), "stale": reason or "no"}  # fmt: skip
    rows |= {f"gate failed {i}": text for i, text in enumerate(about.get("failed", ()), 1)}
    t.out.print(facts(rows))
    _show_measures(t, _measures(cube, "before"), _measures(cube, "after"))


@app.command("learn")
@command()
def learn_weights(
    t: Terminal,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID...", help="Ids of cubes (default: by --query).")
    ] = None,
    query: Annotated[str | None, typer.Option("--query", help="Learn the best cubes of a question.")] = None,
    k: Annotated[int, typer.Option("--k", min=1, help="How many of them.")] = 10,
    model: Model = MODEL,
    into: Annotated[str, typer.Option("--into", help="The carrier: see mnemos methods --form parametric.")] = "adapter",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Training steps at most.")] = 300,
    recall: Annotated[float, typer.Option("--recall", help="Share of it that has to be answered afterwards.")] = 0.9,
    paraphrase: Annotated[float, typer.Option("--paraphrase", help="... and asked in other words.")] = 0.75,
    when_asked: Annotated[
        bool, typer.Option("--when-asked", help="Attach them only to prompts that ask for what was learned.")
    ] = False,
) -> None:
    """Let a model learn cubes by heart, and keep the weights if they break nothing. Exit code 1 if they are not kept."""
    from mnemos.migrate.gate import Gate
    from mnemos.migrate.learning import Learning, carrier_of
    from mnemos.parametric.training import Training

    if bool(ids) == (query is not None):
        raise InvalidInput("give ids of cubes, or --query.")
    space = t.space()
    decoder, tokenizer = _load(model)
    training = Training(steps=steps, rate=carrier_of(into).rate)
    with t.progress("learning (training steps)", steps) as step:
        gate = Gate(recall=recall, paraphrase=paraphrase)
        how = Learning(gate, training, when_asked=when_asked, progress=lambda *_: step(1))
        report = space.learn(
            query if query is not None else list(ids or ()), decoder, tokenizer, into=into, how=how, k=k
        )
    if t.json:
        t.say(report.to_dict())
    else:
        _show_measures(t, report.before, report.after)
        for name, reason in report.left_out.items():
            t.note(f"{name} was left out: {reason}")
        if report.cube is not None:
            t.out.print(
                styled(f"{report.cube.id}: {report.examples:,} examples, {size(report.nbytes)}, {report.seconds:.0f} s")
            )
        for reason in report.decision.reasons:
            t.out.print(styled(f"not kept: {reason}", "yellow"), soft_wrap=True)
    if not report.promoted:
        raise typer.Exit(1)


@app.command("ask")
@command("root", "space", "json")
def ask_weights(
    t: Terminal,
    question: Annotated[str, typer.Argument(help="The question.")],
    ids: Annotated[
        list[str] | None, typer.Option("--weights", metavar="ID", help="Attach these (default: all).")
    ] = None,
    model: Model = MODEL,
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="Tokens of the answer at most.")] = 48,
    when_asked: Annotated[
        bool, typer.Option("--when-asked", help="Attach only what has learned something that the question asks for.")
    ] = False,
) -> None:
    """Ask a model with weights attached and nothing in its prompt but the question."""
    space = t.space()
    decoder, tokenizer = _load(model)
    text, special = f"Question: {question}\nAnswer:", True
    if tokenizer.chat_template:
        turns = [{"role": "user", "content": question}]
        text, special = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True), False
    asked = tokenizer(text, return_tensors="pt", add_special_tokens=special)
    with space.weights.attached(decoder, *(ids or ()), about=question if when_asked else None) as attachment:
        said = decoder.generate(**asked, max_new_tokens=tokens, do_sample=False, pad_token_id=tokenizer.eos_token_id)
    answer = tokenizer.decode(said[0, asked["input_ids"].shape[1] :], skip_special_tokens=True).strip()
    if t.json:
        t.say({"answer": answer, "weights": list(attachment.cubes), "refused": attachment.refused})
    else:
        t.out.print(styled(answer), soft_wrap=True)


@app.command("measure")
@command("root", "space", "json")
def measure_weights(t: Terminal, id: CubeId, model: Model = MODEL) -> None:
    """Measure weights again, and note it in their cube. Exit code 1 if the gate would refuse them now."""
    space = t.space()
    _get(t, id)
    decoder, tokenizer = _load(model)
    decision = space.weights.measure(id, decoder, tokenizer)
    cube = _get(t, id)
    if t.json:
        t.say(cube.to_dict())
    else:
        _show_measures(t, _measures(cube, "before"), _measures(cube, "after"))
        for reason in decision.reasons:
            t.out.print(styled(f"the gate: {reason}", "yellow"), soft_wrap=True)
    if not decision.promoted:
        raise typer.Exit(1)


@app.command("plan")
@command("root", "space", "json")
def plan_forms(
    t: Terminal,
    costs: Annotated[Path, typer.Option("--costs", help="A result of `mnemos bench forms`, which measures costs.")],
) -> None:
    """Show which memories should become weights, or keys and values, or text again, and why. Moves nothing."""
    from mnemos.bench.parametric.form_costs import from_result
    from mnemos.migrate.form_plan import plan
    from mnemos.migrate.form_schedule import FormSchedule

    space = t.space()
    found = from_result(costs).costs
    moves = plan(space.store, found, FormSchedule(), space.clock(), days=space.policy.days)
    if t.json:
        costs_of = [{str(form): seconds for form, seconds in m.choice.costs.items()} for m in moves]
        rows = zip(moves, costs_of, strict=True)
        t.say([{"id": m.id, "now": m.now, "to": m.to, "reason": m.choice.reason, "costs": each} for m, each in rows])
        return
    if not moves:
        t.note("every memory has the form that costs least for its use")
        return
    table = columns("id", "now", "to", "why")
    for move in moves:
        table.add_row(*map(styled, (move.id, move.now, move.to, move.choice.reason)))
    t.out.print(table)


@app.command("remove")
@command("root", "space", "json")
def remove_weights(t: Terminal, ids: CubeIds) -> None:
    """Erase weights. The texts that they were learned from stay."""
    for name in ids:
        _get(t, name)
    removed = t.space().store.erase(ids)
    if t.json:
        t.say({"removed": list(removed)})
    else:
        t.out.print(f"{len(removed):,} removed; the texts stay")


def _get(t: Terminal, cube_id: str) -> MemCube:
    if not (found := weight_cubes(t.space().store, [cube_id])):
        raise NotFound(f"there are no weights {cube_id!r} in this space: `mnemos weights list` shows all.")
    return found[0]


def _load(model: str) -> tuple[Any, Any]:
    from mnemos.activation.pretrained import load_decoder, load_tokenizer

    return load_decoder(model), load_tokenizer(model)


def _measures(cube: MemCube, which: str) -> dict[str, Any]:
    return dict((cube.metadata.get("measures") or {}).get(which) or {})


def _show_measures(t: Terminal, before: Any, after: Any) -> None:
    from mnemos.migrate.gate import NAMES

    table = columns("measure", "before", "after", "of")
    for name, meaning in NAMES.items():
        if name in after:
            was = f"{before[name][0]:.3f}" if name in before else ""
            table.add_row(*map(styled, (meaning, was, f"{after[name][0]:.3f}", f"{after[name][1]:,}")))
    t.out.print(table)

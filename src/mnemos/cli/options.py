"""The options that commands share, each declared once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, cast, get_type_hints

import typer

from mnemos.config import GENERAL, Setting, general, read_file
from mnemos.text.recall.filters import Filters, Flag, Metadata, State, Time


def _given(value: str | None) -> str | None:
    """Refuse an option without a value, as an unset variable of a shell leaves it: it would mean the default."""
    if value is not None and not value.strip():
        raise typer.BadParameter("it is empty. Give a value, or leave the option out for the default.")
    return value


Root = Annotated[
    str | None,
    typer.Option(
        "--root",
        metavar="FOLDER|URL",
        callback=_given,
        help="Folder that holds the spaces, or the URL of a Postgres database (env MNEMOS_ROOT; default: your data folder).",
    ),
]
SpaceName = Annotated[
    str | None,
    typer.Option("--space", "-s", callback=_given, help="The space to use (env MNEMOS_SPACE; default: default)."),
]
EmbedderSpec = Annotated[
    str | None,
    typer.Option(
        "--embedder",
        help="bundled, multilingual, none (words only), hashing, st:MODEL or openai:MODEL@URL "
        "(env MNEMOS_EMBEDDER; default: bundled).",
    ),
]
ReasonerSpec = Annotated[
    str | None,
    typer.Option(
        "--reasoner", help="rules, or openai:MODEL@URL: extracts facts and writes summaries (env MNEMOS_REASONER)."
    ),
]
ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The file of settings (env MNEMOS_CONFIG; default: mnemos.toml in your folder of settings, if it exists).",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else; errors as JSON too.")]

CubeId = Annotated[str, typer.Argument(metavar="ID", help="The id of a cube, as search and list show it.")]
CubeIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of cubes, as search and list show them.")]

AsOf = Annotated[str | None, typer.Option("--as-of", metavar="TIME", help="Use what was believed at TIME.")]
TrueAt = Annotated[
    str | None, typer.Option("--true-at", metavar="TIME", help="Show what was so at TIME, whenever it was told.")
]
AskedAt = Annotated[
    str | None,
    typer.Option(
        "--asked-at", metavar="TIME", help="When the question is asked: 'last week' is relative to it (default: now)."
    ),
]

Zone = Annotated[
    str | None,
    typer.Option(
        "--timezone",
        metavar="ZONE",
        help="Whose clock TIME and the days in the text are on, such as Europe/Lisbon or local (default: the space's).",
    ),
]

WorkerCount = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Spread the work over this many processes (with --ray: Ray workers)."),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Spread the work over a Ray cluster: HOST:PORT, auto (the one that runs here) or local (starts one).",
    ),
]

SHARED: Mapping[str, Any] = {
    "config": ConfigPath, "reasoner": ReasonerSpec, "root": Root, "space": SpaceName, "embedder": EmbedderSpec, "json": Json,
}  # fmt: skip
ABOUT_FILTERS = {
    "session": "Only cubes of this session.",
    "speaker": "Only what this speaker said.",
    "role": "Only this role, such as user or assistant.",
    "kind": "Only this kind, such as turn.",
    "source": "Only cubes from this source.",
    "where": 'Only cubes whose metadata matches: KEY=VALUE, or a JSON object such as \'{"rating": {"$gte": 4}}\' (operators '
    "$eq $ne $gt $gte $lt $lte $in $nin $contains $icontains $exists $not $and $or). May be repeated.",
    "since": "Only what happened, or speaks of a date, at or after TIME.",
    "until": "Only what happened, or speaks of a date, before TIME.",
    "as_of": "Use what was believed at TIME.",
    "true_at": "Only what was so at TIME, whenever it was told.",
    "state": "Only cubes that are active (the default), superseded or archived; any for all.",
    "include_superseded": "Also superseded cubes.",
    "include_derived": "Also episodes, summaries and profiles.",
    "timezone": "Where TIMEs without an offset are told and days begin, such as Europe/Lisbon or local (default: the space's).",
}


def _filter(name: str, kind: Any) -> Any:
    """Return the option of a filter: a time and a text are written as text, metadata as KEY=VALUE or JSON."""
    shapes: dict[Any, tuple[Any, str | None]] = {
        Time: (str | None, "TIME"), Metadata: (list[str] | None, "CONDITION"), Flag: (bool, None), State: (State, "STATE"),
    }  # fmt: skip
    written, metavar = shapes.get(kind, (kind, "ZONE" if name == "timezone" else None))
    return Annotated[written, typer.Option("--" + name.replace("_", "-"), metavar=metavar, help=ABOUT_FILTERS[name])]


FILTERS: Mapping[str, Any] = {name: _filter(name, kind) for name, kind in get_type_hints(Filters).items()}


@dataclass(frozen=True)
class CliSettings:
    """The common options of a command line; None for one that was not given."""

    root: str | None = None
    space: str | None = None
    embedder: str | None = None
    json: bool = False
    reasoner: str | None = None
    config: Path | None = None
    timezone: str | None = None  # has no option of its own: that of a command is about one call

    def over(self, outer: CliSettings | None) -> CliSettings:
        """Return these settings, with those not given taken from `outer`."""
        outer = outer or CliSettings()
        given = {f.name: getattr(self, f.name) or getattr(outer, f.name) for f in fields(CliSettings)}
        return CliSettings(**given)

    def sources(self) -> dict[str, Setting]:
        """Return the settings in effect and the source of each. Raises InvalidInput for a file that cannot be used."""
        given = {name: None if (value := getattr(self, name)) is None else str(value) for name in GENERAL}
        return general(given, read_file(self.config))

    def in_force(self) -> CliSettings:
        """Return these settings, with those not given taken from the environment, the file and the defaults."""
        found = {name: setting.value for name, setting in self.sources().items()}
        return replace(self, **found)


def pairs(given: Sequence[str] | None, option: str) -> dict[str, Any]:
    """Return KEY=VALUE arguments as a dict. Values that are JSON (5, true, "05") are parsed; others are strings."""
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


def _where(given: Sequence[str]) -> dict[str, Any]:
    """Return the conditions on metadata, all of which must match."""
    parts: list[dict[str, Any]] = []
    for text in given:
        if not text.lstrip().startswith("{"):
            parts.append(pairs([text], "--where"))
            continue
        try:
            parts.append(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise typer.BadParameter(f"{text!r:.60} is not a JSON object ({error}).", param_hint="'--where'") from error
    return parts[0] if len(parts) == 1 else {"$and": parts}


def filters_of(given: Mapping[str, Any]) -> Filters:
    """Return the filters that were given on the command line, as `Space.search` takes them."""
    found = {name: value for name, value in given.items() if value not in (None, False, [])}
    if "where" in found:
        found["where"] = _where(found["where"])
    return cast(Filters, found)

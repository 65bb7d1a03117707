"""Settings of the server: from options of `mnemos serve`, MNEMOS_SERVE_... variables and [serve] in the config file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from mnemos.config import DEFAULT, ConfigFile, Setting, refuse_unknown
from mnemos.distribution import install_command
from mnemos.errors import InvalidInput, MnemosError

try:
    from pydantic import Field, ValidationError, field_validator, model_validator
    from pydantic_settings import (
        BaseSettings,
        EnvSettingsSource,
        NoDecode,
        PydanticBaseSettingsSource,
        SettingsConfigDict,
    )
except ImportError as error:
    raise MnemosError(f"the server needs the package pydantic-settings: {install_command('serve')}.") from error

PREFIX = "MNEMOS_SERVE_"
PATHS = ("tls_cert", "tls_key")


class ServeSettings(BaseSettings):
    """Settings of `mnemos serve`. The descriptions are also the help texts of its options."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", min_length=1, description="The address to listen on.")
    port: int = Field(8765, ge=0, le=65535, description="The port to listen on; 0 picks a free one.")
    names: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="A further host name that clients use, as a proxy passes it on; may be repeated."
    )
    allow_remote: bool = Field(False, description="Listen on an address that other machines can reach.")
    rate: float = Field(500, ge=1, le=1e6, description="Requests per second that a key may make.")
    max_body: int = Field(
        8 * 1024 * 1024, ge=1024, description="Bytes of a request body other than an import or a chat."
    )
    max_chat_body: int = Field(
        64 * 1024 * 1024, ge=1024, description="Bytes of a chat that the proxy passes on, pictures included."
    )
    max_requests: int = Field(256, ge=4, le=10_000, description="Requests at work at once; others get 503.")
    max_connections: int = Field(
        4096, ge=16, le=1_000_000, description="Open connections; idle ones are closed when more arrive."
    )
    head_seconds: float = Field(
        10, gt=0, le=600, description="Seconds for which a connection may be idle, and for a head to arrive."
    )
    body_seconds: float = Field(
        30, gt=0, le=3600, description="Seconds for a request body to arrive, or for each part of an import."
    )
    upstream: str | None = Field(
        None, description="Also act as a proxy for this OpenAI-compatible API, such as http://127.0.0.1:11434/v1; "
        "its key is $MNEMOS_UPSTREAM_KEY.",
    )  # fmt: skip
    in_place: bool | None = Field(
        None, description="Keep memories before the message for which they were recalled, so that a model's prefix cache "
        "hits (by default for --model, not for --upstream).",
    )  # fmt: skip
    answers: bool = Field(
        False, description="With --upstream: answer an opening question that was answered before from a cache, "
        "until a memory that the answer was made of changes.",
    )  # fmt: skip
    model: str | None = Field(
        None,
        description="Also answer chats by a model that runs here: a folder that transformers can load, or smollm2.",
    )
    model_cache: int = Field(
        1024, ge=1, le=1 << 24, description="MiB for the keys and values of the model, shared by all conversations."
    )
    model_keep: int | None = Field(
        None, ge=64, description="Tokens that a conversation keeps of them at most; further pages are evicted. "
        "Without it all are kept.",
    )  # fmt: skip
    tls_cert: Path | None = Field(None, description="Serve TLS with this certificate (PEM, with its chain).")
    tls_key: Path | None = Field(None, description="The private key of the certificate (PEM, not encrypted).")
    log_format: Literal["text", "json"] = Field("text", description="Format of the log: text or json.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level that is logged: debug, info (a line per request), warning or error."
    )
    drain: float = Field(
        0, ge=0, le=600, description="Seconds between the stop signal and closing the port, for load balancers."
    )
    grace: int = Field(10, ge=0, le=600, description="Seconds that running requests have to finish.")

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *others: Any, **more: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use only the values passed in: `read` has merged the sources and knows where each value comes from."""
        return (init_settings,)

    @field_validator("names", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(name for name in value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("upstream")
    @classmethod
    def _without_password(cls, value: str | None) -> str | None:
        if value is not None and "@" in urlsplit(value).netloc:
            raise ValueError("it contains a user name or password: set MNEMOS_UPSTREAM_KEY instead")
        return value

    @model_validator(mode="after")
    def _both_or_none(self) -> ServeSettings:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("TLS needs both a certificate and its key: set tls_cert and tls_key")
        return self


def read(options: Mapping[str, Any], file: ConfigFile) -> tuple[ServeSettings, list[Setting]]:
    """Return the effective settings and the source of each. An option that is None was not given.

    Raises InvalidInput for an invalid value, and for an unknown setting in the file or the environment.
    """
    known = ServeSettings.model_fields
    refuse_unknown(file.serve, known, f"in [serve] of {file.path}")
    ours = sorted(name.upper() for name in os.environ if name.upper().startswith(PREFIX))
    refuse_unknown(ours, [PREFIX + name.upper() for name in known], "in the environment")
    from_file = {name: value for name, value in file.serve.items() if value != ""}
    from_file |= {name: file.resolve(Path(from_file[name])) for name in PATHS if isinstance(from_file.get(name), str)}
    from_env = EnvSettingsSource(ServeSettings)()
    given = {name: value for name, value in options.items() if value is not None}
    merged = {**from_file, **from_env, **given}
    sources = dict.fromkeys(known, DEFAULT)
    sources |= dict.fromkeys(from_file, file.source)
    sources |= {name: f"environment {PREFIX}{name.upper()}" for name in from_env} | dict.fromkeys(given, "option")
    try:
        settings = ServeSettings(**merged)
    except ValidationError as error:
        raise InvalidInput(_message(error, sources)) from None
    return settings, [Setting(f"serve.{name}", getattr(settings, name), sources[name]) for name in known]


def _message(error: ValidationError, sources: Mapping[str, str]) -> str:
    parts = []
    for item in error.errors(include_url=False, include_context=False):
        name = str(item["loc"][0]) if item["loc"] else ""
        why = item["msg"].removeprefix("Value error, ")
        shown = "" if not name or name == "upstream" else f", not {item['input']!r}"
        parts.append(f"serve.{name} ({sources[name]}): {why}{shown}" if name else why)
    return "; ".join(parts) + "."

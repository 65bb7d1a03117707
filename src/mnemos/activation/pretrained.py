"""Loading a decoder that somebody else has trained, from a folder: nothing is downloaded, and no code of it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mnemos.errors import InvalidInput
from mnemos.smollm2 import model_path

NAMED = "smollm2"  # the model that `mnemos models build` makes
OWN: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def folder_of(model: str | Path) -> Path:
    """Return the folder of a model as transformers saves it, or of smollm2 by its name.

    Raises InvalidInput for a folder without a model, and ModelError where smollm2 was not built.
    """
    folder = Path(model_path(str(model))).expanduser().resolve()
    if not (folder / "config.json").is_file():
        raise InvalidInput(
            f"there is no model in {folder}: give a folder with config.json and safetensors, or {NAMED}."
        )
    return folder


def load_tokenizer(model: str | Path) -> Any:
    """Return the tokenizer of a model. Raises what `folder_of` does, and InvalidInput where it cannot be read."""
    folder = folder_of(model)
    try:
        return AutoTokenizer.from_pretrained(folder, **OWN)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInput(f"{folder} holds no tokenizer that transformers can load ({error!s:.200}).") from error


def load_decoder(model: str | Path, dtype: torch.dtype | str = torch.float32) -> Any:
    """Return a model, in a dtype ("auto": that of its files), ready to be asked. Raises as `load_tokenizer` does."""
    folder = folder_of(model)
    try:
        made = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True, **OWN)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInput(f"{folder} holds no decoder that transformers can load ({error!s:.200}).") from error
    return made.eval()

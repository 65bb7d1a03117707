"""The kinds of adapters that PEFT makes, and the layers of a model that they are put beside."""

from __future__ import annotations

from typing import Any, Literal

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from mnemos.errors import InvalidInput

Tuner = Literal["lora", "rslora", "dora", "adalora", "vera", "oft", "boft", "ia3", "osf"]
SETS = ("ffn", "all")  # of layers, besides names


def targets_of(model: Any, wanted: tuple[str, ...]) -> list[str]:
    """Return the names of a model's layers: those that lead out of its FFNs ("ffn"), "all" linear ones, or names' ends.

    Raises InvalidInput for a model without such layers.
    """
    if not isinstance(model, PreTrainedModel):
        raise InvalidInput(f"{type(model).__name__} is no model of transformers: load one with AutoModelForCausalLM.")
    if getattr(model, "peft_config", None):
        raise InvalidInput("the model has adapters of PEFT in it: take them out first (`unload()`).")
    width = model.get_input_embeddings().weight.shape[1]
    head = model.get_output_embeddings()
    linear = {n: m for n, m in model.named_modules() if isinstance(m, (nn.Linear, Conv1D)) and m is not head}

    def leads_out(name: str) -> bool:
        into, out = shape_of(linear[name])
        return out == width and into != width and "attn" not in name and "attention" not in name

    found = [
        name for name in linear
        if "all" in wanted or ("ffn" in wanted and leads_out(name)) or any(f".{name}".endswith(f".{end}") for end in wanted)
    ]  # fmt: skip
    if not found:
        raise InvalidInput(
            f"{type(model).__name__} has no linear layer that fits targets {', '.join(wanted)}: choose from {', '.join(SETS)}, "
            f"or name layers, such as {', '.join(list(linear)[:3]) or 'none: it has no linear layers'}."
        )
    return found


def shape_of(layer: Any) -> tuple[int, int]:
    """Return how many features a linear layer reads and writes."""
    into, out = layer.weight.shape if isinstance(layer, Conv1D) else layer.weight.shape[::-1]
    return int(into), int(out)


def config_of(model: Any, tuner: Tuner, rank: int, alpha: float, targets: list[str]) -> Any:
    """Return PEFT's configuration of an adapter that changes nothing before it is trained.

    `rank` is the size of the blocks of OFT and BOFT, and of OSF how many of the smallest singular directions are trained; IA3 has
    none.
    """
    import peft

    transposed = any(isinstance(model.get_submodule(name), Conv1D) for name in targets)
    common: dict[str, Any] = {"target_modules": targets, "task_type": "CAUSAL_LM"}
    lora = common | {"r": rank, "lora_alpha": alpha, "lora_dropout": 0.0, "fan_in_fan_out": transposed}
    makers: dict[str, Any] = {
        "lora": lambda: peft.LoraConfig(**lora),
        "rslora": lambda: peft.LoraConfig(**lora, use_rslora=True),
        "dora": lambda: peft.LoraConfig(**lora, use_dora=True),
        "adalora": lambda: peft.AdaLoraConfig(
            **{k: v for k, v in lora.items() if k != "r"}, init_r=rank, target_r=rank, tinit=0, tfinal=0, total_step=1
        ),
        "vera": lambda: peft.VeraConfig(**common, r=rank, fan_in_fan_out=transposed, save_projection=False),
        "oft": lambda: peft.OFTConfig(**common, r=0, oft_block_size=rank, fan_in_fan_out=transposed),
        "boft": lambda: peft.BOFTConfig(**common, boft_block_size=rank, fan_in_fan_out=transposed),
        "osf": lambda: peft.OSFConfig(
            **common, rank_pattern={f"{n}$": max(0, min(shape_of(model.get_submodule(n))) - rank) for n in targets}
        ),
        "ia3": lambda: peft.IA3Config(**common, feedforward_modules=targets, fan_in_fan_out=transposed),
    }
    if tuner == "osf" and transposed:  # PEFT would leave them out, and say nothing
        raise InvalidInput(f"osf does not fit {type(model).__name__}: its layers are transposed. Choose lora.")
    if tuner not in makers:
        raise InvalidInput(f"there is no tuner {tuner!r}: choose from {', '.join(makers)}.")
    return makers[tuner]()

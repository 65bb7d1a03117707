"""PEFT's own tuners against forgetting and for prefixes, trained as its examples do: cross-entropy, no anchor.

OSF (Sculpting Subspaces, arXiv 2504.07097) freezes the strongest directions of every weight and trains the others; it changes the
model itself, so a copy is trained. CARTRIDGE begins as the keys and values of the text (arXiv 2506.06266).
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mnemos.parametric.base import Example
from mnemos.parametric.objectives import answer_loss, probabilities
from mnemos.parametric.tokens import logits_of, pad_of, padded, row_of

STEPS, TOKENS = 400, 16
Made = tuple[Any, int]  # a model that has learned, and the bytes of what was trained


def osf(model: Any, tokenizer: Any, examples: Sequence[Example], seed: int) -> Made:
    """Train the weak half of the directions of all linear layers."""
    from peft import OSFConfig, get_peft_model

    own = copy.deepcopy(model)
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = get_peft_model(own, OSFConfig(target_modules=names))
    return made, _fit(made, tokenizer, examples, 1e-3)


def cartridge(model: Any, tokenizer: Any, examples: Sequence[Example], seed: int) -> Made:
    """Train a prefix of keys and values."""
    from peft import CartridgeConfig, get_peft_model
    from peft.tuners.cartridge.utils import initialize_kv_prefix_from_text

    own = copy.deepcopy(model)
    made = get_peft_model(own, CartridgeConfig(task_type="CAUSAL_LM", num_virtual_tokens=TOKENS, num_frozen_tokens=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        initialize_kv_prefix_from_text(made, tokenizer, text=examples[0].context)
    return made, _fit(made, tokenizer, examples, 2e-2)


TUNERS: dict[str, Callable[[Any, Any, Sequence[Example], int], Made]] = {"PEFT OSF": osf, "PEFT CARTRIDGE": cartridge}


def _fit(made: Any, tokenizer: Any, examples: Sequence[Example], rate: float) -> int:
    """Train until every token of the answers has p > .5; return the bytes trained."""
    weights: list[Tensor] = [p for p in made.parameters() if p.requires_grad]
    batch = padded([row_of(tokenizer, e.prompt, e.answer) for e in examples], pad_of(tokenizer))
    optimiser = torch.optim.Adam(weights, lr=rate)
    made.eval()
    for _ in range(STEPS):
        logits = logits_of(made, batch)
        if float(probabilities(logits.detach(), batch.targets, batch.counted).min()) > 0.5:
            break
        answer_loss(logits, batch.targets, batch.counted).backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return sum(p.numel() * p.element_size() for p in weights)

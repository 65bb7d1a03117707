"""Tiny decoders of random weights, one for each family of transformers that people run; see `families`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
import transformers

VOCABULARY, WINDOW = 97, 8
SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
OLD = {  # the names of GPT-2
    "vocab_size": VOCABULARY, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
MIXED = ["sliding_attention", "full_attention"]
LATENT = {
    "num_key_value_heads": 4, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16, "v_head_dim": 16,
    "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "first_k_dense_replace": 1, "n_group": 1,
    "topk_group": 1,
}  # fmt: skip
GEMMA2 = {"head_dim": 16, "sliding_window": WINDOW, "query_pre_attn_scalar": 16, "attn_logit_softcapping": 1.0}
JAMBA = {
    "num_experts": 2, "mamba_d_state": 4, "use_mamba_kernels": False, "attn_layer_period": 2, "attn_layer_offset": 1,
}  # fmt: skip
GEMMA3N = {
    "head_dim": 16, "sliding_window": WINDOW, "num_hidden_layers": 4, "num_kv_shared_layers": 2,
    "layer_types": [*MIXED, *MIXED], "vocab_size_per_layer_input": VOCABULARY,
    "hidden_size_per_layer_input": 8, "laurel_rank": 8, "intermediate_size": [64] * 4, "activation_sparsity_pattern": [0.0] * 4,
}  # fmt: skip


def _made(
    name: str,
    sizes: Mapping[str, Any] = SIZES,
    kind: str = "ForCausalLM",
    more: Mapping[str, Any] = MappingProxyType({}),
) -> Callable[[], Any]:
    """Return what makes a model: the configuration NAMEConfig, with other sizes than `sizes` in `more`."""

    def make() -> Any:
        torch.manual_seed(0)
        config = getattr(transformers, f"{name}Config")(**{**sizes, **more})
        return getattr(transformers, name.removesuffix("Text") + kind)(config).eval().requires_grad_(False)

    return make


FAMILIES: dict[str, Callable[[], Any]] = {
    "Llama": _made("Llama"),
    "Qwen2": _made("Qwen2"),
    "Qwen3": _made("Qwen3", more={"head_dim": 16}),
    "Mistral": _made("Mistral", more={"sliding_window": WINDOW}),
    "Gemma 2": _made("Gemma2", more=GEMMA2),
    "Gemma 3": _made("Gemma3Text", more={"head_dim": 16, "sliding_window": WINDOW, "layer_types": MIXED}),
    "Gemma 3n": _made("Gemma3nText", more=GEMMA3N),
    "Phi": _made("Phi"),
    "Phi-3": _made("Phi3"),
    "SmolLM3": _made("SmolLM3", more={"no_rope_layers": [1, 0]}),
    "GPT-2": _made("GPT2", OLD, "LMHeadModel"),
    "GPT-NeoX": _made("GPTNeoX"),
    "OPT": _made("OPT", more={"ffn_dim": 64, "word_embed_proj_dim": 64}),
    "OLMo 2": _made("Olmo2"),
    "DeepSeek V2": _made("DeepseekV2", more={**LATENT, "q_lora_rank": None}),
    "DeepSeek V3": _made("DeepseekV3", more={**LATENT, "q_lora_rank": 24}),
    "Mixtral": _made("Mixtral", more={"num_local_experts": 4}),
    "GPT-OSS": _made("GptOss", more={"head_dim": 16, "num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": WINDOW}),
    "Falcon": _made("Falcon", more={"new_decoder_architecture": True, "num_kv_heads": 2}),
    "LFM2 (hybrid)": _made("Lfm2", more={"layer_types": ["conv", "full_attention"]}),
    "Jamba (hybrid)": _made("Jamba", more=JAMBA),
}  # fmt: skip

"""A tiny decoder with a tokenizer of bytes, and a server that answers with it."""

from contextlib import contextmanager

import torch
import transformers
from fastapi import FastAPI
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from mnemos import Mnemos
from mnemos.serve.local import make_local
from mnemos.serve.local_model import load
from tests.serve.proxy.through import Talk, serving

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIALS = ["<|im_start|>", "<|im_end|>"]


def tokenizer():
    """Bytes as tokens, and two special ones."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(SPECIALS)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=SPECIALS[0], eos_token=SPECIALS[1], chat_template=TEMPLATE
    )


def save(folder):
    """Write a model of random weights and its tokenizer to a folder; return it."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = transformers.LlamaConfig(
        vocab_size=258, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, initializer_range=0.2, eos_token_id=257, bos_token_id=256,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).eval().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def expected(folder, ids, most):
    """Return what plain `generate` says after tokens."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    prompt = torch.tensor([ids])
    out = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=most, do_sample=False)
    return out[0, len(ids) :].tolist()


@contextmanager
def talking(root, folder, options=None, **more):
    """Serve a model over a root."""
    with Mnemos(root, embedder="none") as memory:
        model = load(str(folder), **{"cache_mib": 8} | (options or {}))
        app = FastAPI()
        app.include_router(make_local(memory, model, **{"patience": 60.0} | more))
        with serving(app, lifespan="on") as url:
            talk = Talk(memory, url)
            talk.model, talk.engine = model, model.engine
            try:
                yield talk
            finally:
                talk.client.close()

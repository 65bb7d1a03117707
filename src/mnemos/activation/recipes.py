"""Recommended cache methods, one for each of three uses: start with these.

Each holds every token, in few bits: on a pretrained model that keeps more than evicting any of them (docs/how-to/
compress-a-real-model.md has the figures). Give each the spectrum of your model, found once:

    spectrum = find_spectrum(model, tokenizer(SAMPLE, return_tensors="pt").input_ids, MemoryCache(model).rotary())
"""

from __future__ import annotations

from mnemos.activation.compress.spectrum import Spectrum
from mnemos.activation.compress.transform import TransformCoding
from mnemos.activation.method import CacheMethod


def for_documents(share: float = 0.125, spectrum: Spectrum | None = None) -> CacheMethod:
    """Return a method for long contexts that many questions will be asked about, none of them known yet.

    The context takes `share` of its bytes in the model's own dtype; what is said about it later is held in as many bits
    a number, 128 tokens at a time. Without a spectrum it is found from random tokens, which keeps less.
    """
    return CacheMethod(store=TransformCoding(share=share, spectrum=spectrum))


def for_chat(bits: float = 3.0, spectrum: Spectrum | None = None) -> CacheMethod:
    """Return a method for conversations: every turn is compressed, a document in the second as well as in the first.

    The newest 64 tokens, and up to 128 more, stay as they are, so that a draft can be taken back (assisted decoding).
    """
    return CacheMethod(store=TransformCoding(bits, spectrum, residual=64))


def for_long_answers(bits: float = 3.0, spectrum: Spectrum | None = None) -> CacheMethod:
    """Return a method for short prompts and long answers, read at every token: heads are coded apart, which is faster.

    `spectrum` has to be found with `together=False`. What is generated is packed 64 tokens at a time.
    """
    return CacheMethod(store=TransformCoding(bits, spectrum, residual=32, group=64, together=False))

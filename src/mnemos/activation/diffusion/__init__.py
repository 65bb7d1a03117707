"""Masked-diffusion decoding with key/value caches: a small model, the decoder, and published reuse policies."""

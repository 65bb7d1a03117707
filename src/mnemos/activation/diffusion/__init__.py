"""Caches for text that is not written from left to right: a masked-diffusion model, its decoding, what it need not recompute."""

"""Recall from weights: layers that look up slots by keys, banks that fetch blocks, heads over embeddings."""

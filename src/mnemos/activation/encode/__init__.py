"""Encoding: keys and values of texts, as bytes."""

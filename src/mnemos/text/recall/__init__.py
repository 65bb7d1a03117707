"""Recall: signals of words, vectors, conversation and time, fused."""

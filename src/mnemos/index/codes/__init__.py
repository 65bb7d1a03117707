"""Codes of vectors: few bytes that are compared in RAM, so that only the best candidates are read in full."""

"""Indexes in memory over words and vectors, addressed by position."""

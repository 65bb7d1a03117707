"""Consolidation: episodes, summaries, profiles and links, one phase each."""

"""Judgement by rules: which dates a text speaks of, and what a question asks for."""

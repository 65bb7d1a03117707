"""Changing what a model answers: facts located in its weights and edited."""

"""Unlearning what a model's weights hold, and audits that tell what is left of it."""

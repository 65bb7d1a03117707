"""Forgetting keys and values: scores that say which entries stay, and budgets that say how many, where."""

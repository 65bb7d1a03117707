"""Agent-side memory: the state of a task, a working context with a budget, and cases with their outcomes."""

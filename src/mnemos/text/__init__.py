"""Text memory: turns, facts, episodes and notes, in words."""

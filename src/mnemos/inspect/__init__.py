"""Views of a space as a whole: timeline, graph, retention, and what is due to be forgotten."""

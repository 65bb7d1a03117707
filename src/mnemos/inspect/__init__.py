"""Views of a whole space: timeline, graph, retention of cubes and what is due to be forgotten; see `inspector`."""

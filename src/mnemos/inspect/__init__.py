"""A space seen from above: timeline, graph, strengths and what is due to be forgotten."""

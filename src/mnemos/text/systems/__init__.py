"""Published memory systems, each as a composition of methods."""

"""The way into weights: what is to be known by heart, and the weights beside a model that hold it."""

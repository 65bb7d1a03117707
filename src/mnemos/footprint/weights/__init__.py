"""The weights of a model, held in fewer bytes or read from disk as they are needed."""

"""Finding text again: signals of words, vectors, conversation and time, fused."""

"""Layers whose memory is a linear system driven by the tokens: S4 and its kin, and Mamba and its kin."""

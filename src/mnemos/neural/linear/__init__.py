"""Layers whose memory is a matrix that keys write and queries read: linear attention and its kin."""

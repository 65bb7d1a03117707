"""Memories that complete a part of what they keep, and memories of pairs that are asked by key."""

"""Memories of slots: read in hops, rewritten segment by segment, and banks of a bounded size that consolidate."""

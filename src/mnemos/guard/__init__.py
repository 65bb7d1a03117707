"""Defences of a memory: provable erasure, redaction, quarantine, and consensus among sources."""

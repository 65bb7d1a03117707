"""Letting text go: the laws of strength and forgetting, and the policy that applies them."""

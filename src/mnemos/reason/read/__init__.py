"""Reading of statements by small heads on the token states of the bundled embedder, where the rules know no pattern.

A reading is a guess with a confidence: it may order, annotate and be listed. It ends and hides nothing.
"""

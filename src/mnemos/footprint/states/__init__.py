"""What an optimiser holds beside the weights, placed on disk or shared out, or not held at all."""

"""What autograd keeps of the forward pass, held in fewer bytes."""

"""One training loop, and learners in PyTorch and Keras with the same interface."""

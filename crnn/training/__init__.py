"""One training loop, two learners (PyTorch and Keras) with the same stages and names."""

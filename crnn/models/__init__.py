"""The CRNN in PyTorch and in Keras, from one frozen config."""

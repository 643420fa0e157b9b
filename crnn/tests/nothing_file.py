"""The format of the tests' artifacts: no parameters, no MACs."""


def parameters(_):
    """Return no parameters."""
    return ()


def macs(_):
    """Return no MACs."""
    return 0

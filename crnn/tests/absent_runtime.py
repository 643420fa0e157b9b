"""An engine whose framework nobody has."""

from crnn.runtimes import noop_runtime


class Runtime(noop_runtime.Runtime):
    """Never loaded."""

    requires = ("a_framework_nobody_has",)

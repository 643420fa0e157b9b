"""An engine whose framework is never installed."""

from crnn.runtimes import noop_runtime


class Runtime(noop_runtime.Runtime):
    """Never loaded."""

    requires = ("a_framework_nobody_has",)

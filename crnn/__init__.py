"""One CRNN text recognizer and every way to ship it, measured the same way.

Data goes one way: corpus -> model -> recipe -> artifact -> runtime ->
measurement -> benchmark JSON -> report. Imports follow it and never go back.
"""

__version__ = "0.1.0"

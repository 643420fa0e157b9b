"""The rows of the table: one entry each, derived from its parent, with its thresholds.

Families come in the order below, rows in the order of their file.
"""

from crnn.registry.rows import edge, fastest, gpu, keras, litert, onnx, openvino, originals, pytorch, reference
from crnn.registry.variant import Variant

_FAMILIES = (originals, pytorch, keras, litert, onnx, openvino, fastest, edge, gpu, reference)

VARIANTS: tuple[Variant, ...] = tuple(
    entry for family in _FAMILIES for entry in vars(family).values() if isinstance(entry, Variant)
)

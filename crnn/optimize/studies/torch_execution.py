"""PyTorch's original, quantized after training or executed in other ways, from the committed baseline."""

from crnn.optimize.studies.baseline import execution_table


def table() -> str:
    """Speed-ups, CER differences, first calls."""
    return execution_table(lambda row: row.framework == "torch" and row.suffix == ".pt" and not row.trained)

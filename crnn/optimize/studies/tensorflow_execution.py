"""TensorFlow's original called in other ways, from the committed baseline."""

from crnn.optimize.studies.baseline import execution_table


def table() -> str:
    """Speed-ups, CER differences, first calls."""
    return execution_table(lambda row: row.runtime == "tensorflow" and not row.trained)

"""What a model's file tells of its inputs."""

import pytest

from crnn.formats.ends import Ends, Tensor
from crnn.measure.stated import of_file


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((32, 400), "BHW"),
        ((400, 32), "BWH"),
        ((1, 32, 400), "BCHW"),
        ((3, 400, 32), "BCWH"),
        ((32, 400, 3), "BHWC"),
        ((400, 32, 1), "BWHC"),
        # The open size is the width.
        ((1, 32, 0), "BCHW"),
        ((32, 0, 1), "BHWC"),
        ((0, 32, 1), "BWHC"),
        # Where both are open nothing tells them apart.
        ((0, 0, 3), "BHWC"),
    ],
)
def test_layout(shape, layout):
    """Lines are wider than they are high, so the sizes tell whether the width comes first."""
    ends = Ends([Tensor("x", (0, *shape), "float32")], [Tensor("y", (0, 50, 46), "float32")])

    assert of_file(ends, {"height": 32, "width": 400})["layout"] == layout

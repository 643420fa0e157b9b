"""ONNX files: quantized operators count like those that they replace."""

import pytest

from crnn.formats.counts import count, macs_of_config
from crnn.models.config import CRNNConfig
from crnn.runtimes.anchors import onnx_anchor


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_dynamic_quantization_changes_no_count(tmp_path):
    """Neither MACs nor parameters change when LSTMs and matrix products become int8."""
    from onnxruntime.quantization import quantize_dynamic

    plain, quantized = tmp_path / "plain.onnx", tmp_path / "int8.onnx"
    plain.write_bytes(onnx_anchor._graph())
    quantize_dynamic(plain, quantized, op_types_to_quantize=["LSTM", "MatMul"])
    counts = [count(path, "onnx") for path in (plain, quantized)]

    assert quantized.stat().st_size < plain.stat().st_size / 2
    assert [found.macs_per_line for found in counts] == [macs_of_config(CRNNConfig())] * 2
    assert counts[0].parameters_stored == counts[1].parameters_stored

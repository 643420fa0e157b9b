"""Rows that run on a GPU and nowhere else: on another machine they are skipped with the reason.

They were never run by the maintainers. Counts and bytes are those of the artifacts, which any machine
builds. There is no limit for memory, and the tolerances are estimates, as the comments say.
"""

from typing import Any

from crnn.registry.rows import onnx, originals
from crnn.registry.rows.originals import RECIPES, SAME_WEIGHTS

# Other kernels add in another order and may use Winograd's algorithm: ten times the rounding on a CPU. TF32 is off.
_FLOAT32: dict[str, Any] = {
    "max_log_prob_difference": 1e-3,
    "max_timed_difference": 1e-3,
    "max_peak_memory_bytes": None,
    # Process pairs share one core, which says little about a GPU.
    "watched": False,
}
# Twice what half precision changes on a CPU: the same roundings, in another order.
_FLOAT16: dict[str, Any] = _FLOAT32 | {
    "max_log_prob_difference": 0.4,
    "max_timed_difference": 0.2,
    "max_lines_read_differently": 2,
    "max_bytes": 3_100_000,
}

ORT_CUDA = onnx.TORCH2ONNX_OPTIMIZED.derive(
    "ort-cuda", "CUDA provider, TF32 off", SAME_WEIGHTS, **_FLOAT32, runtime_options={"provider": "cuda"}
)
TENSORRT_FP32 = ORT_CUDA.sibling(
    "ort-tensorrt-fp32", "TensorRT, TF32 off", runtime_options={"provider": "tensorrt", "precision": "fp32"}
)
TENSORRT_FP16 = onnx.TORCH2ONNX_OPTIMIZED.derive(
    "ort-tensorrt-fp16",
    "TensorRT, float16 throughout",
    f"{RECIPES}.onnx_half:to_float16",
    **_FLOAT16,
    precision="fp16",
    runtime_options={"provider": "tensorrt", "precision": "fp16"},
)
TORCH_CUDA_FP16 = originals.TORCH.derive(
    "torch-cuda-fp16",
    "float16 throughout, eager on CUDA",
    f"{RECIPES}.quantization:to_float16",
    **_FLOAT16,
    precision="fp16",
    runtime="torch_cuda",
    runtime_options={"dtype": "float16"},
)
TORCH_CUDA_GRAPH = originals.TORCH.derive(
    "torch-cuda-graph",
    "CUDA graph, TF32 off",
    SAME_WEIGHTS,
    **_FLOAT32,
    runtime="torch_cuda",
    runtime_options={"graphs": True},
)

"""Rows that run on a GPU and nowhere else: on another machine they are skipped with the reason.

They are in no committed baseline. Three of them ran once (benchmarks/evidence/h100.json); TensorRT's were
never run. Counts and bytes are those of the artifacts, which any machine builds.
"""

from typing import Any

from crnn.registry.rows import onnx, originals
from crnn.registry.rows.originals import RECIPES, SAME_WEIGHTS

# As on the CPU: 2e-5 were measured. TF32 is off.
_FLOAT32: dict[str, Any] = {
    "max_log_prob_difference": 1e-4,
    "max_timed_difference": 1e-4,
    "max_peak_memory_bytes": None,
    # Process pairs share one core, which says little about a GPU.
    "watched": False,
}
# Twice the difference of torch-cuda-fp16, 0.17, and four times the timed one, 0.025.
_FLOAT16: dict[str, Any] = _FLOAT32 | {
    "max_log_prob_difference": 0.34,
    "max_timed_difference": 0.1,
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

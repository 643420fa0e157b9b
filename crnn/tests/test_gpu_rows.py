"""Rows that need a GPU, on a machine without one: skipped with the reason, and never run on the CPU."""

import ctypes
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from crnn.formats.counts import Counts
from crnn.measure import footprint
from crnn.measure.replicate import Replicate
from crnn.measure.requirements import unsupported
from crnn.models import torch_crnn
from crnn.registry import VARIANTS, get
from crnn.runtimes import cuda, onnx_providers, tensorrt_engines
from crnn.runtimes.base import runtime_class
from crnn.runtimes.onnx_providers import CUDA
from crnn.runtimes.onnx_runtime import Runtime
from crnn.runtimes.torch_cuda_runtime import Captured
from crnn.tests.test_models import SMALL, inputs, torch_model, torch_outputs
from crnn.tests.test_suite import ROOT, command, own_machine

# ov-bf16 has no limit for want of a processor.
ROWS = [row for row in VARIANTS if row.unmeasured and row.framework != "tesseract"]
TENSORRT = [row for row in ROWS if row.runtime_options.get("provider") == "tensorrt"]
IDS = [row.name for row in ROWS]


def no_driver(name, **_):
    """Loading any library fails, as on a machine without it."""
    raise OSError(f"{name}: cannot open shared object file")


class TestSkipping:
    def test_only_rows_that_need_a_gpu_have_no_memory_limit(self):
        """Every other row but ov-bf16 can be measured, so it has a limit."""
        on_gpu = [row for row in VARIANTS if "--device cpu" in (unsupported(row, "cpu") or "")]

        assert on_gpu == ROWS
        assert {row.runtime for row in ROWS} == {"onnx", "torch_cuda"}

    @pytest.mark.parametrize("row", ROWS, ids=IDS)
    @pytest.mark.parametrize("device", ["auto", "cuda"])
    def test_without_a_driver(self, row, device, monkeypatch):
        """The reason names the driver's library."""
        monkeypatch.setattr(ctypes, "CDLL", no_driver)

        assert unsupported(row, device) == "no CUDA device: the driver's libcuda.so.1 cannot be loaded"

    def test_without_a_device(self, monkeypatch):
        """A driver that finds no device says so by a code."""
        monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(cuInit=lambda _: 100))

        assert cuda.absence() == "no CUDA device: the driver's cuInit returns 100"
        with pytest.raises(RuntimeError, match="cuInit returns 100"):
            cuda.first_device()

    @pytest.mark.parametrize("row", TENSORRT, ids=[row.name for row in TENSORRT])
    def test_without_tensorrt(self, row, monkeypatch, tmp_path):
        """With a GPU, the reason names the library of TensorRT that the provider is linked to, and what to do."""
        provider = tmp_path / "libonnxruntime_providers_tensorrt.so"
        provider.write_bytes(b"\x7fELF\0libnvonnxparser.so.99\0libnvinfer.so.99\0libcudart.so.13\0")
        monkeypatch.setattr(cuda, "absence", lambda: None)
        monkeypatch.setattr(tensorrt_engines, "provider_library", lambda _: provider)

        reason = unsupported(row, "auto")
        assert reason.startswith("TensorRT's libnvinfer.so.99 cannot be loaded (libnvinfer.so.99: ")
        assert "install the package tensorrt" in reason

    def test_a_package_without_the_providers(self, monkeypatch):
        """ONNX Runtime's package for the CPU has no such provider."""
        monkeypatch.setattr(cuda, "absence", lambda: None)
        monkeypatch.setattr(tensorrt_engines, "provider_library", lambda _: None)

        assert unsupported(get("ort-cuda"), "cuda") == (
            "this ONNX Runtime has no CUDA provider: the package onnxruntime-gpu has one"
        )
        assert "no TensorRT provider" in tensorrt_engines.absence()

    def test_a_run_skips_them(self, tmp_path):
        """The run passes although packages are required, and none of these rows has process pairs."""
        arguments = ("--quick", "--require", "--device=cpu", "--variants=ort-cuda,torch-cuda-graph", "-rs")
        done = subprocess.run(
            command("benchmarks/test_accuracy.py", "benchmarks/test_gate.py", *arguments, broken=False),
            cwd=ROOT,
            env=own_machine(tmp_path),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

        assert (done.returncode, "2 skipped" in done.stdout) == (0, True), done.stdout + done.stderr
        assert "torch-cuda-graph: it runs on CUDA only, and --device cpu was given" in done.stdout


class TestLoading:
    @pytest.mark.parametrize("row", ROWS, ids=IDS)
    def test_refuses_the_cpu(self, row, tmp_path):
        """An engine that names an accelerator does not load on the CPU, whoever asks."""
        with pytest.raises(RuntimeError, match="it runs on CUDA only, and --device cpu was given"):
            runtime_class(row.runtime)().load(tmp_path / "none", "cpu", **row.runtime_options)

    def session(self, *providers):
        """ONNX Runtime, whose sessions report these providers."""
        started = SimpleNamespace(get_providers=lambda: list(providers), disable_fallback=lambda: None)
        return SimpleNamespace(InferenceSession=lambda *_, **__: started), started

    @pytest.mark.parametrize("asked", ["cuda", "tensorrt"])
    def test_another_provider_is_an_error(self, asked, tmp_path):
        """A session that fell back is refused, and the message names both providers."""
        runtime, _ = self.session("CPUExecutionProvider")
        settings = SimpleNamespace(add_session_config_entry=lambda *_: None)

        with pytest.raises(RuntimeError, match=f"runs on CPUExecutionProvider where {onnx_providers.NAMES[asked]}"):
            onnx_providers.session_on(runtime, tmp_path, settings, onnx_providers.provider_list(asked))

    def test_the_provider_that_was_asked_for(self, tmp_path):
        """Then the session is the one that was started, and nodes on the CPU were forbidden."""
        entries = {}
        runtime, started = self.session(CUDA, "CPUExecutionProvider")
        settings = SimpleNamespace(add_session_config_entry=entries.__setitem__)
        session = onnx_providers.session_on(runtime, tmp_path, settings, onnx_providers.provider_list("cuda"))

        assert (session, entries) == (started, {"session.disable_cpu_ep_fallback": "1"})

    def test_onnx_runtime_itself_refuses(self, tmp_path):
        """Without a GPU, ONNX Runtime starts no session: its own retry on the CPU is off."""
        import onnxruntime
        from onnx import TensorProto, helper, save

        if cuda.absence() is None:
            pytest.skip("this machine has a CUDA device")
        value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
        graph = helper.make_graph([helper.make_node("Exp", ["x"], ["y"])], "g", value[:1], value[1:])
        save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path / "g.onnx")

        with pytest.raises(RuntimeError, match=CUDA):
            onnx_providers.session_on(
                onnxruntime, tmp_path / "g.onnx", onnxruntime.SessionOptions(), onnx_providers.provider_list("cuda")
            )

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"provider": "rocm"}, "no provider 'rocm'; there are: default, cuda, tensorrt"),
            ({"provider": "tensorrt", "precision": "int8"}, "no precision 'int8'; there are: fp32, fp16"),
            ({"precision": "fp16"}, "precision fp16 needs provider tensorrt"),
        ],
    )
    def test_unknown_options(self, options, message, tmp_path):
        """A wrong value is an error before anything is loaded."""
        with pytest.raises(ValueError, match=message):
            Runtime().load(tmp_path / "none", "cuda", **options)


class TestProfile:
    def test_nothing_is_told_on_cuda(self):
        """On CUDA nothing is told and no second session is started: it would time the starting of kernels."""
        runtime = Runtime()
        runtime._provider = CUDA

        assert runtime.profile(*inputs(), 1) == []


class TestMemoryLimit:
    """``torch-original`` may take 905 MB on the CPU."""

    @pytest.mark.parametrize(
        ("row", "device", "cuda_build", "limit"),
        [
            ("torch-original", "cpu", False, 905_000_000),
            ("torch-original", "cpu", True, 1_205_000_000),
            ("torch-aoti", "cpu", True, get("torch-aoti").thresholds.max_peak_memory_bytes + 300_000_000),
            ("ov-int8", "cpu", True, get("ov-int8").thresholds.max_peak_memory_bytes),
            ("torch-original", "NVIDIA L4", True, None),
            ("ort-torch2onnx", "CUDAExecutionProvider", True, None),
            ("torch-cuda-graph", "NVIDIA L4", True, None),
        ],
    )
    def test_limit(self, row, device, cuda_build, limit, monkeypatch):
        """PyTorch's libraries for CUDA are allowed for on the CPU; on an accelerator there is no limit."""
        monkeypatch.setattr(footprint, "built_with_cuda", lambda: cuda_build)

        assert footprint.memory_limit_bytes(get(row), device) == limit

    @pytest.mark.parametrize(
        ("row", "device", "limit"),
        [("ov-int8", "cpu", 1_250), ("ov-int8", "NVIDIA L4", None), ("torch-cuda-graph", "cpu", None)],
    )
    def test_relative_limit(self, row, device, limit):
        """For other lines and batches it is a quarter above the original's memory, where there is a limit at all."""
        original = SimpleNamespace(peak_memory_bytes=1_000)

        assert footprint.relative_memory_limit_bytes(get(row), device, original) == limit
        assert footprint.relative_memory_limit_bytes(get(row), device, None) is None


class TestGraphs:
    @pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 0.2)])
    def test_calls_copy_in_and_out(self, dtype, tolerance):
        """Each replay reads its own inputs, cast to the graph's type; here the replay computes on the CPU."""
        model = torch_crnn.LogProbabilities(torch_model(SMALL).to(dtype)).eval()
        buffers = tuple(torch.zeros(array.shape, dtype=dtype) for array in inputs(count=3))
        outputs = torch.zeros(3, SMALL.time_steps, SMALL.classes)
        captured = Captured(buffers, outputs, lambda: outputs.copy_(model(*buffers)))

        with torch.inference_mode():
            for count in (3, 6):
                lines = tuple(array[count - 3 : count] for array in inputs(count=6))
                read = captured(*lines)
                assert read.dtype == np.float32
                assert np.abs(read - torch_outputs(torch_model(SMALL), lines)).max() < tolerance


def test_the_process_that_builds_is_told_apart(tmp_path):
    """Load time is that of processes that read the engine; the one that built it is a number of its own."""
    (tmp_path / "model.onnx").write_bytes(b"graph")
    read = Replicate(2.0, True, 1, "engine", "device", sizes={1: SimpleNamespace(peak_memory_bytes=1)})
    slower, built = replace(read, load_s=3.0), replace(read, load_s=60.0, built=True)
    counted = Counts(0, 0, 0, 0)
    runs = ([built, read, slower], [read], [built])
    records = [footprint.record(tmp_path / "model.onnx", counted, replicates, {}) for replicates in runs]

    assert [(one.load_s, one.load_with_build_s) for one in records] == [(2.5, 60.0), (2.0, None), (None, 60.0)]

"""TensorRT as far as it can be tested without it: options, the cache of engines, the graph in half precision."""

from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from crnn.formats.counts import count
from crnn.optimize import onnx_convert, onnx_half
from crnn.optimize.recipe import Build, RecipeError
from crnn.runtimes import cuda, onnx_providers, tensorrt_engines
from crnn.runtimes.onnx_runtime import Runtime
from crnn.runtimes.tensorrt_engines import EngineKey, parts_of
from crnn.tests.test_models import STACKED, inputs, torch_model

# The exporter issues deprecation warnings about its own code.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")

GPU = cuda.Device("NVIDIA L4", "8.9", "580.65.06, CUDA 13.0")
KEY = EngineKey(GPU.name, GPU.capability, GPU.driver, "10.13.3", "1.31.1", "aa", "fp32", {"trt_profile_min_shapes": ""})


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """The small model as an ONNX graph."""
    from crnn.formats import pt_file

    folder = tmp_path_factory.mktemp("graph")
    pt_file.save(torch_model(STACKED), folder / "model.pt")
    onnx_convert.export(folder / "model.pt", folder / "model.onnx")
    return folder / "model.onnx"


class TestOptions:
    @pytest.mark.parametrize(
        ("precision", "major", "flag"), [("fp32", 10, {}), ("fp16", 10, {"trt_fp16_enable": "1"}), ("fp16", 11, {})]
    )
    def test_the_whole_list(self, precision, major, flag, tmp_path):
        """Both caches, one range of shapes, and the flag for half precision only where TensorRT has it."""
        lines = {"images": [32, 400], "field": [50, 2]}
        options = onnx_providers.tensorrt_options(lines, precision, tmp_path, major)

        assert onnx_providers.provider_list("tensorrt", options) == [
            (
                "TensorrtExecutionProvider",
                {
                    "trt_engine_cache_enable": "1",
                    "trt_engine_cache_path": str(tmp_path),
                    "trt_timing_cache_enable": "1",
                    "trt_timing_cache_path": str(tmp_path),
                    "trt_profile_min_shapes": "images:1x32x400,field:1x50x2",
                    "trt_profile_opt_shapes": "images:32x32x400,field:32x50x2",
                    "trt_profile_max_shapes": "images:128x32x400,field:128x50x2",
                    **flag,
                },
            ),
            ("CUDAExecutionProvider", {"use_tf32": "0"}),
        ]

    def test_cuda_computes_in_float32(self):
        """TF32 is off, and the CPU is no provider."""
        assert onnx_providers.provider_list("cuda") == [("CUDAExecutionProvider", {"use_tf32": "0"})]

    def test_the_versions_number(self):
        """As ``getInferLibVersion`` returns it."""
        assert [parts_of(number) for number in (101303, 110200)] == [(10, 13, 3), (11, 2, 0)]


class TestEngineCache:
    @pytest.mark.parametrize("name", [field.name for field in fields(EngineKey)])
    def test_anything_else_has_another_folder(self, name, tmp_path):
        """An engine of another GPU, driver, version, graph, precision or range of shapes is never found."""
        other = replace(KEY, **{name: {} if name == "profile" else "another"})

        assert other.folder(tmp_path) != KEY.folder(tmp_path)

    def test_the_folder_is_found_again(self, tmp_path):
        """The same key has the same folder, whose name a person can read; the key lies in it."""
        folder = KEY.prepared(tmp_path)

        assert folder == KEY.folder(tmp_path) == replace(KEY).prepared(tmp_path)
        assert folder.name.startswith("nvidia-l4-sm8-9-trt10-13-3-")
        assert '"driver": "580.65.06, CUDA 13.0"' in (folder / "key.json").read_text()

    @pytest.fixture
    def load(self, monkeypatch, tmp_path, graph):
        """Load the graph with a TensorRT that writes this content as its engine, or writes none."""
        monkeypatch.setenv(tensorrt_engines.CACHE, str(tmp_path))
        monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
        monkeypatch.setattr(Runtime, "unsupported", lambda *_, **__: None)
        monkeypatch.setattr(tensorrt_engines, "version", lambda: (10, 13, 3))
        monkeypatch.setattr(cuda, "first_device", lambda: GPU)

        def load(content, precision="fp32"):
            def session_on(_, __, ___, providers):
                engine = Path(providers[0][1]["trt_engine_cache_path"], "graph_sm89.engine")
                if content and not engine.exists():
                    engine.write_text(content)
                return SimpleNamespace(
                    get_providers=lambda: [onnx_providers.TENSORRT], run=lambda *_: [np.zeros((1, 50, 46), np.float32)]
                )

            monkeypatch.setattr(onnx_providers, "session_on", session_on)
            runtime = Runtime()
            runtime.load(graph, "cuda", provider="tensorrt", precision=precision)
            return runtime

        return load

    def test_the_first_load_builds(self, load):
        """The next one reads; half precision is another engine; TensorRT's version is part of the engine's name."""
        built = [load("engine", precision).built for precision in ("fp32", "fp32", "fp16", "fp16")]

        assert built == [True, False, True, False]
        assert load("engine").describe() == {
            "engine": f"ONNX Runtime {onnxruntime.__version__} TensorRT 10.13.3",
            "device": "TensorrtExecutionProvider",
        }

    def test_without_an_engine_tensorrt_took_no_part(self, load):
        """A session may report TensorRT although another provider computes everything."""
        with pytest.raises(RuntimeError, match=r"TensorRT took no part of model\.onnx"):
            load("")

    def test_a_batch_outside_the_range(self, load):
        """It is an error that names the range, not another engine."""
        runtime = load("engine")
        runtime(*inputs(count=1))

        with pytest.raises(ValueError, match="a batch of 129: the TensorRT engine is built for at most 128"):
            runtime(np.zeros((129, 32, 400), np.float32), np.zeros((129, 50, 2), np.float32))


class TestHalfPrecision:
    @pytest.fixture(scope="class")
    def half(self, graph, tmp_path_factory):
        """The graph in half precision."""
        target = tmp_path_factory.mktemp("half") / "half.onnx"
        onnx_half.to_float16(Build("half", graph, target, None, target.with_name("none")))
        return target

    def outputs(self, path):
        """Log probabilities of some lines, on the CPU."""
        images, field = inputs(count=5)
        settings = onnxruntime.SessionOptions()
        # Its layouts for the CPU crash on float16 (1.31.1); a GPU has none.
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        return session.run(None, {"images": images, "field": field})[0]

    def test_computes_the_same(self, graph, half):
        """Outputs are float32 and differ by rounding; they are log probabilities to float32's precision."""
        outputs, expected = self.outputs(half), self.outputs(graph)

        assert outputs.dtype == np.float32
        assert 1e-5 < np.abs(outputs - expected).max() < 0.1
        assert np.abs(np.exp(outputs).sum(-1) - 1).max() < 1e-5

    def test_stores_half_the_bytes(self, graph, half):
        """All float tensors are float16; counts are the parent's."""
        counted, parent = count(half, "onnx"), count(graph, "onnx")
        kinds = {tensor.data_type for tensor in onnx.load(half).graph.initializer}

        assert TensorProto.FLOAT16 in kinds
        assert TensorProto.FLOAT not in kinds
        assert (counted.parameters_stored, counted.macs_per_line) == (parent.parameters_stored, parent.macs_per_line)

    def test_another_graph_is_refused(self, graph, tmp_path):
        """Without a log softmax at the end, the logits would be rounded."""
        model = onnx.load(graph)
        model.graph.node[-1].op_type = "Softmax"
        onnx.save(model, tmp_path / "other.onnx")

        with pytest.raises(RecipeError, match=r"other\.onnx ends in Softmax"):
            onnx_half.to_float16(Build("half", tmp_path / "other.onnx", tmp_path / "half.onnx", None, tmp_path))

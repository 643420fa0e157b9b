"""Engines and the processes that run them."""

import importlib.util
import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from crnn.artifacts import sha256_of
from crnn.corpus.lines import model_inputs
from crnn.formats.counts import count, macs_of_config
from crnn.optimize import onnx_convert, onnx_graph
from crnn.optimize.recipe import Build
from crnn.registry.options import OptionError
from crnn.runtimes.base import runtime_class
from crnn.runtimes.process import WorkerError, WorkerProcess
from crnn.runtimes.threads import Reading, computing_threads
from crnn.runtimes.worker import Worker, peak_memory_bytes, timed_call
from crnn.tests.test_models import STACKED, torch_model, torch_outputs

# The exporters issue deprecation warnings about their own code.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def lines():
    """Images uint8 (8, 32, 400) and kinds."""
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (8, 32, 400), np.uint8), rng.integers(0, 2, 8).astype(np.uint8)


@pytest.fixture(scope="module")
def expected(lines):
    """The small model's outputs, by PyTorch."""
    return torch_outputs(torch_model(STACKED), model_inputs(*lines))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The small model as an artifact of each of the registry's recipes, by name."""
    from crnn.formats import keras_file, pt_file
    from crnn.models import port

    folder = tmp_path_factory.mktemp("artifacts")
    model = torch_model(STACKED)
    pt_file.save(model, folder / "torch.pt")
    keras_file.save(port.to_keras(model), folder / "tensorflow.keras")

    def build(recipe, parent, target):
        recipe(Build(target, folder / parent, folder / target, None, folder / "none"))

    build(onnx_convert.from_torch, "torch.pt", "torch2onnx.onnx")
    build(onnx_convert.from_keras, "tensorflow.keras", "tf2onnx.onnx")
    if importlib.util.find_spec("onnxoptimizer"):
        build(onnx_graph.optimize, "torch2onnx.onnx", "torch2onnx-optimized.onnx")
        build(onnx_graph.optimize, "tf2onnx.onnx", "tf2onnx-optimized.onnx")
    return {path.stem: path for path in folder.iterdir()}


no_optimizer = pytest.mark.skipif(
    not importlib.util.find_spec("onnxoptimizer"), reason="onnxoptimizer has no wheel for this machine"
)
NAMES = [
    "torch",
    "tensorflow",
    "torch2onnx",
    "tf2onnx",
    pytest.param("torch2onnx-optimized", marks=no_optimizer),
    pytest.param("tf2onnx-optimized", marks=no_optimizer),
]


@pytest.fixture
def load(made):
    """Load an artifact in this process."""

    def load(name):
        runtime = runtime_class(name if name in ("torch", "tensorflow") else "onnx")()
        runtime.load(made[name], "cpu")
        return runtime

    return load


@pytest.mark.parametrize("name", NAMES)
class TestEngines:
    @pytest.mark.parametrize("size", [1, 3, 8])
    def test_agrees_with_the_model_at_any_batch_size(self, name, size, load, lines, expected):
        """Outputs are log probabilities, float32 (B, 50, C), within 1e-4 of eager PyTorch's."""
        images, field = model_inputs(*lines)
        answers = load(name)(images[:size], field[:size])

        assert (answers.shape, answers.dtype) == ((size, 50, STACKED.classes), np.float32)
        assert np.abs(answers - expected[:size]).max() < 1e-4

    def test_counts_on_the_artifact(self, name, made):
        """MACs are the model's in every format; parameters are counted as the framework does.

        PyTorch leaves out BatchNorm's statistics, Keras one bias vector per LSTM, ONNX neither.
        """
        parameters = sum(p.numel() for p in torch_model(STACKED).parameters())
        statistics, second_biases = 2 * sum(STACKED.channels), 4 * sum(STACKED.lstm_units)
        expected = {"torch": parameters, "tensorflow": parameters + statistics - second_biases}
        counts = count(made[name], made[name].suffix.removeprefix("."))

        assert counts.parameters_stored == expected.get(name, parameters + statistics)
        assert counts.macs_per_line == macs_of_config(STACKED)

    def test_says_what_it_runs_on(self, name, load):
        """The description has the engine with its version, and the device."""
        said = load(name).describe()

        assert said["device"] in ("cpu", "CPUExecutionProvider")
        assert said["engine"].split()[-1][0].isdigit()


@pytest.mark.parametrize("name", ["torch", "tensorflow", "torch2onnx"])
def test_device_that_is_not_there_is_refused(name, made):
    """``cuda`` on a machine without CUDA is an error, not a silent fallback to the CPU."""
    from crnn.runtimes.base import cuda_present

    if cuda_present():
        pytest.skip("this machine has a CUDA device")
    runtime = runtime_class(name if name != "torch2onnx" else "onnx")()

    with pytest.raises(RuntimeError, match="--device cuda"):
        runtime.load(made[name], "cuda")


class TestWorker:
    def test_times_the_call_alone(self):
        """Only the call itself is timed."""
        one = np.ones(1, np.float32)
        seconds, answers = timed_call(lambda images, field: images + field, one, one)

        assert (answers.tolist(), 0 < seconds < 0.1) == ([2.0], True)

    @pytest.mark.parametrize("answer", [[1.0], memoryview(b"1"), np.ones(1), np.ma.ones(1)])
    def test_refuses_what_may_not_be_finished(self, answer):
        """Anything but a float32 numpy array could still be computing when the clock is read."""
        with pytest.raises(TypeError, match="expected a float32 numpy array"):
            timed_call(lambda *_: answer, np.ones(1), np.ones(1))

    def test_lines_wrap_around(self, lines):
        """After the last line, batches continue with the first."""
        worker = Worker()
        worker.load("noop", "", "cpu", {})
        worker.keep(*lines)
        images, _ = worker._batch(6, 4)

        assert np.array_equal(images, model_inputs(*lines)[0][[6, 7, 0, 1]])

    @pytest.fixture
    def worker(self, lines, made):
        """A worker in this process that runs the small model in PyTorch."""
        worker = Worker()
        worker.load("torch", str(made["torch"]), "cpu", {})
        worker.keep(*lines)
        return worker

    def test_reads_every_line_once(self, worker, expected):
        """Batches are in the order of the lines; the last one is filled up with the first lines."""
        outputs, seconds, threads = worker.outputs(3)

        assert (len(seconds), threads >= 1) == (3, True)
        assert np.abs(np.concatenate(outputs) - np.concatenate([expected, expected])[:9]).max() < 1e-5
        assert np.abs(worker.outputs(2, [4])[0][0] - expected[4:6]).max() < 1e-5

    def test_timed_outputs_are_those_of_the_split(self, worker, expected):
        """Timed calls return the same outputs as the evaluation."""
        seconds, outputs = worker.time(2, 4, 2)

        assert len(seconds) == 2
        assert np.abs(np.concatenate(outputs) - expected[4:]).max() < 1e-5

    def test_an_artifact_that_was_replaced_is_refused(self, made, tmp_path):
        """A worker refuses a file that was replaced since it was verified, as can happen in a shared cache."""
        artifact = tmp_path / "model.pt"
        artifact.write_bytes(made["torch"].read_bytes())
        verified = sha256_of(artifact)
        artifact.write_bytes(artifact.read_bytes() + b" ")

        with pytest.raises(ValueError, match=r"model\.pt was replaced during the run"):
            Worker().load("torch", str(artifact), "cpu", {}, None, verified)

    def test_an_unknown_option_is_refused_before_loading(self, tmp_path):
        """An unknown option is an error before the artifact is opened."""
        with pytest.raises(OptionError, match="engine torch has no option 'chanels_last'"):
            Worker().load("torch", str(tmp_path / "none"), "cpu", {"chanels_last": True})

    def test_peak_memory_is_the_process_own(self):
        """A worker's peak memory is its own, however large its parent's is."""
        ballast = np.ones(2**26)
        with WorkerProcess("noop") as worker:
            peak = worker.ask("memory")[1]

        assert 10_000_000 < peak < ballast.nbytes < peak_memory_bytes()


class TestThreads:
    # LiteRT's second thread does a quarter of the work, so it is counted only on an idle machine.
    @pytest.mark.parametrize(
        ("engine", "asked"),
        [("litert", 1), ("tensorflow", 1), *itertools.product(("torch", "onnx"), (1, 2))],
    )
    def test_counts_the_threads_that_compute(self, engine, asked, lines):
        """The count equals the number of threads requested and comes from the CPU time that each consumed."""
        with WorkerProcess(engine) as worker:
            worker.ask("load", runtime_class(engine).anchor, "", "cpu", {}, asked)
            worker.ask("keep", *lines)

            assert worker.ask("threads", 8) == asked

    def test_more_than_asked_for_are_found(self, lines):
        """An engine that computes with more threads than requested is detected."""
        with WorkerProcess("greedy") as worker:
            worker.ask("load", "crnn.tests.greedy_runtime", "", "cpu", {}, 1)
            worker.ask("keep", *lines)

            assert worker.ask("threads", 8) > 1

    @pytest.mark.parametrize(
        ("consumed", "threads"),
        [
            ({1: 0, 2: 0}, 1),
            ({1: 1000}, 1),
            ({1: 1000, 2: 990}, 2),
            ({1: 1000, 2: 99}, 1),
            ({1: 1000, 2: 250}, 2),
            ({1: 800, 2: 210}, 1),
            ({1: 500, 2: 480}, 2),
            ({1: 700, 2: 650, 3: 300, 4: 280}, 2),
        ],
        ids=[
            "too short to be seen",
            "one",
            "two",
            "an idle one",
            "uneven work",
            "taking turns",
            "a pool on a busy machine",
            "more than cores",
        ],
    )
    def test_counts_what_runs_at_the_same_time(self, consumed, threads):
        """Only threads that computed at the same time are counted."""
        before = Reading({1: 5}, 0)
        after = Reading({thread: cpu + before.cpu.get(thread, 0) for thread, cpu in consumed.items()}, 1000)

        assert computing_threads(before, after) == threads

    def test_a_system_that_does_not_tell(self):
        """Without CPU times per thread there is no count."""
        assert computing_threads(None, Reading({1: 1}, 1)) is None


class TestWorkerProcess:
    def test_each_is_a_fresh_process(self):
        """Two workers are two processes, and neither is this one."""
        with WorkerProcess("one") as one, WorkerProcess("two") as two:
            ids = {os.getpid(), one.process_id, two.process_id}

        assert len(ids) == 3

    def test_loads_its_own_framework_only(self, made):
        """A PyTorch worker has neither TensorFlow nor ONNX Runtime in memory."""
        with WorkerProcess("torch") as worker:
            worker.ask("load", "torch", str(made["torch"]), "cpu", {})
            mapped = Path(f"/proc/{worker.process_id}/maps").read_text()

        assert ("libtorch_cpu" in mapped, "tensorflow" in mapped, "onnxruntime" in mapped) == (True, False, False)

    def test_what_it_raises_comes_through(self):
        """A worker's error is raised with its message, and the worker continues."""
        with WorkerProcess("noop") as worker:
            with pytest.raises(WorkerError, match="LookupError: no runtime 'abacus'"):
                worker.ask("load", "abacus", "", "cpu", {})
            assert worker.ask("load", "noop", "", "cpu", {})["engine"] == "no-op"

    def test_dead_worker_says_so_again(self):
        """After a crash, every further request reports it."""
        with WorkerProcess("noop") as worker:
            worker.ask("load", "crnn.tests.broken_runtime", "", "cpu", {"fault": "crashes"})
            worker.ask("keep", np.zeros((1, 32, 400), np.uint8), np.zeros(1, np.uint8))
            with pytest.raises(WorkerError, match="the worker died: 'outputs' ended with SIGSEGV"):
                worker.ask("outputs", 1)
            with pytest.raises(WorkerError, match="died earlier: 'outputs' ended with SIGSEGV"):
                worker.ask("memory")

    def test_ends_with_its_parent(self):
        """A stopped worker leaves no process."""
        worker = WorkerProcess("noop")
        worker.ask("settle")
        worker.stop()

        assert not Path(f"/proc/{worker.process_id}").exists()

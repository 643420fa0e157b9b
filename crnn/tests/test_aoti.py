"""Packages that are compiled ahead of time, and the processors that they run on."""

import json
import shutil
import zipfile

import numpy as np
import pytest

from crnn import artifacts, processor, registry
from crnn.formats import pt2_file, pt_file
from crnn.formats.counts import count, macs_of_config
from crnn.measure import requirements
from crnn.optimize import aoti
from crnn.optimize.recipe import Build
from crnn.runtimes.aoti_runtime import Runtime
from crnn.runtimes.base import missing_compiler
from crnn.runtimes.process import WorkerProcess
from crnn.tests.test_models import SHALLOW, inputs, torch_model, torch_outputs
from crnn.tests.test_training import corpus

ROW = registry.get("torch-aoti")
SERVER, DESKTOP = frozenset({"avx2", "avx512f", "avx512_vnni"}), frozenset({"avx2"})

# The exporter warns about PyTorch's own LSTM, and about its own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"),
    pytest.mark.skipif(bool(missing_compiler()), reason="no C++ compiler"),
]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A small model, compiled once, in a process that computes with one thread."""
    folder = tmp_path_factory.mktemp("aoti")
    pt_file.save(torch_model(SHALLOW), folder / "model.pt")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder / "inductor"))
        notes = aoti.compile_ahead(
            Build("small", folder / "model.pt", folder / "small.pt2", None, folder / "none"),
        )
    assert notes == {"compiled_for": list(processor.machine_code())}
    return folder / "small.pt2"


@pytest.fixture
def other_processor(monkeypatch):
    """Change the processor that this process runs on."""

    def change(features):
        monkeypatch.setattr(processor.platform, "machine", lambda: "x86_64")
        monkeypatch.setattr(processor, "features", lambda: features)

    return change


class TestPackage:
    @pytest.mark.parametrize("size", [1, 2, 3, 32, 33])
    def test_outputs_equal_the_eager_model_s(self, package, size):
        """At any batch size outputs are float32 log probabilities, within 1e-5 of eager PyTorch's."""
        runtime = Runtime()
        runtime.load(package, "cpu")
        batch = inputs(count=size)
        outputs = runtime(*batch)

        assert (outputs.shape, outputs.dtype) == ((size, 50, SHALLOW.classes), np.float32)
        assert np.abs(outputs - torch_outputs(torch_model(SHALLOW), batch)).max() < 1e-5

    def test_weights_are_counted_on_the_package(self, package):
        """Parameters and MACs are those of the file that it was made from."""
        assert count(package, "pt2") == count(package.with_name("model.pt"), "pt")
        assert pt2_file.macs(package) == macs_of_config(SHALLOW)

    @pytest.mark.parametrize("kept", [0, 100, 0.5, 0.999])
    def test_truncated(self, package, tmp_path, kept):
        """A truncated package is an error that names the file, before its code is loaded."""
        content = package.read_bytes()
        (tmp_path / "cut.pt2").write_bytes(content[: int(kept * len(content)) if kept < 1 else kept])

        with pytest.raises(ValueError, match=r"cut\.pt2 is truncated, or not a package"):
            Runtime().load(tmp_path / "cut.pt2", "cpu")

    def test_a_package_of_something_else(self, tmp_path):
        """A ZIP archive without a compiled CRNN is an error that names the file."""
        with zipfile.ZipFile(tmp_path / "other.pt2", "w") as archive:
            archive.writestr("other/wrapper_metadata.json", json.dumps({"AOTI_DEVICE_KEY": "cpu"}))

        with pytest.raises(ValueError, match=r"other\.pt2 is truncated, or not a package"):
            pt2_file.read(tmp_path / "other.pt2")

    def test_cuda_is_refused(self, package):
        """``cuda`` is an error, not a silent fallback to the CPU."""
        with pytest.raises(RuntimeError, match="--device cuda"):
            Runtime().load(package, "cuda")

    def test_a_killed_process_leaves_nothing_behind(self, package, tmp_path):
        """No copy of the code is left in the folder for temporary files, even if the process is killed."""
        with WorkerProcess("aoti", environment={"TMPDIR": str(tmp_path)}) as worker:
            worker.ask("load", "aoti", str(package), "cpu", {})
            worker.ask("prepare", [2])

        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("asked", [1, 2])
    def test_threads_are_set_when_it_runs(self, package, asked):
        """It computes with as many threads as requested, not with those of the process that compiled it."""
        rng = np.random.default_rng(1)
        images, kinds = rng.integers(0, 256, (32, 32, 400), np.uint8), rng.integers(0, 2, 32).astype(np.uint8)
        # Inductor has no way to compile anything here.
        with WorkerProcess("aoti", environment={"CXX": "no-such-compiler", "PATH": ""}) as worker:
            worker.ask("load", "aoti", str(package), "cpu", {}, asked)
            worker.ask("keep", images, kinds)

            assert worker.ask("threads", 32) in (asked, None)  # None if the system does not report it

    def test_no_number_of_threads_is_in_the_code(self, package):
        """The generated loops are parallel although one thread compiled them, with no number of threads."""
        with zipfile.ZipFile(package) as archive:
            [kernels] = [archive.read(name).decode() for name in archive.namelist() if name.endswith("kernel.cpp")]

        assert ("#pragma omp parallel\n" in kernels, "num_threads" in kernels) == (True, False)


class TestProcessors:
    def test_a_package_for_another_processor_is_refused(self, package, other_processor, tmp_path):
        """The error names what the package needs and what the processor has, and how to compile again."""
        shutil.copy(package, tmp_path / "small.pt2")
        other_processor(frozenset())

        with pytest.raises(
            RuntimeError, match=r"small\.pt2 cannot run .* compiled for .*; this one has x86_64; `python"
        ):
            Runtime().load(tmp_path / "small.pt2", "cpu")

    def test_more_instructions_than_needed_are_fine(self, other_processor):
        """A processor runs code that uses fewer instruction sets than it has, not code that uses more."""
        other_processor(DESKTOP)
        desktop = processor.machine_code()
        other_processor(SERVER)
        server = processor.machine_code()

        assert processor.cannot_run(desktop) is None
        other_processor(DESKTOP)
        assert processor.cannot_run(server) == (
            "it was compiled for a processor with x86_64, AVX2, AVX-512, AVX512-VNNI; this one has x86_64, AVX2"
        )

    def test_each_kind_of_processor_has_its_own_file(self, other_processor):
        """Machines that share a cache do not load each other's code; other conversions stay shared."""
        channels_last = registry.get("torch-channels-last")
        other_processor(SERVER)
        compiled, copied = (artifacts.location(row, corpus()) for row in (ROW, channels_last))
        other_processor(DESKTOP)

        assert artifacts.location(ROW, corpus()) != compiled
        assert artifacts.location(channels_last, corpus()) == copied

    @pytest.mark.parametrize(("length", "expected"), [("32\n", "256 bits"), (None, "unknown length")])
    def test_the_length_of_vectors(self, other_processor, monkeypatch, tmp_path, length, expected):
        """Code for SVE is for one length of its vectors."""
        monkeypatch.setattr(processor, "_SVE_LENGTH", tmp_path / "length")
        if length:
            (tmp_path / "length").write_text(length)
        other_processor(frozenset({"sve"}))

        assert processor.machine_code() == ("x86_64", "SVE", f"SVE vectors of {expected}")


class TestCompiler:
    @pytest.mark.parametrize(("built", "needs"), [(False, ["a C++ compiler (g++, or $CXX)"]), (True, [])])
    def test_it_is_needed_for_building_alone(self, monkeypatch, built, needs):
        """Without a compiler the row is skipped with that reason, unless its package has been built."""
        monkeypatch.setenv("CXX", "no-such-compiler")
        monkeypatch.setattr(requirements.artifacts, "is_built", lambda *_: built)

        assert requirements.lacking(ROW, corpus()) == needs
        assert requirements.lacking(registry.get("torch-original"), corpus()) == []

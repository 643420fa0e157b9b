"""The suite as a user runs it, in separate processes, with deliberately broken variants."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crnn.registry import VARIANTS, names

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """An empty cache, shared by this module's runs."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def interruptible():
    """Restore the handler of SIGINT: a shell's background jobs and their children ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def own_machine(cache):
    """The environment of a run with its own cache and machine lock, so that other runs can measure meanwhile."""
    # pytest-benchmark measures nothing under pytest-xdist.
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    return outside | {"CRNN_CACHE": str(cache), "TMPDIR": str(cache)}


def command(*arguments, broken=True):
    """The command that runs ``pytest`` with these arguments."""
    plugin = ["-p", "crnn.tests.broken_variants"] if broken else []
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugin, *arguments]


@pytest.fixture
def run(cache):
    """Run pytest to its end; return its output and exit status."""

    def run(*arguments, broken=True):
        done = subprocess.run(
            command(*arguments, broken=broken),
            cwd=ROOT,
            env=own_machine(cache),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        return done.stdout + done.stderr, done.returncode

    return run


@pytest.fixture
def bench(run, tmp_path):
    """Measure the named broken variants quickly; return output, status and the JSON's benchmarks."""

    def bench(names, *arguments):
        results = tmp_path / "results.json"
        output, status = run(
            *MEASUREMENTS,
            "--quick",
            "--batch-sizes=1",
            f"--variants={names}",
            f"--benchmark-json={results}",
            *arguments,
        )
        return output, status, json.loads(results.read_text())["benchmarks"] if results.exists() else []

    return bench


def measured(benchmarks):
    """(variant, test) of each benchmark."""
    return {(b["extra_info"].get("variant"), b["name"].split("[")[0]) for b in benchmarks}


SOUND = {
    ("sound", "test_latency"),
    ("sound", "test_accuracy"),
    ("sound", "test_footprint"),
}
MEASUREMENTS = [f"benchmarks/test_{kind}.py" for kind in ("accuracy", "footprint", "latency")]


class TestCollecting:
    def test_imports_no_framework(self):
        """Collecting the benchmarks imports no framework."""
        script = (
            "import sys, pytest; status = int(pytest.main(['--collect-only', '-q', 'benchmarks'])); "
            "print(sorted({'torch', 'tensorflow', 'tf_keras', 'onnx', 'onnxruntime'} & set(sys.modules)), status)"
        )
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

        assert done.stdout.splitlines()[-1] == "[] 0"

    def test_collects_every_entry_of_the_registry(self, run):
        """Each variant has accuracy, footprint, a latency per batch size; the others where they are due."""
        output, _ = run("--collect-only", "-q", "benchmarks", "--batch-sizes=2,7", "--benchmark-save=x", broken=False)
        tests = (
            "accuracy::accuracy[{}]",
            "footprint::footprint[{}]",
            "latency::latency[{}-2]",
            "latency::latency[{}-7]",
            "whole_way::whole_way[{}]",
        )
        watched = [row.name for row in VARIANTS if row.watched]
        served = [row.name for row in VARIANTS if row.runtime in ("onnx", "openvino")]
        profiled = [*served, *(row.name for row in VARIANTS if row.runtime == "torch")]
        expected = {test.format(name) for name in names() for test in tests}
        expected |= {f"gate::{at}[{name}]" for name in watched for at in ("process_pairs", "deployment")}
        expected |= {f"throughput::throughput[{name}]" for name in served}
        expected |= {f"operators::operators[{name}]" for name in profiled}
        collected = {line for line in output.splitlines() if "[" in line}
        assert collected == {"benchmarks/test_{}.py::test_{}".format(*test.split("::")) for test in expected}


class TestOptions:
    def test_unknown_variant(self, run):
        """A glob without a match is a usage error that lists the names."""
        output, status = run("benchmarks", "--variants=sound,torch-*", "--collect-only")

        assert status == pytest.ExitCode.USAGE_ERROR
        assert "no variant matches 'torch-*'; there are: sound, raises-in-load" in output

    @pytest.mark.parametrize("sizes", ["0", "1,x"])
    def test_bad_batch_sizes(self, run, sizes):
        """A batch size that is not a positive integer is a usage error."""
        output, status = run("benchmarks", f"--batch-sizes={sizes}", "--collect-only")

        assert (status, f"--batch-sizes {sizes}:" in output) == (pytest.ExitCode.USAGE_ERROR, True)

    def test_bad_corpus(self, run, tmp_path):
        """An unusable corpus ends the run with a single message."""
        output, status = run("benchmarks", f"--corpus={tmp_path}", "--variants=sound")

        assert (status, output.count("holds none of labels.tsv")) == (pytest.ExitCode.USAGE_ERROR, 1)


class TestMeasuring:
    def test_sound_variant(self, bench):
        """All three measurements are saved with units in their keys; the statistics are the worker's seconds."""
        output, status, benchmarks = bench("sound")

        assert (status, measured(benchmarks)) == (0, SOUND)
        units = {"s", "ratios", "fraction", "line", "count", "bytes", "lines", "nats", "sha256"}
        words = {"variant", "technique", "runtime", "device", "original", "corpus", "format", "because", "anchor"}
        words |= {"edits", "characters", "sets", "disturbances", "at", "confusions"}  # packed, one per line; lists
        last_words = {key.split("_")[-1] for benchmark in benchmarks for key in benchmark["extra_info"]}
        assert last_words - units - words == set()
        assert "speed-up" in output.split("ways to ship a CRNN")[1]
        [latency] = [b for b in benchmarks if b["name"].startswith("test_latency")]

        info = latency["extra_info"]
        assert latency["stats"]["rounds"] == info["timed_calls_count"]
        assert latency["stats"]["median"] == pytest.approx(info["latency_median_s"], rel=1e-3, abs=1e-8)

    def test_faults_fail_their_own_tests_only(self, bench):
        """Each broken variant fails its own tests with its message and is not saved; the sound one passes."""
        messages = {
            "raises-in-load": "no kernel for this graph",
            "crashes": "SIGSEGV",
            "is-killed-for-memory": "SIGKILL (out of memory?)",
            "exits": "the last words",
            "hangs": "no reply to 'prepare' within 3 s",
            "returns-NaN": "not finite",
            "returns-logits": "are these logits?",
            "returns-another-shape": "expected (1, 50, 46)",
            "returns-before-the-work-is-done": "sum to one only within 45",
            "strays": "strays differs from sound by 0.0002 in log probability, 0.0001 is allowed",
        }
        output, status, benchmarks = bench(",".join([*messages, "sound"]), "--worker-limit=3")

        assert (status, measured(benchmarks)) == (pytest.ExitCode.TESTS_FAILED, SOUND)
        assert {fault: message in output for fault, message in messages.items()} == dict.fromkeys(messages, True)
        assert f"{3 * len(messages)} errors" in output

    def test_crashed_original_is_not_its_childrens_failure(self, bench):
        """A variant whose original crashes is measured alone, and the record says why; only the original fails."""
        output, _, benchmarks = bench("child-of-crashes")

        why = {b["extra_info"].get("measured_alone_because") for b in benchmarks if "accuracy" in b["name"]}
        assert why == {"crashes: the worker died: 'prepare' ended with SIGSEGV"}
        assert measured(benchmarks) == {("child-of-crashes", test) for _, test in SOUND}
        assert "1 error" in output

    def test_other_outputs_when_timed(self, bench):
        """Timed outputs that differ from the evaluated ones, from skipped work or a cache, fail the test."""
        variants = ("differs-when-timed", "skips-work-when-timed", "caches-its-last-output")
        output, _, benchmarks = bench(",".join(variants))

        for variant in variants:
            assert f"FAILED benchmarks/test_latency.py::test_latency[{variant}-1]" in output
        assert output.count("AssertionError: timed outputs differ") >= len(variants)
        assert "test_latency" not in {name for _, name in measured(benchmarks)}

    def test_missed_threshold_is_not_saved(self, bench):
        """A measurement whose assertion fails after timing is not saved."""
        output, status, benchmarks = bench("misses-its-threshold,reads-worse")

        # The original is timed too, because speed-ups refer to it.
        kept = {(name, "test_latency") for name in ("misses-its-threshold", "reads-worse", "sound")}
        assert status == pytest.ExitCode.TESTS_FAILED
        assert measured(benchmarks) == kept | {("reads-worse", "test_footprint")}
        assert "<= limits.max_cer_difference" in output or "max_cer_difference=" in output

    def test_missing_framework_skips(self, bench):
        """A variant whose framework is missing is skipped with the reason."""
        output, status, _ = bench("lacks-its-framework,sound", "-rs")

        assert (status, "needs a_framework_nobody_has, not installed here" in output) == (0, True)

    def test_required_framework_fails(self, bench):
        """With ``--require``, a missing framework is an error."""
        output, status, _ = bench("lacks-its-framework", "--require")

        assert (status, "--require: lacks-its-framework needs" in output) == (pytest.ExitCode.TESTS_FAILED, True)


class TestSaving:
    def test_baselines_go_where_they_are_kept(self, run):
        """Without a storage option, pytest-benchmark's storage is fixtures/baselines."""
        output, _ = run("benchmarks", "--collect-only", "-q", "--benchmark-compare=9999_none")

        assert str(ROOT / "fixtures" / "baselines") in output

    def test_save_and_compare(self, run, tmp_path):
        """pytest-benchmark's own comparison finds a saved run."""
        arguments = (
            *MEASUREMENTS,
            "benchmarks/test_gate.py",
            "--quick",
            "--batch-sizes=1",
            "--variants=sound",
            f"--benchmark-storage=file://{tmp_path}",
        )
        _, saved = run(*arguments, "--benchmark-save=base")
        output, compared = run(*arguments, "--benchmark-compare", "--gate=latency=off")

        assert (saved, compared, len(list(tmp_path.glob("*/0001_base.json")))) == (0, 0, 1)
        assert "(0001_base)" in output

    @pytest.mark.usefixtures("interruptible")
    def test_interrupted_run_reports_what_it_has(self, cache, tmp_path):
        """After Ctrl-C, the results so far are shown and saved, and no partial file is left."""
        results = tmp_path / "results.json"
        chosen = ("--quick", "--variants=sound,hangs", "--order-seed=0", "--batch-sizes=1")
        process = subprocess.Popen(
            command(*MEASUREMENTS, *chosen, f"--benchmark-json={results}", "-v"),
            cwd=ROOT,
            env=own_machine(cache) | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for line in process.stdout:
            if "test_latency[sound-1] PASSED" in line:
                break
        # The next variant's worker is up once the process has a child besides the anchor's; it then hangs.
        deadline = time.monotonic() + 60
        while len(children(process.pid)) < 2 and time.monotonic() < deadline:
            os.sched_yield()
        os.kill(process.pid, signal.SIGINT)
        try:
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

        assert process.returncode == pytest.ExitCode.INTERRUPTED
        assert "ways to ship a CRNN" in output
        assert measured(json.loads(results.read_text())["benchmarks"]) == SOUND
        assert list(results.parent.iterdir()) == [results]


def children(pid):
    """Process ids of the direct children."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

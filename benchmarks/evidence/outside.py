"""A public tool's latency of an artifact beside ours: OpenVINO's benchmark_app, or Polygraphy for ONNX Runtime.

Both read the same file at the same batch size with the same threads, in fresh processes that alternate.

python -m benchmarks.evidence.outside ov-int8 ort-torch2onnx-optimized    # pip install polygraphy==0.53.6
"""

import argparse
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory

from crnn import artifacts, registry
from crnn.corpus import Corpus, open_corpus
from crnn.measure.speedup import over_processes
from crnn.measure.workload import Workload
from crnn.processor import usable_cores
from crnn.registry.variant import Variant

_SECONDS, _REPEATS = 2, 12


def benchmark_app(variant: Variant, artifact: Path, size: int, threads: int) -> float:
    """The median latency in ms that OpenVINO's tool reports: by the engine's clock, without the call from Python."""
    with TemporaryDirectory() as folder:
        with zipfile.ZipFile(artifact) as archive:
            archive.extractall(folder)
        asked = [
            *("-m", f"{folder}/model.xml", "-d", "CPU", "-hint", "none"),
            *("-nstreams", "1", "-api", "sync", "-nireq", "1"),
            *("-shape", f"images[{size},32,400],field[{size},50,2]", "-nthreads", str(threads), "-pin", "NO"),
            *("-infer_precision", variant.runtime_options.get("precision", "f32"), "-t", str(_SECONDS)),
            *("-json_stats", "-report_type", "no_counters", "-report_folder", folder),
        ]
        # Without the module that sends usage data.
        silent = "import sys; sys.modules['openvino_telemetry'] = None"
        code = f"{silent}; from openvino.tools.benchmark.main import main; main()"
        subprocess.run([sys.executable, "-c", code, *asked], check=True, capture_output=True)
        report = json.loads(Path(folder, "benchmark_report.json").read_text())
    return float(report["execution_results"]["latency (ms)"])


def polygraphy(_: Variant, artifact: Path, size: int, threads: int) -> float:
    """The mean latency in ms that Polygraphy reports for ONNX Runtime; it has no option for threads."""
    code = "import sys; from polygraphy.tools import main; sys.exit(main())"
    command = [
        *(sys.executable, "-c", code, "run", str(artifact), "--onnxrt", "--providers", "cpu"),
        *("--input-shapes", f"images:[{size},32,400]", f"field:[{size},50,2]"),
        *("--sequential-runners", "--warm-up", "5", "--iterations", str(max(20, 800 // size))),
    ]
    said = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)}
    ).stdout
    return float(re.search(r"Average inference time: ([\d.]+) ms", said).group(1))


def ours(variant: Variant, artifact: Path, corpus: Corpus, size: int, threads: int | None) -> list[float]:
    """Seconds of each call, as the suite's worker times them."""
    workload = Workload.of(variant, artifact, corpus)
    with workload.process() as worker:
        worker.ask("load", *workload.load_request("cpu", threads))
        worker.ask("keep", corpus.test.images, corpus.test.kinds)
        first = min(worker.ask("time", size, 0, 5)[0])
        calls = max(10, min(1000, round(_SECONDS / first)))
        return worker.ask("time", size, 0, calls)[0]


def main() -> None:
    """Print a row per variant and batch size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="+", metavar="VARIANT")
    parser.add_argument("--batch-sizes", default="1,32")
    given = parser.parse_args()
    corpus, threads = open_corpus(None), usable_cores()
    print("| row | batch | tool | its ms | ours, ms | its / ours [95 %] |\n|---|---:|---|---:|---:|---:|")  # noqa: T201
    for name in given.variants:
        variant = registry.get(name)
        artifact = artifacts.location(variant, corpus)
        for size in map(int, given.batch_sizes.split(",")):
            openvino = variant.runtime == "openvino"
            tool, middle = (benchmark_app, median) if openvino else (polygraphy, fmean)
            theirs, mine = [], []
            for repeat in range(_REPEATS):
                # Each goes first as often as the other.
                for turn in (repeat, repeat + 1):
                    if turn % 2:
                        theirs.append(tool(variant, artifact, size, threads))
                    else:
                        mine.append(1e3 * middle(ours(variant, artifact, corpus, size, threads if openvino else None)))
            ratio = over_processes([their / my for their, my in zip(theirs, mine, strict=True)])
            print(  # noqa: T201 a command
                f"| {name} | {size} | {tool.__name__} | {median(theirs):.2f} | {median(mine):.2f} | "
                f"{ratio.value:.3f} [{ratio.interval[0]:.3f}, {ratio.interval[1]:.3f}] |",
                flush=True,
            )


if __name__ == "__main__":
    main()

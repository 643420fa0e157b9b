"""The one-way flow of data, checked against the imports in the code."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Each level may import from itself and from those listed above it.
LEVELS = (
    ("crnn/text.py", "crnn/processor.py", "crnn/interface.py"),
    ("crnn/corpus/",),
    ("crnn/models/",),
    ("crnn/formats/",),
    ("crnn/training/",),
    ("crnn/optimize/",),
    ("crnn/registry/",),
    ("crnn/artifacts.py",),
    ("crnn/runtimes/",),
    ("crnn/measure/",),
    ("crnn/gate/",),
    ("crnn/report/",),
    ("crnn/scaling/",),
    # The studies use everything above; only the command line uses them.
    ("crnn/optimize/studies/",),
    ("crnn/__main__.py",),
    ("fixtures/",),
    ("benchmarks/", "conftest.py"),
)
FRAMEWORKS = {
    "torch",
    "torchao",
    "tensorflow",
    "tensorflow_model_optimization",
    "tf_keras",
    "ai_edge_litert",
    "tf2onnx",
    "onnx",
    "onnxruntime",
    "onnxoptimizer",
    "onnxsim",
    "tensorrt",
}
FRAMEWORK_FOLDERS = ("crnn/runtimes/", "crnn/formats/", "crnn/models/", "crnn/training/", "crnn/optimize/")
MOST_LINES, MOST_LOOSE_MODULES = 400, 4
_RECIPES = ("crnn.optimize.quantization", "crnn.formats.pt_file", "crnn.formats.torch_int8")
_MEASURING = ("crnn.measure.session", "crnn.measure.process_pairs", "fixtures.variants", "fixtures.gate")
SOURCES = [
    path.relative_to(ROOT).as_posix()
    for folder in ("crnn", "fixtures", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
FILES = [file for file in SOURCES if "/tests/" not in file and file != "crnn/__init__.py"]


def level(file):
    """The level of a file: that of the longest matching prefix."""
    prefixes = {prefix: index for index, prefixes in enumerate(LEVELS) for prefix in prefixes}
    return prefixes[max((prefix for prefix in prefixes if file.startswith(prefix)), key=len)]


def imports(file, at_import_time=False):
    """Modules that a file imports, anywhere or only at import time."""
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    inner = {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        or (isinstance(function, ast.If) and "TYPE_CHECKING" in ast.dump(function.test))
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if at_import_time and node in inner:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            inside = [name for name in names if list(own_files([name]))]
            yield from inside
            if len(inside) < len(names):
                yield node.module


def own_files(modules):
    """The files of the project's own modules."""
    for module in modules:
        path = module.replace(".", "/")
        for file in (f"{path}.py", f"{path}/__init__.py"):
            if (ROOT / file).exists() and file != "crnn/__init__.py":
                yield file


@pytest.mark.parametrize("file", FILES)
def test_imports_go_one_way(file):
    """No file imports from a level listed below its own."""
    assert [used for used in own_files(imports(file)) if level(used) > level(file)] == []


def test_no_circles():
    """Following imports from a file never leads back to it."""
    order = TopologicalSorter({file: set(own_files(imports(file))) - {file} for file in FILES})

    assert set(order.static_order()) >= set(FILES)


def test_few_loose_modules():
    """Besides its folders and entry points, the package has at most four modules."""
    loose = [file for file in FILES if Path(file).parent == Path("crnn") and not Path(file).name.startswith("__")]

    assert len(loose) <= MOST_LOOSE_MODULES


@pytest.mark.parametrize("file", SOURCES)
def test_files_are_short(file):
    """No file has more than 300 lines, tests included."""
    assert len((ROOT / file).read_text("utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("file", [file for file in FILES if not file.startswith(FRAMEWORK_FOLDERS)])
def test_frameworks_stay_in_their_folders(file):
    """No framework is imported outside runtimes, formats, models, training and optimize."""
    assert {module.split(".")[0] for module in imports(file)} & FRAMEWORKS == set()


def test_one_place_reads_the_clock():
    """Every runtime is timed by the worker; no other file reads a performance counter."""
    assert [file for file in FILES if "perf_counter" in (ROOT / file).read_text("utf-8")] == ["crnn/runtimes/worker.py"]


def test_what_measures_needs_no_pytest():
    """Everything below the fixtures works without pytest."""
    users = [file for file in FILES if {"pytest", "pytest_benchmark"} & {name.split(".")[0] for name in imports(file)}]

    assert [file for file in users if not file.startswith(("fixtures/", "benchmarks/"))] == []


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("crnn/runtimes/")])
def test_engines_import_their_framework_in_load(file):
    """Importing an engine's file imports no framework."""
    assert {module.split(".")[0] for module in imports(file, at_import_time=True)} & FRAMEWORKS == set()


def test_torch_rows_need_torch_alone():
    """PyTorch's rows can be built and measured with only PyTorch, numpy, Pillow and pytest installed."""
    blocked = (
        "tensorflow",
        "tf_keras",
        "onnx",
        "onnxruntime",
        "torchao",
        "tqdm",
        "faker",
        "h5py",
        "rapidfuzz",
        "scipy",
        "matplotlib",
    )
    modules = ("crnn.__main__", "crnn.runtimes.torch_runtime", *_MEASURING, *_RECIPES)
    blocking = f"import sys; sys.modules.update(dict.fromkeys({blocked!r})); import " + ", ".join(modules)

    done = subprocess.run([sys.executable, "-c", blocking], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""

"""The tables of ``crnn/optimize/README.md``, from the files that hold the figures.

python -m crnn.study_report    # fills them in between their markers
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from crnn.artifacts import SHIPPED
from crnn.measure.footprint import artifact_bytes

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "crnn" / "optimize" / "README.md"
_RESULTS = ROOT / "crnn" / "optimize" / "results"
_EVIDENCE = ROOT / "benchmarks" / "evidence"
BASELINE = ROOT / "fixtures" / "baselines" / "Linux-CPython-3.11-64bit" / "0001_baseline.json"


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown; all columns but the first are numbers."""
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, rule, *rows))


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _interval(values: Sequence[float], form: str, scale: float = 1) -> str:
    """A value and its interval."""
    value, *ends = (format(scale * part, form) for part in values)
    return f"{value} [{', '.join(ends)}]" if ends else value


def _widths(row: Mapping[str, Any]) -> str:
    return ", ".join(map(str, (*row["channels"], *row["lstm_units"])))


def criteria() -> str:
    """How the criteria of iterative pruning compare."""
    rows = [
        (row["criterion"], _percent(row["cer_before"]), _percent(row["cer_after"]), _widths(row))
        for row in _json(_RESULTS / "criteria.json")["rows"]
    ]
    return _table(("criterion", "CER, untuned", "after one epoch", "channels and LSTM units left"), rows)


def sweep() -> str:
    """CER and speed-up against multiply-adds."""
    original, *points = _json(_EVIDENCE / "pruning_sweep.json")
    rows: list[tuple[str, ...]] = [
        ("1", "32, 64, 64, 128, 256, 256, 256", f"{100 * original['cer']:.2f}", "", "1", "1", "1")
    ]
    for point in points:
        gains = [_interval(point[f"speedup_batch_{size}"], ".2f") for size in (1, 32, 128)]
        change = _interval(point["cer_difference"], "+.2f", 100)
        rows.append((f"1/{point['reduction']:g}", _widths(point), f"{100 * point['cer']:.2f}", change, *gains))
    sizes = [f"speed-up, batch {size}" for size in (1, 32, 128)]
    return _table(("multiply-adds", "channels and LSTM units", "CER %", "CER - original's", *sizes), rows)


def distillation() -> str:
    """The parts of the loss."""
    rows = [
        (row["loss"], *map(_percent, row["validation_cer"])) for row in _json(_RESULTS / "distillation.json")["rows"]
    ]
    return _table(("loss", *(f"epoch {index}" for index in range(1, len(rows[0])))), rows)


def rebuilds() -> str:
    """Rows made again from scratch."""
    rows = [
        (row["variant"], *map(_percent, row["cer"]), _interval(row["cer_difference"], "+.2f", 100))
        for row in _json(_EVIDENCE / "rebuilds.json")
    ]
    return _table(("row", "CER, as shipped", "CER, made again", "difference, points"), rows)


def conversions() -> str:
    """What the converter makes of the original, and what is made of that."""
    rows = []
    for row in _json(_EVIDENCE / "conversions.json"):
        gains = [row.get(f"speedup_batch_{size}") for size in (1, 32, 128)]
        difference = f"{row['log_prob_difference']:.2g}"
        change = _interval(row["cer_difference"], "+.2f", 100)
        rows.append((row["form"], difference, change, *(_interval(gain, ".2f") if gain else "1" for gain in gains)))
    sizes = [f"speed-up, batch {size}" for size in (1, 32, 128)]
    return _table(("form", "log probability off by, nats", "CER - original's", *sizes), rows)


def clustering() -> str:
    """Bytes of the clustered weights in each form."""
    rows = []
    for name in ("torch-clustered-16", "torch-clustered-64"):
        record, size = _json(SHIPPED / f"{name}.pt.json"), artifact_bytes(SHIPPED / f"{name}.pt")
        counts = (record["dense_bytes"], record["dense_compressed_bytes"], *size.values())
        rows.append((name, *(f"{count:,}" for count in counts)))
    original = artifact_bytes(SHIPPED / "torch-original.pt")
    plain = (f"{original['file_bytes']:,}", f"{original['compressed_bytes']:,}", "", "")
    headings = ("row", "as floats", "as floats, deflated", "artifact: codebook and indices", "artifact, deflated")
    return _table(headings, [("torch-original", *plain), *rows])


def _measured() -> dict[str, dict[tuple[str, int | None], Any]]:
    """What the committed baseline says of each variant, by key and batch size."""
    found: dict[str, dict[tuple[str, int | None], Any]] = {}
    for benchmark in _json(BASELINE)["benchmarks"]:
        info = benchmark["extra_info"]
        size = info.get("batch_size_lines")
        found.setdefault(info.get("variant", ""), {}).update({(key, size): value for key, value in info.items()})
    return found


def _difference(info: Mapping[tuple[str, int | None], Any]) -> str:
    ends = [info[f"cer_difference_to_original_{part}fraction", None] for part in ("", "low_", "high_")]
    return _interval(ends, "+.2f", 100)


def _executed(*names: str) -> str:
    """Speed-ups, CER, first calls."""
    rows, measured = [], _measured()
    for name in names:
        info = measured[name]
        gains = [
            _interval([info[f"speedup_{part}ratio", size] for part in ("", "low_", "high_")], ".2f")
            for size in (1, 32, 128)
        ]
        verdicts = {info["speedup_verdict", size] for size in (1, 32, 128)}
        verdict = verdicts.pop() if len(verdicts) == 1 else "depends on the batch"
        first = f"{info['first_call_of_process_s', None]:.1f}"
        rows.append((name, *gains, _difference(info), first, verdict))
    sizes = [f"speed-up, batch {size}" for size in (1, 32, 128)]
    return _table(("row", *sizes, "CER - original's", "first call, batch 128, s", "verdict"), rows)


def modes() -> str:
    """PyTorch's execution modes and quantization, in the committed baseline."""
    return _executed("torch-int8-dynamic", "torch-int8-static", "torch-bf16", "torch-channels-last", "torch-compiled")


def tensorflow_modes() -> str:
    """TensorFlow's original called in other ways, in the committed baseline."""
    return _executed("tf-original-xla", "tf-original-predict", "tf-original-eager")


def litert() -> str:
    """What LiteRT runs, in the committed baseline."""
    after_training = [f"litert-{name}" for name in ("fp32", "fp16", "int8-dynamic", "int8-static")]
    return _executed(*after_training, "tf-int8-qat", "tf-int8-pcqat")


_FORMS = (
    "keras",
    "keras_deflated",
    "artifact",
    "litert_none",
    "litert_none_deflated",
    "litert_dynamic",
    "litert_dynamic_deflated",
)


def tensorflow_sizes() -> str:
    """Parameters of TensorFlow's compressed rows, and their bytes in each form."""
    rows, measured = [], _measured()
    for row in _json(_RESULTS / "sizes.json")["rows"]:
        info = measured[row["variant"]]
        change = _difference(info) if ("cer_difference_to_original_fraction", None) in info else ""
        nonzero = f"{info['parameters_nonzero_count', None]:,}"
        rows.append((row["variant"], nonzero, change, *(f"{row[f'{form}_bytes'] / 1e3:,.0f}" for form in _FORMS)))
    headings = ("row", "not zero", "CER - original's", ".keras, kB", "deflated", "artifact", "LiteRT fp32", "deflated")
    return _table((*headings, "LiteRT int8", "deflated"), rows)


_PYTORCH = (criteria, sweep, distillation, clustering, modes)
_TENSORFLOW = (tensorflow_sizes, litert, conversions, tensorflow_modes)
TABLES: Mapping[str, Callable[[], str]] = {table.__name__: table for table in (*_PYTORCH, *_TENSORFLOW, rebuilds)}


def filled(page: str) -> str:
    """The page with each table as its figures give it."""
    for name, table in TABLES.items():
        before, start, rest = page.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        page = f"{before}{start}{table()}\n{end}{after}"
    return page


def main() -> int:
    """Fill in the tables."""
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The tables of the study of batch sizes, the batching worker, and bad input of the commands."""

import threading

import numpy as np
import pytest

from crnn.scaling import kept, tables
from crnn.scaling.batcher import Batcher
from crnn.scaling.model import model_of
from crnn.scaling.service import Policy
from crnn.scaling.times import ScalingError
from crnn.tests import saved_runs
from crnn.tests.test_scaling_model import line, record, step, times


@pytest.fixture(scope="module")
def models():
    """A row with a small fixed cost, one with a large one, and one that steps."""
    made = {"small": line(0.001, 0.002), "large": line(0.0212, 0.001), "steps": lambda sizes: 5 * step(sizes)}
    return [
        model_of(times(function, name=name, within=0.001, seed=seed))
        for seed, (name, function) in enumerate(made.items())
    ]


def cells(table):
    """The rows of a Markdown table, below its heading."""
    return [
        [cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:] if row.startswith("|")
    ]


class TestTables:
    def test_models(self, models):
        """Each row has a, 1/b and n½ with intervals, the accepted model, and the error at held-out sizes."""
        rows = cells(tables.models(models))

        assert [row[:3] for row in rows] == [
            ["`small`", "engine", "line"],
            ["`large`", "engine", "line"],
            ["`steps`", "engine", "2 pieces (from 41)"],
        ]
        assert rows[0][3].startswith("1.00 [")
        assert rows[1][4].startswith("1,000 [")
        assert rows[1][5].startswith("21.2 [")
        assert tables.models(models).endswith("% at held-out sizes. Rejected: none.")

    def test_held_out_sizes(self, models):
        """Each held-out size of these rows is predicted within 5 %."""
        assert [len(model.held_out_errors) for model in models] == [len(model.held_out) for model in models]
        assert np.max([model.held_out_errors.max() for model in models]) < 0.05

    def test_crossings(self, models):
        """Each range of sizes names its fastest row, and where the change lies."""
        rows = cells(tables.crossings(models[:2]))

        assert [row[:3] for row in rows] == [["all", "1 to 20", "`small`"], ["all", "21 to 256", "`large`"]]
        assert [row[3].split()[0] for row in rows] in (["-", "20"], ["-", "21"])

    def test_crossings_of_converted_originals(self):
        """Rows that round more than a conversion, or were trained, do not count among these."""
        names = ("torch-original", "ort-torch2onnx", "ov-bf16", "torch-distilled")
        models = [model_of(times(line(0.001, 0.002 / at), name=name)) for at, name in enumerate(names, 1)]
        rows = cells(tables.crossings(models))

        assert [(row[0], row[2]) for row in rows] == [
            ("all", "`torch-distilled`"),
            ("the originals, converted", "`ort-torch2onnx`"),
        ]

    def test_the_best_policy_meets_the_limit(self, models):
        """A row is served with the policy that reaches the highest rate; a lower limit allows no more."""
        rates = [tables.served(models[1], limit, 2000) for limit in (0.010, 0.050, 0.200)]

        assert rates[0] == (0.0, None)
        assert 0 < rates[1][0] < rates[2][0] < 1000
        assert rates[2][1].most_lines > 1

    def test_services(self):
        """A limit that no rate meets has no entry."""
        kept = {"row": [{"rate": 0.0}, {"rate": 1234.5, "most_lines": 16, "wait_s": 0.005}]}

        assert cells(tables.services(kept)) == [["`row`", "-", "1,234 (16, 5 ms)"]]


class TestBatcher:
    def test_lines_that_wait_are_read_together(self):
        """While a batch is read, lines wait; then as many as are allowed are read at once, in their order."""
        added, batches = threading.Event(), []

        def read(batch):
            added.wait()
            batches.append(list(batch))

        with Batcher(read, Policy(3)) as batcher:
            for number in range(6):
                batcher.add(number)
            added.set()

        assert [number for batch in batches for number in batch] == list(range(6))
        assert max(map(len, batches)) == 3

    def test_a_failure_ends_it(self):
        """A batch that fails is raised where the worker was started."""

        def read(_):
            raise RuntimeError("no kernel")

        with pytest.raises(RuntimeError, match="no kernel"), Batcher(read, Policy(1)) as batcher:
            batcher.add(1)


class TestKept:
    @pytest.fixture(autouse=True)
    def elsewhere(self, tmp_path, monkeypatch):
        """Rows are kept in a folder of this test."""
        monkeypatch.setattr(kept, "MEASURED", tmp_path / "measured.json")

    @staticmethod
    def run(folder, **seconds):
        """Keep a run of rows, each with so many seconds for every call."""
        content = saved_runs.run(accuracy=None, footprint=None, latency=None, deployment=None)
        content |= {"datetime": "2026-11-28T06:00:00+00:00", "benchmarks": []}
        for name, second in seconds.items():
            info = saved_runs.IDENTITY | {"variant": name} | record(range(1, 6), [[second] * 5] * 3).to_json()
            content["benchmarks"].append({"fullname": f"test_batch_scaling[{name}]", "extra_info": info})
        return content, saved_runs.write(folder / "run.json", content)

    def test_rows_of_several_runs(self, tmp_path):
        """A later run adds its rows, and replaces those that it measured again."""
        for seconds in ({"one": 1.0, "two": 2.0}, {"two": 2.5, "three": 3.0}):
            kept.keep(self.run(tmp_path, **seconds)[1])

        assert {times.name: float(times.typical[0]) for times in kept.kept()} == pytest.approx(
            {"one": 1.0, "two": 2.5, "three": 3.0}
        )

    def test_another_machine(self, tmp_path):
        """Rows of another machine are refused, and those that were kept stay."""
        content, path = self.run(tmp_path, one=1.0)
        kept.keep(path)
        content["machine_info"]["fingerprint"]["cores"] = 99
        saved_runs.write(path, content)

        with pytest.raises(ScalingError, match=r"measured elsewhere than the rows in measured.json: cores \(\d+, 99\)"):
            kept.keep(path)
        assert [times.name for times in kept.kept()] == ["one"]

    def test_another_run(self, tmp_path):
        """A run without this study is refused, and nothing is kept."""
        with pytest.raises(ScalingError, match="no batch scaling in this file"):
            kept.keep(self.run(tmp_path)[1])
        assert not kept.MEASURED.exists()

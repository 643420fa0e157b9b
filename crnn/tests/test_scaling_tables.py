"""The tables of the study of batch sizes, the batching worker, and bad input of the commands."""

import json
import threading

import numpy as np
import pytest

from crnn.scaling import __main__ as command
from crnn.scaling import tables
from crnn.scaling.batcher import Batcher
from crnn.scaling.model import model_of
from crnn.scaling.service import Policy
from crnn.scaling.times import ScalingError
from crnn.tests.test_scaling_model import line, step, times


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
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]


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

    def test_held_out_sizes(self, models):
        """Each held-out size of these rows is predicted within 5 %."""
        assert [len(model.held_out_errors) for model in models] == [len(model.held_out) for model in models]
        assert np.max([model.held_out_errors.max() for model in models]) < 0.05

    def test_crossings(self, models):
        """Each range of sizes names its fastest row, and where the change lies."""
        rows = cells(tables.crossings(models[:2]))

        assert [row[:2] for row in rows] == [["1 to 20", "`small`"], ["21 to 256", "`large`"]]
        assert [row[2].split()[0] for row in rows] in (["-", "20"], ["-", "21"])

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


class TestCommand:
    def test_another_run(self, tmp_path):
        """A run without this study is refused, and nothing is kept."""
        path = tmp_path / "run.json"
        path.write_text(json.dumps({"benchmarks": []}))

        with pytest.raises(ScalingError, match="no batch scaling in this file"):
            command.keep(path)

"""The committed study of batch sizes: its page is what its data give, and it shows what it has to."""

import json

import numpy as np
import pytest

from crnn import registry
from crnn.models.config import CRNNConfig
from crnn.scaling import __main__ as command
from crnn.scaling import causes, kept, serve

PAGE = command.PAGE.read_text("utf-8")


@pytest.fixture(scope="module")
def models():
    """The models of all measured rows."""
    return command.models()


class TestPage:
    def test_tables_are_those_of_the_data(self):
        """Every table between markers is what the committed data give."""
        assert command.filled(PAGE) == PAGE

    def test_every_row_that_runs_on_a_cpu_was_measured(self, models):
        """No row is missing but those that the machine cannot run."""
        expected = {row.name for row in registry.VARIANTS if not row.unmeasured}

        assert expected - {model.times.name for model in models} == set()

    def test_held_out_sizes_are_predicted(self, models):
        """The median error at the held-out sizes of each row whose model is accepted is at most 5 %."""
        errors = {model.times.name: float(np.median(model.held_out_errors)) for model in models if not model.rejected}

        assert {name: error for name, error in errors.items() if error > 0.05} == {}

    def test_each_cause_is_shown(self):
        """At least four numbers shrink where the cause is switched off, on four engines."""
        found = json.loads(causes.KEPT.read_text("utf-8"))
        shrinks = [cause for cause in causes.CAUSES if causes.found(cause, found[cause.name]).shrinks]

        assert len({cause.engine for cause in shrinks}) >= 4

    def test_where_pytorch_maps_memory(self, models):
        """The first convolution's activation exceeds glibc's 32 MiB from 21 lines on; there a piece begins."""
        config = CRNNConfig()
        per_line = config.channels[0] * config.height * config.width * 4
        [eager] = [model for model in models if model.times.name == "torch-original"]

        assert 20 * per_line < 32 * 2**20 < 21 * per_line
        assert any(abs(piece.first - 21) <= 3 for piece in eager.function.pieces)

    def test_services_are_those_of_all_rows(self, models):
        """Each measured row was simulated."""
        found = json.loads(command.SERVICES.read_text("utf-8"))

        assert set(found) == {model.times.name for model in models}

    def test_predicted_percentiles(self):
        """Simulated and measured 99th percentiles of three rows differ by at most 15 %; the page names the others."""
        served = json.loads(serve.KEPT.read_text("utf-8"))["rows"]
        off = {
            name: max(abs(one["predicted_p99_s"] / one["measured_p99_s"] - 1) for one in rates)
            for name, rates in served.items()
        }
        missed = [name for name, most in off.items() if most > 0.15]

        assert len(off) - len(missed) >= 3
        assert [name for name in missed if f"`{name}` is served slower" not in PAGE] == []

    def test_rows_of_one_machine(self):
        """All were measured on one machine, beside one anchor."""
        sittings = json.loads(kept.MEASURED.read_text("utf-8"))

        assert len({json.dumps(sitting["fingerprint"], sort_keys=True) for sitting in sittings}) == 1

"""Checks before a baseline is promoted: ``pytest -m release``. A new row alone does not fail ``pytest``."""

import pytest

from crnn.artifacts import SHIPPED, sha256_of
from crnn.optimize.studies.baseline import measured
from crnn.optimize.studies.common import BATCH_SIZES, rows_of
from crnn.registry import VARIANTS

pytestmark = pytest.mark.release


def test_every_row_is_in_the_committed_baseline():
    """The committed baseline has every row with all batch sizes, except rows that no machine of ours can run."""
    baseline, expected = measured(), [variant.name for variant in VARIANTS if not variant.unmeasured]

    assert set(expected) <= baseline.keys()
    assert [name for name in expected if baseline[name].latencies.keys() != set(BATCH_SIZES)] == []


def test_every_trained_row_was_trained_twice():
    """Every trained row except the originals was trained again and compared with the artifact shipped now."""
    shipped = {
        variant.name: sha256_of(SHIPPED / f"{variant.name}{variant.suffix}")
        for variant in VARIANTS
        if variant.trained and variant.parent
    }

    assert {row["variant"]: row["shipped_sha256"] for row in rows_of("rebuilds")} == shipped

"""Size of PyTorch's clustered rows as floats and as codebooks, from the shipped artifacts and their records."""

import json

from crnn.artifacts import SHIPPED, record_path
from crnn.measure.footprint import artifact_bytes
from crnn.optimize import clustering
from crnn.registry import VARIANTS, original_of
from crnn.report.documents import markdown


def table() -> str:
    """Bytes of the original and of each clustered row; a new row is missing until its artifact is shipped."""
    rows_of_recipe = [row for row in VARIANTS if row.recipe.startswith(f"{clustering.__name__}:")]
    clustered = [row for row in rows_of_recipe if (SHIPPED / f"{row.name}{row.suffix}").exists()]
    plain = original_of(clustered[0])
    size = artifact_bytes(SHIPPED / f"{plain.name}{plain.suffix}")
    rows = [(plain.name, *(f"{count:,}" for count in size.values()), "", "")]
    for row in clustered:
        artifact = SHIPPED / f"{row.name}{row.suffix}"
        record = json.loads(record_path(artifact).read_text("utf-8"))
        counts = (record["dense_bytes"], record["dense_compressed_bytes"], *artifact_bytes(artifact).values())
        rows.append((row.name, *(f"{count:,}" for count in counts)))
    headings = ("row", "as floats", "as floats, deflated", "artifact: codebook and indices", "artifact, deflated")
    return markdown(headings, rows)

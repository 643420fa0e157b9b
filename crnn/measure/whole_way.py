"""The whole way of a line, from its image file to its text: how much of it is the model.

A faster model helps an application only as far as it waits for the model. Images are decoded and scaled by Pillow, as
the corpus is; texts are decoded by the best path.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from crnn.corpus.lines import Lines
from crnn.measure.row import Runner
from crnn.measure.session import Session
from crnn.measure.way_record import WholeWay
from crnn.measure.workload import Workload

_LINES, _UNTIMED, _QUALITY = 64, 4, 90
CORPUS, JPEG = "corpus", "JPEG"


def _files(lines: Lines, folder: Path) -> tuple[str, Sequence[Path]]:
    """Image files of lines: the corpus's own, or in a folder as JPEG of quality 90."""
    own = [file for file in lines.files if file]
    if len(own) == len(lines):
        return CORPUS, own
    written = [folder / f"{index}.jpg" for index in range(len(lines))]
    for path, image in zip(written, lines.images, strict=True):
        Image.fromarray(image).save(path, quality=_QUALITY)
    return JPEG, written


def measure(session: Session, runner: Runner) -> tuple[WholeWay, list[float]]:
    """Read files in a fresh process.

    Args:
        session: provides corpus, device and time limit.
        runner: the measured variant, evaluated.

    Returns:
        The record, and the seconds of all stages of each line.

    Raises:
        WorkerError: the worker failed.
    """
    workload = Workload.of(runner.variant, runner.artifact, session.corpus)
    lines = session.lines.take(range(min(_LINES, len(session.lines))))
    with TemporaryDirectory() as folder, workload.process(session.limit_s) as worker:
        kind, files = _files(lines, Path(folder))
        worker.ask("load", *workload.load_request(session.device, None))
        paths, kinds = list(map(str, files)), list(map(int, lines.kinds))
        # The first calls compile and allocate.
        worker.ask("read_files", paths[:_UNTIMED], kinds[:_UNTIMED], workload.alphabet)
        read = worker.ask("read_files", paths, kinds, workload.alphabet)
    stages = np.array([found[:-1] for found in read])  # (N, 4)
    texts = [found[-1] for found in read]
    decode, resize, model, ctc = np.median(stages, axis=0).tolist()
    differ = sum(text != evaluated for text, evaluated in zip(texts, runner.evaluation.texts, strict=False))
    record = WholeWay(
        way_decode_s=decode,
        way_resize_s=resize,
        way_model_s=model,
        way_ctc_s=ctc,
        way_model_fraction=float(stages[:, 2].sum() / stages.sum()),
        way_lines_count=len(lines),
        way_files=kind,
        way_texts_differ_count=differ if kind == CORPUS else None,
    )
    return record, stages.sum(axis=1).tolist()

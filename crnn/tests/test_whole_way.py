"""From an image file to its text: what each stage takes, and what is said of it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image

from crnn.corpus import images
from crnn.corpus.user import read_corpus
from crnn.measure import whole_way
from crnn.measure.way_record import WholeWay
from crnn.report import caption
from crnn.tests.steady_runtime import STEADY
from crnn.tests.test_training import lines

MILLISECOND = 1e-3
COUNT = 6


@pytest.fixture
def measure(tmp_path):
    """Measure lines with an engine whose calls take a millisecond and read nothing."""
    (tmp_path / "nothing").touch()

    def measured(of, texts=("",) * COUNT):
        corpus = SimpleNamespace(alphabet="", size=(32, 400))
        session = SimpleNamespace(lines=of, device="cpu", limit_s=60.0, corpus=corpus)
        runner = SimpleNamespace(
            variant=STEADY, artifact=tmp_path / "nothing", evaluation=SimpleNamespace(texts=list(texts))
        )
        return whole_way.measure(session, runner)

    return measured


@pytest.fixture
def files(tmp_path):
    """Image files, three times as large as a model's input."""
    paths = [tmp_path / f"{index}.png" for index in range(COUNT)]
    for path, pixels in zip(paths, lines(COUNT, 2).images, strict=True):
        Image.fromarray(pixels.repeat(3, 0).repeat(3, 1)).convert("RGB").save(path)
    return tuple(paths)


class TestMeasure:
    def test_the_record(self, measure):
        """Lines without files are written as JPEG; the model's part is that of its millisecond."""
        record, seconds = measure(lines(COUNT, 1))

        assert (record.way_files, record.way_lines_count, record.way_texts_differ_count) == ("JPEG", COUNT, None)
        assert record.way_model_s >= MILLISECOND
        assert 0 < record.way_model_fraction < 1
        assert min(record.way_decode_s, record.way_resize_s, record.way_ctc_s) > 0
        assert len(seconds) == COUNT
        assert WholeWay.from_json(record.to_json()) == record

    def test_files_of_the_corpus(self, measure, files):
        """Its own files are read, and larger images take longer to decode and to scale."""
        small, _ = measure(lines(COUNT, 1))
        record, _ = measure(replace(lines(COUNT, 1), files=files))

        assert (record.way_files, record.way_texts_differ_count) == ("corpus", 0)
        assert record.way_decode_s > small.way_decode_s
        assert record.way_resize_s > small.way_resize_s

    def test_other_texts_are_counted(self, measure, files):
        """Files that are read differently than in the evaluation are counted."""
        record, _ = measure(replace(lines(COUNT, 1), files=files), ["", "12", "", "", "3", ""])

        assert record.way_texts_differ_count == 2


class TestCorpus:
    def test_lines_know_their_files(self, files):
        """Each line keeps the path of its image, in every split, and scaling it gives the line's pixels."""
        folder = files[0].parent
        for part, chosen in (("train", files[2:]), ("validation", files[1:2]), ("test", files[:1])):
            (folder / part).mkdir()
            for path in chosen:
                path.rename(folder / part / path.name)
            (folder / part / "labels.tsv").write_text("".join(f"{path.name}\t1\n" for path in chosen))
        corpus = read_corpus(folder)

        assert [path.name for path in corpus.train.files] == [path.name for path in files[2:]]
        for found in (corpus.train, corpus.test):
            for path, pixels in zip(found.files, found.images, strict=True):
                with images.opened(path) as picture:
                    assert (images.fitted(images.grey(picture), 32, 400) == pixels).all()


def record(fraction, **changed):
    """The whole way with this part of the model."""
    values = {"way_decode_s": 0.001, "way_resize_s": 0.002, "way_model_s": 0.004, "way_ctc_s": 0.0001}
    return WholeWay(**values | {"way_model_fraction": fraction, "way_lines_count": 64, "way_files": "JPEG"} | changed)


class TestSentence:
    def test_stages(self):
        """Each stage has its milliseconds."""
        assert caption.stages(record(0.5)) == "decode 1 ms, scale 2 ms, model 4 ms, CTC 0.1 ms; the model is 50%"

    def test_one_row(self):
        """Its part is named."""
        assert list(caption.whole_way({"one": record(0.25)})) == [
            "Of the whole way from a JPEG file to the text, one line at a time, the model is 25%; "
            "reading, decoding and scaling the image take 3 ms."
        ]

    def test_rows(self):
        """The least and the largest part are named."""
        rows = {"middle": record(0.5), "least": record(0.1, way_files="corpus"), "most": record(0.9)}

        assert next(caption.whole_way(rows)).startswith(
            "Of the whole way from the image file to the text, one line at a time, the model is "
            "10% (least) to 90% (most); "
        )

    def test_no_row(self):
        """Nothing is said of what was not measured."""
        assert list(caption.whole_way({})) == []

"""The forms of a corpus that other tools write: Hugging Face, docTR, kraken, PaddleOCR, PAGE, ALTO."""

import io
import json

import lmdb
import numpy as np
import pytest
from PIL import Image

from crnn.corpus import CorpusError
from crnn.corpus.images import fit
from crnn.corpus.user import read_corpus
from crnn.interface import BUILT_IN

COUNT = 40
PAGE = """<?xml version="1.0"?>
<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">
 <Page imageFilename="page.png" imageWidth="200" imageHeight="{height}"><TextRegion id="r">{lines}</TextRegion></Page>
</PcGts>"""
PAGE_LINE = """<TextLine id="l{at}"><Coords points="10,{top} 109,{top} 109,{bottom} 10,{bottom}"/>
 <TextEquiv index="1"><Unicode>other</Unicode></TextEquiv><TextEquiv index="0"><Unicode>{text}</Unicode></TextEquiv>
</TextLine>"""
ALTO = """<?xml version="1.0"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Description><sourceImageInformation>
 <fileName>page.png</fileName></sourceImageInformation></Description>
 <Layout><Page><PrintSpace><TextBlock>{lines}</TextBlock></PrintSpace></Page></Layout></alto>"""
ALTO_LINE = """<TextLine ID="l{at}" HPOS="10" VPOS="{top}" WIDTH="100" HEIGHT="20">
 <String CONTENT="{text}"/><SP/><String CONTENT="B"/></TextLine>"""


def image(seed, size=(60, 20)):
    """A picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0]), np.uint8)
    return Image.fromarray(pixels)


def write(folder, names):
    """Write a picture under each name."""
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image(seed).save(folder / name)


def lines(corpus):
    """Pixels by label, over all splits."""
    splits = (corpus.train, corpus.validation, corpus.test)
    return {label: pixels for part in splits for label, pixels in zip(part.labels, part.images, strict=True)}


def assert_read(folder, labels, pictures):
    """The corpus has each label with its picture."""
    found = lines(read_corpus(folder))

    assert found.keys() == set(labels)
    assert all(
        (found[label] == fit(picture, [BUILT_IN.frame])[0]).all()
        for label, picture in zip(labels, pictures, strict=True)
    )


LABELS = [f"A{number}" for number in range(COUNT)]
NAMES = [f"{number}.png" for number in range(COUNT)]


class TestHuggingFace:
    @pytest.mark.parametrize("column", ["text", "transcription", "label", "ground_truth"])
    def test_json_lines(self, tmp_path, column):
        """``metadata.jsonl`` names file and text; further columns are ignored."""
        write(tmp_path, NAMES)
        rows = [{"file_name": name, column: label, "w": 1} for name, label in zip(NAMES, LABELS, strict=True)]
        (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))

        assert_read(tmp_path, LABELS, map(image, range(COUNT)))

    def test_csv(self, tmp_path):
        """``metadata.csv`` may quote a text that holds a comma."""
        write(tmp_path, NAMES)
        labels = [f"{label}, B" for label in LABELS]
        rows = [f'{name},"{label}"' for name, label in zip(NAMES, labels, strict=True)]
        (tmp_path / "metadata.csv").write_text("\n".join(["file_name,text", *rows]))

        assert_read(tmp_path, labels, map(image, range(COUNT)))

    def test_folders_are_splits(self, tmp_path):
        """Folders ``train``, ``val`` and ``test`` are the splits."""
        for split, part in (("train", slice(0, 20)), ("val", slice(20, 30)), ("test", slice(30, 40))):
            write(tmp_path / split, NAMES[part])
            rows = [{"file_name": name, "text": label} for name, label in zip(NAMES[part], LABELS[part], strict=True)]
            for at, name in enumerate(NAMES[part]):
                image(part.start + at).save(tmp_path / split / name)
            (tmp_path / split / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))

        corpus = read_corpus(tmp_path)

        assert [part.labels for part in (corpus.train, corpus.validation, corpus.test)] == [
            tuple(LABELS[:20]),
            tuple(LABELS[20:30]),
            tuple(LABELS[30:]),
        ]

    def test_without_a_folder_to_validate(self, tmp_path):
        """Where only training and test lines are told apart, some training lines validate; no test line moves."""
        for split, part in (("train", slice(0, 30)), ("test", slice(30, 40))):
            write(tmp_path / split, NAMES[part])
            for at, name in enumerate(NAMES[part]):
                image(part.start + at).save(tmp_path / split / name)
            rows = "".join(f"{name}\t{label}\n" for name, label in zip(NAMES[part], LABELS[part], strict=True))
            (tmp_path / split / "labels.tsv").write_text(rows)

        corpus = read_corpus(tmp_path)

        assert set(corpus.train.labels) | set(corpus.validation.labels) == set(LABELS[:30])
        assert (len(corpus.validation) > 0, corpus.test.labels) == (True, tuple(LABELS[30:]))

    def test_a_row_without_text(self, tmp_path):
        """A row without a text is named, with the columns that it has."""
        write(tmp_path, NAMES[:1])
        (tmp_path / "metadata.jsonl").write_text(json.dumps({"file_name": "0.png", "boxes": []}))

        with pytest.raises(
            CorpusError, match=r"metadata.jsonl:1: expected file_name and one of text, .* file_name, boxes"
        ):
            read_corpus(tmp_path)


class TestOthers:
    @pytest.mark.parametrize("folder", ["", "images/"])
    def test_doctr(self, tmp_path, folder):
        """``labels.json`` gives the text by file name; images are beside it or in ``images``."""
        write(tmp_path, [f"{folder}{name}" for name in NAMES])
        (tmp_path / "labels.json").write_text(json.dumps(dict(zip(NAMES, LABELS, strict=True))))

        assert_read(tmp_path, LABELS, map(image, range(COUNT)))

    @pytest.mark.parametrize("suffix", [".png", ".bin.png", ".jpg.png"])
    def test_beside_images(self, tmp_path, suffix):
        """A ``.gt.txt`` lies beside each image, in subfolders too; other files are left alone."""
        stems = [f"book/{number % 3}/{number}" for number in range(COUNT)]
        if suffix == ".jpg.png":
            suffix = ".png"
            (tmp_path / "README.txt").write_text("a book")
        write(tmp_path, [f"{stem}{suffix}" for stem in stems])
        for stem, label in zip(stems, LABELS, strict=True):
            (tmp_path / f"{stem}.gt.txt").write_text(f"{label}\n")

        assert_read(tmp_path, LABELS, map(image, range(COUNT)))

    def test_a_text_without_its_image(self, tmp_path):
        """A ``.gt.txt`` alone is named."""
        (tmp_path / "0.gt.txt").write_text("A")

        with pytest.raises(CorpusError, match=r"0\.gt\.txt: no image beside it, such as 0\.png"):
            read_corpus(tmp_path)

    def test_lmdb(self, tmp_path):
        """A database as PaddleOCR reads it has numbered images and labels."""
        with lmdb.open(str(tmp_path), map_size=2**24) as store, store.begin(write=True) as writing:
            writing.put(b"num-samples", str(COUNT).encode())
            for number, label in enumerate(LABELS, 1):
                encoded = io.BytesIO()
                image(number - 1).save(encoded, "PNG")
                writing.put(f"image-{number:09d}".encode(), encoded.getvalue())
                writing.put(f"label-{number:09d}".encode(), label.encode())

        assert_read(tmp_path, LABELS, map(image, range(COUNT)))

    def test_a_database_with_gaps(self, tmp_path):
        """A number without an image is named."""
        with lmdb.open(str(tmp_path), map_size=2**20) as store, store.begin(write=True) as writing:
            writing.put(b"num-samples", b"1")

        with pytest.raises(CorpusError, match=r"data\.mdb:1: image-000000001 or label-000000001 is missing"):
            read_corpus(tmp_path)

    def test_no_database(self, tmp_path):
        """Another file of that name is refused."""
        (tmp_path / "data.mdb").write_text("nothing")

        with pytest.raises(CorpusError, match=r"data\.mdb: not an LMDB database, or damaged"):
            read_corpus(tmp_path)


class TestPages:
    @pytest.fixture(params=[(PAGE, PAGE_LINE, ""), (ALTO, ALTO_LINE, " B")], ids=["page", "alto"])
    def page(self, request, tmp_path):
        """A page of lines in one of the formats: its folder, file, labels and pictures."""
        whole, line, ending = request.param
        picture = image(7, (200, 25 * COUNT))
        picture.save(tmp_path / "page.png")
        rows = [line.format(at=at, top=25 * at, bottom=25 * at + 19, text=label) for at, label in enumerate(LABELS)]
        file = tmp_path / "page.xml"
        file.write_text(whole.format(lines="".join(rows), height=25 * COUNT))
        parts = [picture.crop((10, 25 * at, 110, 25 * at + 20)) for at in range(COUNT)]
        return file, [f"{label}{ending}" for label in LABELS], parts

    def test_lines_are_cut_out(self, page):
        """Each line has its text and the part of the page that it is in."""
        file, labels, parts = page

        assert_read(file.parent, labels, parts)

    def test_a_line_off_the_page(self, page):
        """A line whose coordinates are outside its page is named."""
        file, _, _ = page
        image(1, (50, 30)).save(file.parent / "page.png")

        with pytest.raises(
            CorpusError, match=r"page\.xml \(line l39\): the line at 10, 975 .* is outside the page, \(50, 30\)"
        ):
            read_corpus(file.parent)

    def test_an_image_outside_the_folder(self, page):
        """A page that names an image outside the corpus is refused."""
        file, _, _ = page
        file.write_text(file.read_text().replace("page.png", "/etc/hostname"))

        with pytest.raises(CorpusError, match="/etc/hostname is outside the corpus folder"):
            read_corpus(file.parent)

    def test_entities_are_not_resolved(self, page):
        """A file's entity that names another file does not become a label."""
        file, _, _ = page
        (file.parent / "secret.txt").write_text("secret")
        kind = '<!DOCTYPE x [<!ENTITY e SYSTEM "secret.txt">]>'
        text = file.read_text().replace('<?xml version="1.0"?>', f'<?xml version="1.0"?>{kind}')
        file.write_text(text.replace(">A0<", ">&e;<").replace('CONTENT="A0"', 'CONTENT="A0"'))

        found = lines(read_corpus(file.parent))
        assert [label for label in found if "secret" in label] == []

    def test_no_xml(self, tmp_path):
        """A file that is no XML, and one that is neither PAGE nor ALTO, are named together."""
        (tmp_path / "a.xml").write_text("<open>")
        (tmp_path / "b.xml").write_text("<html/>")

        with pytest.raises(CorpusError) as error:
            read_corpus(tmp_path)
        assert "a.xml: not XML: " in str(error.value)
        assert "b.xml: neither PAGE nor ALTO: its root is html" in str(error.value)

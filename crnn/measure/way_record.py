"""The record of the whole way: from an image file to its text, stage by stage."""

from dataclasses import dataclass

from crnn.measure.record import Record


@dataclass(frozen=True, kw_only=True)
class WholeWay(Record):
    """Seconds from an image file to its text, one line at a time; medians over lines.

    Attributes:
        way_decode_s: reading and decoding the file, which the system has read before.
        way_resize_s: scaling and padding to the model's input, as float32.
        way_model_s: the model; with the conversions of its own description, if it is a user's.
        way_ctc_s: decoding the output (best path); 0 for a recognizer that returns texts.
        way_model_fraction: seconds of the model / seconds of all stages, over all lines.
        way_lines_count: number of lines.
        way_files: ``corpus`` if these are the corpus's own files, ``JPEG`` if they were made of its lines.
        way_texts_differ_count: lines that were read differently than in the evaluation; None for ``JPEG``, which
            changes the images.
    """

    way_decode_s: float
    way_resize_s: float
    way_model_s: float
    way_ctc_s: float
    way_model_fraction: float
    way_lines_count: int
    way_files: str
    way_texts_differ_count: int | None = None

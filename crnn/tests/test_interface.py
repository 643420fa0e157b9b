"""What a recognizer takes and returns: descriptions, and models that do not fit them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn import interface
from crnn.interface import BUILT_IN, Interface, InterfaceError
from crnn.text import LOG_PROBABILITIES, LOGITS, PROBABILITIES, VALUES, best_path, log_softmax

ALPHABET = "abcdefgh"
CLASSES = len(ALPHABET) + 1
STEPS, LINES = 6, 3


@st.composite
def described(draw):
    """An interface for the alphabet above, with any layout, values and blank."""
    channels = draw(st.sampled_from([1, 3]))
    return Interface(
        height=draw(st.integers(2, 9)),
        width=draw(st.integers(2, 9)),
        channels=channels,
        layout=draw(st.sampled_from([one for one in interface.LAYOUTS if channels == 1 or "C" in one])),
        black=draw(st.floats(-1, 1)),
        white=draw(st.floats(2, 255)),
        mean=tuple(draw(st.lists(st.floats(-1, 1), min_size=channels, max_size=channels))),
        std=tuple(draw(st.lists(st.floats(0.1, 2), min_size=channels, max_size=channels))),
        output_layout=draw(st.sampled_from(interface.OUTPUT_LAYOUTS)),
        values=draw(st.sampled_from(VALUES)),
        blank=draw(st.sampled_from([*range(CLASSES), -1])),
        alphabet=ALPHABET,
        time_steps=STEPS,
    )


def returned(shown, logits):
    """What a model so described returns, of logits (B, T, C) in its own order of classes."""
    log_probs = log_softmax(logits)
    values = {LOGITS: logits, LOG_PROBABILITIES: log_probs, PROBABILITIES: np.exp(log_probs)}[shown.values]
    return np.ascontiguousarray(values.transpose(1, 0, 2)) if shown.output_layout == "TBC" else values


def read_by_hand(shown, logits):
    """The texts of logits (B, T, C), decoded class by class."""
    blank = shown.blank % CLASSES
    characters = [*shown.alphabet[:blank], "", *shown.alphabet[blank:]]
    texts = []
    for steps in logits.argmax(axis=-1):
        text, before = "", None
        for step in steps:
            if step not in {before, blank}:
                text += characters[step]
            before = step
        texts.append(text)
    return texts


LOGIT_ARRAYS = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).normal(0, 4, (LINES, STEPS, CLASSES)).astype(np.float32)
)


class TestOutputs:
    @settings(deadline=None)
    @given(described(), LOGIT_ARRAYS)
    def test_any_description_reads_the_same(self, shown, logits):
        """Whatever layout, values and blank a model has, its text is that of a decoder written by hand."""
        log_probs = shown.log_probs(returned(shown, logits))

        assert best_path(log_probs, ALPHABET) == read_by_hand(shown, logits)
        assert log_probs.dtype == np.float32
        assert np.exp(log_probs).sum(-1) == pytest.approx(1, abs=1e-4)

    def test_the_built_in_output_is_returned_as_it_is(self):
        """Nothing is computed for the built-in CRNN."""
        output = np.zeros((2, 50, 46), np.float32)

        assert BUILT_IN.log_probs(output) is output

    def test_a_probability_of_zero_has_a_logarithm(self):
        """Probabilities that underflow stay finite."""
        shown = replace(Interface(), values=PROBABILITIES)
        output = np.array([[[1, 0, 0]]], np.float32)

        assert np.isfinite(shown.log_probs(output)).all()


class TestInputs:
    @settings(deadline=None)
    @given(described(), st.integers(0, 2**32 - 1))
    def test_pixels_are_scaled_as_described(self, shown, seed):
        """Each channel is (pixel between black and white - mean) / std, at its place in the layout."""
        images = np.random.default_rng(seed).random((2, shown.height, shown.width), np.float32)
        [pixels] = shown.inputs(images, np.zeros((2, 1, 2), np.float32)).values()

        found = np.einsum(f"{shown.layout}->BHW{'C' * ('C' in shown.layout)}", pixels)
        if "C" not in shown.layout:
            found = found[..., None]  # (B, H, W) -> (B, H, W, 1)
        raw = shown.black + images[..., None].astype(float) * (shown.white - shown.black)
        assert found == pytest.approx((raw - np.array(shown.mean)) / np.array(shown.std), rel=1e-4, abs=1e-3)
        assert pixels.shape == shown.shapes(2)[shown.images]
        assert pixels.flags.c_contiguous

    def test_the_built_in_inputs_are_given_as_they_are(self):
        """Nothing is copied for the built-in CRNN."""
        images, field = np.zeros((2, 32, 400), np.float32), np.zeros((2, 50, 2), np.float32)
        found = BUILT_IN.inputs(images, field)

        assert {name: array is kept for (name, array), kept in zip(found.items(), (images, field), strict=True)} == {
            "images": True,
            "field": True,
        }

    def test_bytes_are_rounded(self):
        """A model of bytes gets whole grey levels."""
        shown = Interface(height=1, width=2, dtype="uint8", white=255.0)
        [pixels] = shown.inputs(np.array([[[0.5, 1]]], np.float32), np.zeros((1, 1, 2), np.float32)).values()

        assert (pixels.dtype, pixels.tolist()) == (np.uint8, [[[128, 255]]])


class TestFaults:
    @settings(deadline=None)
    @given(described(), LOGIT_ARRAYS)
    def test_a_right_description_has_none(self, shown, logits):
        """What a model so described returns fits."""
        shown.check(returned(shown, logits), LINES, CLASSES)

    @settings(deadline=None)
    @given(described(), LOGIT_ARRAYS, st.sampled_from(["output_layout", "time_steps", "alphabet", "values"]))
    def test_a_wrong_key_is_named(self, shown, logits, key):
        """An error names the key that is wrong, and shows shape, range and sums of what the model returns."""
        output, classes = returned(shown, logits), CLASSES
        wrong = {
            "output_layout": {"output_layout": "TBC" if shown.output_layout == "BTC" else "BTC"},
            "time_steps": {"time_steps": STEPS + 1},
            "alphabet": {},
            "values": {"values": LOGITS if shown.values == PROBABILITIES else PROBABILITIES},
        }[key]
        if key == "alphabet":
            classes += 1
        with pytest.raises(InterfaceError, match=rf"^{key}\b.*returned shape .*, values .*, sums over the last axis"):
            replace(shown, **wrong).check(output, LINES, classes)

    def test_log_probabilities_may_be_called_logits(self):
        """A softmax does not change them."""
        shown = Interface(values=LOGITS, time_steps=STEPS)
        log_probs = log_softmax(np.random.default_rng(0).normal(size=(LINES, STEPS, CLASSES)))

        shown.check(log_probs, LINES, CLASSES)

    def test_not_finite(self):
        """Values that are not finite are an error."""
        output = np.full((LINES, STEPS, CLASSES), np.nan, np.float32)
        with pytest.raises(InterfaceError, match="not finite"):
            Interface(time_steps=STEPS).check(output, LINES, CLASSES)


class TestDescriptions:
    @given(described())
    def test_toml_and_back(self, shown):
        """What is written as TOML reads as the same interface."""
        assert Interface.of(interface.tomllib.loads(shown.to_toml())) == shown

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("heigth = 32", "no key 'heigth'; there are: height, width,"),
            ("height = 0", "height = 0: expected at least 1"),
            ('height = "32"', "height = '32': expected int"),
            ("layout = true", "layout = True: expected str"),
            ('layout = "HW"', "layout = 'HW': expected one of BHW, BCHW, BHWC, BWH, BCWH, BWHC"),
            ("channels = 2", "channels = 2: expected one of 1, 3"),
            ("mean = [0.5, 0.5]", "mean has 2 values, the model 1 channels"),
            ("std = 0.0", "std = 0"),
            ('channels = 3\nlayout = "BHW"', "layout = 'BHW' has no axis for the channels: expected BCHW"),
            ('values = "softmax"', "values = 'softmax': expected one of log probabilities, probabilities, logits"),
            ('alphabet = "abca"', "alphabet has 'a' more than once"),
            ("height", "is not TOML"),
        ],
    )
    def test_bad_files(self, tmp_path, text, message):
        """A key or value that cannot be is one message, with the file's name."""
        path = tmp_path / "own.toml"
        path.write_text(text)
        with pytest.raises(InterfaceError) as raised:
            interface.read(path)

        assert (str(path) in str(raised.value), message in str(raised.value)) == (True, True)

    def test_no_such_file(self, tmp_path):
        """A file that is not there is named."""
        with pytest.raises(InterfaceError, match=r"none\.toml: no such file"):
            interface.read(tmp_path / "none.toml")

    def test_one_number_for_all_channels(self):
        """A mean may be one number."""
        assert Interface.of({"channels": 3, "layout": "BCHW", "mean": 0.5}).mean == (0.5,)

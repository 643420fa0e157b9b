"""Images of any size and mode, fitted to a size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crnn.corpus.images import fit
from crnn.interface import BUILT_IN, Frame


def usual(image):
    """The pixels at the usual size."""
    return fit(image, [BUILT_IN.frame])[0]


class TestFit:
    @settings(max_examples=60, deadline=None)
    @given(
        st.integers(1, 900), st.integers(1, 200), st.sampled_from(["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "LA"])
    )
    def test_any_size_and_mode(self, width, height, mode):
        """Images of any size and mode become uint8 32x400."""
        fitted = usual(Image.new(mode, (width, height)))

        assert (fitted.shape, fitted.dtype) == ((32, 400), np.uint8)

    def test_keeps_the_aspect(self):
        """A square of ink in a wide image stays square."""
        picture = Image.new("L", (400, 64), 255)
        picture.paste(0, (100, 16, 132, 48))
        ink = usual(picture) < 128

        assert (ink.any(0).sum(), ink.any(1).sum()) == (16, 16)

    def test_pads_with_the_border(self):
        """Padding uses the image's own background, so it adds no edge."""
        assert np.unique(usual(Image.new("L", (50, 20), 180))).tolist() == [180]

    @pytest.mark.parametrize(("padding", "level"), [("black", 0), ("grey", 128), ("white", 255)])
    def test_pads_with_a_level(self, padding, level):
        """A model that was trained with another padding gets it."""
        [fitted] = fit(Image.new("L", (50, 20), 180), [Frame(32, 100, padding=padding)])

        assert np.unique(fitted[:, :80]).tolist() == [180]
        assert np.unique(fitted[:, 80:]).tolist() == [level]

    @pytest.mark.parametrize(
        ("resize", "size", "ink"),
        [
            # A line of 40x20 pixels in 32x100: at its aspect ratio it is 64 pixels wide.
            ("fit", (40, 20), (64, 32)),
            ("squeeze", (40, 20), (64, 32)),
            ("stretch", (40, 20), (100, 32)),
            # One of 400x20 is five pixels high at its aspect ratio.
            ("fit", (400, 20), (100, 5)),
            ("squeeze", (400, 20), (100, 32)),
            ("stretch", (400, 20), (100, 32)),
        ],
    )
    def test_fills(self, resize, size, ink):
        """Each way fills its part of the input: width, height."""
        [fitted] = fit(Image.new("L", size, 0), [Frame(32, 100, resize, "white")])

        assert ((fitted == 0).any(0).sum(), (fitted == 0).any(1).sum()) == ink

    def test_transparent_is_white(self):
        """Transparent pixels become white."""
        assert usual(Image.new("RGBA", (50, 20), (0, 0, 0, 0))).min() == 255

    def test_16_bit_scans_keep_their_contrast(self):
        """Levels above 255 are scaled, not clipped."""
        levels = np.full((32, 400), 40_000, np.uint16)
        levels[:, :200] = 1_000
        fitted = usual(Image.fromarray(levels))

        assert (fitted[16, 100], fitted[16, 300]) == (0, 255)

    @pytest.mark.parametrize("name", ["pages.tif", "animated.gif"])
    def test_first_frame(self, tmp_path, name):
        """Of several pages or frames, the first is used."""
        frames = [Image.new("L", (50, 20), level) for level in (0, 255)]
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])

        with Image.open(tmp_path / name) as image:
            assert usual(image).max() == 0

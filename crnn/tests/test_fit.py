"""Images of any size and mode, fitted to a size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crnn.corpus.images import fit
from crnn.interface import BUILT_IN


def usual(image):
    """The pixels at the usual size."""
    return fit(image, [BUILT_IN.size])[0]


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

"""Grey baseline JPEGs decoded by numpy alone, bit for bit as libjpeg, and so Pillow, does.

Measuring needs nothing else of Pillow, and has to work where it is not installed. The format
is ITU-T T.81's; the inverse transform is libjpeg's accurate integer one (Loeffler,
Ligtenberg and Moschytz, 1989), here as the matrix that its steps amount to.
"""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

_Tables: TypeAlias = dict[int, list[tuple[int, int]]]

_BASELINE, _HUFFMAN, _START_OF_SCAN, _QUANTIZATION, _RESTART = 0xC0, 0xC4, 0xDA, 0xDB, 0xDD
_OTHER_PROCESSES = frozenset(range(0xC1, 0xD0)) - {_HUFFMAN}
_PEEK_BITS = 16  # the longest code, and the most bits that follow one
_SKIP_SIXTEEN = 0xF0  # the only code that stands for zeros with no value behind them

# Where in a block, counted row by row, the coefficients belong: diagonal by diagonal, to and fro.
_PLACES = sorted(range(64), key=lambda i: (i // 8 + i % 8, i // 8 if (i // 8 + i % 8) % 2 else i % 8))

# What each of eight coefficients adds to the first four of eight values, in 1 / 8192. To the
# other four it adds the same mirrored, with the sign changed where its number is odd.
_HALF = np.array(
    [
        [8192, 8192, 8192, 8192],
        [11363, 9633, 6437, 2260],
        [10703, 4433, -4433, -10703],
        [9633, -2259, -11362, -6436],
        [8192, -8192, -8192, 8192],
        [6437, -11362, 2261, 9633],
        [4433, -10704, 10704, -4433],
        [2260, -6436, 9633, -11363],
    ],
    np.float64,  # holds these integers exactly, and numpy multiplies it fast
)
_INVERSE = np.concatenate([_HALF, _HALF[:, ::-1] * np.array([1, -1] * 4)[:, None]], axis=1)


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers with what belongs to them; the scan's is all that follows it."""
    if content[:2] != b"\xff\xd8":
        raise ValueError("not a JPEG")
    at = 2
    while True:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if content[at] != 0xFF or length < 2:
            raise ValueError(f"a damaged JPEG: no segment at byte {at}")
        if marker == _START_OF_SCAN:
            yield marker, content[at + 2 + length :]
            return
        yield marker, content[at + 4 : at + 2 + length]
        at += 2 + length


def _codes(segment: bytes) -> _Tables:
    """By class and number of each table: for any 16 bits the length of the code they begin with, and its symbol."""
    tables: _Tables = {}
    while segment:
        counts, symbols = segment[1:17], iter(segment[17:])
        table: list[tuple[int, int]] = []
        for length, count in enumerate(counts, 1):
            for _ in range(count):
                table += [(length, next(symbols))] * (1 << (_PEEK_BITS - length))
        # What begins no code is never seen in a sound file; a length of 0 would not end.
        tables[segment[0]] = table + [(_PEEK_BITS, 0)] * ((1 << _PEEK_BITS) - len(table))
        segment = segment[17 + sum(counts) :]
    return tables


def _windows(scan: bytes) -> list[int]:
    """The 16 bits from each bit of the scan on."""
    content, end, _ = scan.rpartition(b"\xff\xd9")
    if not end:
        raise ValueError("a damaged JPEG: it ends early")
    data = content.replace(b"\xff\x00", b"\xff")
    # (N + 3,) -> (N + 1,) 24-bit words, one from each byte on; past the end there are ones
    octets = np.frombuffer(data + b"\xff\xff\xff", np.uint8).astype(np.int64)
    words = octets[:-2] << 16 | octets[1:-1] << 8 | octets[2:]
    # (N + 1,) -> (N + 1, 8) -> ((N + 1) * 8,)
    return (words[:, None] >> np.arange(8, 0, -1) & 0xFFFF).reshape(-1).tolist()


def _coefficients(scan: bytes, blocks: int, dc: list[tuple[int, int]], ac: list[tuple[int, int]]) -> np.ndarray:
    """Quantized coefficients int (blocks, 64), row by row within a block."""
    windows, at, level = _windows(scan), 0, 0
    found = np.zeros((blocks, 64), np.int64)

    def value(size: int) -> int:
        nonlocal at
        bits = windows[at] >> (_PEEK_BITS - size)
        at += size
        # A leading zero bit means a negative value.
        return bits if not size or bits >> (size - 1) else bits - (1 << size) + 1

    for block in found:
        length, size = dc[windows[at]]
        at += length
        level += value(size)
        block[0] = level
        index = 1
        while index < 64:
            length, symbol = ac[windows[at]]
            at += length
            if symbol & 0xF:
                index += symbol >> 4
                block[_PLACES[index]] = value(symbol & 0xF)
                index += 1
            elif symbol == _SKIP_SIXTEEN:
                index += 16
            else:
                break  # the rest is zero
    return found


def _pixels(blocks: np.ndarray) -> np.ndarray:
    """Coefficients (N, 8, 8) to pixels uint8 (N, 8, 8), rounded after each direction as libjpeg does."""
    columns = np.floor((_INVERSE.T @ blocks.astype(np.float64) + 2**10) / 2**11)
    rows = np.floor((columns @ _INVERSE + 2**17) / 2**18)
    return np.clip(rows + 128, 0, 255).astype(np.uint8)


def _refuse(kind: str) -> None:
    raise ValueError(f"a JPEG of another kind than the corpus holds: {kind}")


def decoded(content: bytes) -> np.ndarray:
    """The picture, uint8 (height, width).

    Raises:
        ValueError: it is no JPEG, damaged, or of a kind that the corpus does not hold: colour,
            progressive, with restart intervals.
    """
    steps: dict[int, np.ndarray] = {}
    codes: _Tables = {}
    frame = scan = b""
    try:
        for marker, segment in _segments(content):
            if marker in _OTHER_PROCESSES or marker == _RESTART:
                _refuse(f"marker {marker:#x}")
            elif marker == _QUANTIZATION:
                if segment[0] >> 4:
                    _refuse("16-bit quantization")
                for start in range(0, len(segment), 65):
                    steps[segment[start]] = np.frombuffer(segment[start + 1 : start + 65], np.uint8)
            elif marker == _HUFFMAN:
                codes |= _codes(segment)
            elif marker == _BASELINE:
                frame = segment
            elif marker == _START_OF_SCAN:
                scan = segment
        height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
        if frame[5] != 1:
            _refuse("colour")
        down, across = -(-height // 8), -(-width // 8)
        quantized = _coefficients(scan, down * across, codes[0x00], codes[0x10])
        order = np.empty(64, np.int64)
        order[_PLACES] = steps[frame[8]]
    except (IndexError, KeyError, StopIteration) as error:
        raise ValueError("a damaged JPEG: it ends early, or a table is missing") from error
    blocks = _pixels((quantized * order).reshape(-1, 8, 8))
    # (down * across, 8, 8) -> (down, 8, across, 8) -> (height, width), what lies beyond the edges cut off
    return blocks.reshape(down, across, 8, 8).swapaxes(1, 2).reshape(down * 8, across * 8)[:height, :width]

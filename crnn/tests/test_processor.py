"""The processor's instruction sets, from the names that Linux gives them."""

import pytest

from crnn import processor
from crnn.processor import instruction_sets, widest

SERVER = {"sse2", "avx2", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16"}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (SERVER, ("AVX2", "AVX-512", "AVX512-VNNI", "AVX-VNNI", "AVX512-BF16", "AMX-INT8", "AMX-BF16")),
        ({"sse2", "avx2", "fma"}, ("AVX2",)),
        ({"fp", "asimd", "sve", "i8mm", "bf16"}, ("NEON", "SVE", "I8MM", "BF16")),
        # The system does not tell.
        (set(), ()),
    ],
)
def test_instruction_sets_come_from_the_flags(monkeypatch, flags, expected):
    """Each instruction set is found by its flag, in a fixed order; without flags there is none."""
    monkeypatch.setattr(processor, "features", lambda: frozenset(flags))

    assert instruction_sets() == expected


@pytest.mark.parametrize(
    ("precision", "found", "expected"),
    [
        ("int8", ("AVX2", "AVX-512", "AVX512-VNNI", "AVX-VNNI", "AVX512-BF16", "AMX-INT8", "AMX-BF16"), "AMX-INT8"),
        ("bf16", ("AVX2", "AVX-512", "AVX512-VNNI", "AVX-VNNI", "AVX512-BF16", "AMX-INT8", "AMX-BF16"), "AMX-BF16"),
        # VNNI computes on 512 bits or, as AVX-VNNI, on 256.
        ("int8", ("AVX2", "AVX-512", "AVX512-VNNI", "AVX-VNNI"), "AVX512-VNNI"),
        ("int8", ("NEON", "SVE", "I8MM", "BF16"), "I8MM"),
        ("fp32", ("AVX2", "AVX-512"), None),
        ("int8", (), None),
    ],
)
def test_the_widest_is_that_of_the_precision(precision, found, expected):
    """The widest instruction set is one that has kernels for the precision; float32 names none."""
    assert widest(precision, found) == expected

"""Arrays in the JSON of a run: packed into text, and saved once where rows share them."""

import json

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from crnn.gate.baselines import FOLDER
from crnn.measure.packing import fold, pack, saved, unfold, unpack

VALUES = st.one_of(
    st.sampled_from([letter * length for letter in "ab" for length in (3, 199, 200, 900)]),
    st.integers(),
    st.none(),
    st.lists(st.floats(allow_nan=False)),
)
RUNS = st.builds(
    lambda infos, session: {"benchmarks": [{"name": "x", "extra_info": info} for info in infos], "crnn": session},
    st.lists(st.dictionaries(st.sampled_from("klm"), VALUES), max_size=5),
    st.dictionaries(st.sampled_from(["quick", "failed"]), st.booleans()),
)


def test_an_array_comes_back():
    """Unpacked arrays equal the packed ones."""
    array = np.random.default_rng(1).normal(size=100).astype(np.float32)

    assert unpack(pack(array)).tolist() == array.tolist()


# A row whose text looks like a key of a shared array.
@example({"benchmarks": [{"extra_info": {"k": "a" * 200, "l": "shared:0"}}] * 2, "crnn": {}})
@given(RUNS)
def test_a_folded_run_comes_back(run):
    """Nothing is lost where shared texts are saved once, and the run itself is not changed."""
    before = json.dumps(run)

    assert (unfold(json.loads(json.dumps(fold(run)))), json.dumps(run)) == (run, before)


def test_shared_arrays_are_saved_once():
    """A long text that two rows hold stands once in the file."""
    shared, own = "s" * 300, "o" * 300
    infos = [{"characters": shared, "edits": own}, {"characters": shared}]
    text = json.dumps(fold({"benchmarks": [{"extra_info": info} for info in infos], "crnn": {}}))

    assert (text.count(shared), text.count(own)) == (1, 1)


def test_a_file_without_shared_arrays_is_read_as_it_is(tmp_path):
    """So is one of another tool, which its reader then refuses."""
    file, contents = tmp_path / "run.json", [[1], {"crnn": 2}, {"benchmarks": [], "crnn": {}}]

    found = []
    for content in contents:
        file.write_text(json.dumps(content))
        found.append(saved(file))
    assert found == contents


def test_the_committed_baselines_are_folded():
    """Promoting folds, so that no array is twice in a baseline."""
    repeated = set()
    for path in FOLDER.glob("*/*.json"):
        texts = [text for entry in json.loads(path.read_text("utf-8"))["benchmarks"]
                 for text in entry["extra_info"].values() if isinstance(text, str) and len(text) >= 200]  # fmt: skip
        repeated.add(len(texts) - len(set(texts)))

    assert repeated == {0}

"""The journal's file: what is in it survives, and what is damaged is named."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from crnn.measure import journal
from crnn.measure.journal import Entry, JournalError, commit_of, create, hold, place, read, sources_of

ROOT = Path(__file__).parents[2]
ENTRY = Entry("b.py::t[é-1]", None, 1, [0.1, 2.5e-06], {"ratio": 0.1 + 0.2, "nothing": None}, "2026-01-01", 1)
OTHER = replace(ENTRY, test="b.py::u", group="latency")
HOLD = """
from pathlib import Path
from crnn.measure.journal import hold
lock = hold(Path({!r}))
print("held", flush=True)
input()
"""


@pytest.fixture
def path(tmp_path):
    """Where the journal is written."""
    return place(tmp_path / "checkout", tmp_path / "cache")


@pytest.fixture
def begun(path):
    """A journal with two entries."""
    begun = create(path, {"options": {"quick": True}}, {"gate_report": None})
    begun.append(ENTRY)
    begun.append(OTHER)
    return begun


def spoil(path, number, line):
    """Replace a line; the first one has the number 1."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number - 1] = line
    path.write_bytes(b"".join(lines))


class TestKeeping:
    def test_what_is_written_is_read(self, begun, path):
        """Settings, defaults and entries are read as they were written, to the last bit."""
        assert read(path) == begun

    def test_a_checkout_has_one_journal(self, tmp_path):
        """The journal belongs to the checkout, however its path is written, and to no other."""
        (tmp_path / "one").mkdir()
        same = place(tmp_path / "one", tmp_path), place(tmp_path / "one" / ".." / "one", tmp_path)

        assert same[0] == same[1] != place(tmp_path / "other", tmp_path)

    def test_parts_are_counted(self, begun, path):
        """Each resumed session is a part; its entries name it."""
        resumed = read(path)
        resumed.resume()
        resumed.append(replace(ENTRY, test="b.py::v", part=2))

        assert read(path) == resumed
        assert (len(resumed.parts), [entry.part for entry in resumed.entries]) == (2, [1, 1, 2])

    def test_a_finished_run_leaves_no_journal(self, begun, path):
        """A complete run removes its journal; then there is nothing to resume."""
        begun.finish()

        with pytest.raises(JournalError, match=r"no unfinished run of this checkout.*without --resume"):
            read(path)

    def test_a_new_journal_replaces_the_old_one(self, begun, path):
        """A new run starts with an empty journal, and leaves no temporary file."""
        fresh = create(path, {}, {})

        assert read(path) == fresh
        assert list(path.parent.iterdir()) == [path]


class TestDamage:
    def test_every_cut_is_survived(self, begun, path):
        """Wherever the file is cut after its header, the entries before the cut are kept and can be added to."""
        content, header = path.read_bytes(), len(path.read_bytes().splitlines(keepends=True)[0])
        for length in range(header, len(content)):
            path.write_bytes(content[:length])
            cut = read(path)
            assert cut.entries == begun.entries[: content[header:length].count(b"\n")]
            assert cut.torn == (not content[:length].endswith(b"\n"))

            cut.append(replace(ENTRY, test="b.py::next"))
            assert read(path) == replace(cut, torn=False)

    def test_a_hole_in_the_last_line_is_a_cut(self, begun, path):
        """After a power failure, the middle of the last line may be empty: that entry is left out."""
        spoil(path, 3, b'{"test": \0\0\0}\n')
        found = read(path)

        assert (found.torn, found.entries) == (True, [ENTRY])

    @pytest.mark.parametrize(
        "line",
        [
            b"{\n",
            b"\n",
            b"\xff\n",
            b"[1]\n",
            b'{"test": "b.py::t"}\n',
            b'{"test": "b.py::t", "and": "more"}\n',
            json.dumps(vars(ENTRY) | {"seconds": []}).encode() + b"\n",
            json.dumps(vars(ENTRY) | {"seconds": ["fast"]}).encode() + b"\n",
            json.dumps(vars(ENTRY) | {"part": 2}).encode() + b"\n",
            json.dumps(vars(OTHER)).encode() + b"\n",
        ],
    )
    def test_a_damaged_line_is_named(self, begun, path, line):
        """A damaged line before the last one is an error that names file, line and remedy."""
        begun.append(replace(ENTRY, test="b.py::last"))
        spoil(path, 2, line)
        number = 3 if line == json.dumps(vars(OTHER)).encode() + b"\n" else 2

        with pytest.raises(JournalError, match=rf"{path}, line {number} is damaged: delete the line.*without --resume"):
            read(path)

    @pytest.mark.parametrize("header", [b"\n", b"{}\n", b"[]\n", b'{"journal_version": 1}\n'])
    def test_a_damaged_header(self, begun, path, header):
        """A file that does not start with a header is no journal."""
        spoil(path, 1, header)

        with pytest.raises(JournalError, match=f"{path} is no journal.*without --resume"):
            read(path)

    @pytest.mark.parametrize("content", [b"", b'{"journal_version": 1'])
    def test_nothing_but_a_cut_header(self, path, content):
        """A file without one complete line is no journal."""
        path.parent.mkdir(parents=True)
        path.write_bytes(content)

        with pytest.raises(JournalError, match=f"{path} is no journal"):
            read(path)

    def test_another_version(self, begun, path):
        """A journal of another version is an error that names both, whatever the other lines are."""
        spoil(path, 1, b'{"journal_version": 2, "of": "another time"}\n')
        spoil(path, 2, b'{"unheard": "of"}\n')

        with pytest.raises(JournalError, match=r"has version 2, this suite reads version 1.*without --resume"):
            read(path)


class TestWriting:
    def test_a_full_disk_damages_nothing(self, begun, path, monkeypatch):
        """If an entry cannot be written in full, it is an error, and the next one is written in its place."""
        whole = journal._store

        def half(file, data):
            whole(file, data[: len(data) // 2])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(journal, "_store", half)
        with pytest.raises(JournalError, match=f"{path} cannot be written: .*No space left on device"):
            begun.append(replace(ENTRY, test="b.py::lost"))
        monkeypatch.setattr(journal, "_store", whole)
        begun.append(replace(ENTRY, test="b.py::kept"))

        assert [entry.test for entry in read(path).entries] == [ENTRY.test, OTHER.test, "b.py::kept"]

    def test_a_short_write_is_an_error(self, path, monkeypatch):
        """A write that stores less than it was given is an error."""

        class Full:
            def write(self, data):
                return len(data) - 1

        with pytest.raises(OSError, match="the disk is full"):
            journal._store(Full(), b"data")

    def test_a_value_that_json_cannot_hold(self, begun, path):
        """An entry that JSON cannot hold is an error, and the others are kept."""
        before = path.read_bytes()

        with pytest.raises(JournalError, match="not JSON serializable"):
            begun.append(replace(ENTRY, extra_info={"value": object()}))
        assert path.read_bytes() == before

    def test_a_journal_that_was_deleted(self, begun, path):
        """If the journal is deleted during the run, appending is an error; no file without a header is created."""
        path.unlink()

        with pytest.raises(JournalError, match=f"{path} cannot be written"):
            begun.append(replace(ENTRY, test="b.py::late"))
        assert not path.exists()

    def test_no_folder_for_it(self, tmp_path):
        """A cache folder that cannot be made is an error that names the file."""
        (tmp_path / "file").touch()

        with pytest.raises(JournalError, match="cannot be written"):
            create(tmp_path / "file" / "journal.jsonl", {}, {})
        with pytest.raises(JournalError, match="cannot be written"):
            hold(tmp_path / "file" / "journal.jsonl")


class TestHolding:
    def test_one_process_at_a_time(self, path):
        """While a process holds the journal, no other gets it; the system releases it if the process is killed."""
        code = HOLD.format(str(path))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, text=True, **pipes) as process:
            assert process.stdout.readline() == "held\n"
            assert hold(path) is None
            process.kill()
            process.wait()
            with hold(path) as lock:
                assert lock is not None


class TestSettings:
    def test_commit(self, tmp_path):
        """The commit by name, and None outside a repository or for an unknown name."""
        assert commit_of(tmp_path) is None
        subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
        assert commit_of(tmp_path) is None
        who = ("-c", "user.name=n", "-c", "user.email=e@example.org")
        subprocess.run(["git", *who, "commit", "--quiet", "--allow-empty", "-m", "one"], cwd=tmp_path, check=True)

        assert len(commit_of(tmp_path)) == 40
        assert (commit_of(tmp_path, "HEAD~0"), commit_of(tmp_path, "other")) == (commit_of(tmp_path), None)

    def test_no_git(self, tmp_path, monkeypatch):
        """Without git there is no commit."""
        monkeypatch.setenv("PATH", os.fspath(tmp_path))

        assert commit_of(tmp_path) is None

    def test_sources(self, tmp_path):
        """Each file of the measuring code has its digest; unit tests and documents do not matter."""
        names = ("crnn/measure/session.py", "crnn/tests/test_text.py", "fixtures/gate.py", "benchmarks/test_gate.py",
                 "conftest.py", "README.md", "crnn/measure/README.md", "fixtures/baselines/run.py")  # fmt: skip
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("1")
        before = sources_of(tmp_path)
        (tmp_path / "fixtures" / "gate.py").write_text("2")
        after = sources_of(tmp_path)

        assert before.keys() == {
            "crnn/measure/session.py",
            "fixtures/gate.py",
            "benchmarks/test_gate.py",
            "conftest.py",
        }
        assert {name for name in before if before[name] != after[name]} == {"fixtures/gate.py"}

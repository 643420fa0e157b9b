"""What disturbs a block of timed calls is found from two readings, on made-up machines and on this one."""

import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from crnn.measure import watch
from crnn.measure.watch import KINDS, LOOKS, Watch
from crnn.tests.made_up_machine import BUSY_COLUMNS, FOREIGN, OWN, Machine

BUSY_LOOP = (
    "import sys, time; print(flush=True); sys.stdin.readline(); start = time.process_time()\n"
    "while time.process_time() - start < 0.3: pass\n"
    "print(flush=True); sys.stdin.readline()"
)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A made-up machine whose clock only moves when told to."""
    made_up = Machine(tmp_path)
    monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic_ns=lambda: made_up.now_ms * 1_000_000))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    return made_up


def during(machine, change, process_ids=(OWN,)):
    """The disturbances during a change, and their description."""
    watching = machine.watch()
    before = watching.read(process_ids)
    change()
    after = watching.read(process_ids)
    return watching.disturbances(before, after), watching.describe(before, after)


@pytest.mark.parametrize(
    ("busy_looks", "looks", "found"), [(0, 1, ""), (2, 3, ""), (9, LOOKS, "other processes used 50 % of the machine")]
)
def test_look_waits_until_the_machine_is_idle(machine, monkeypatch, busy_looks, looks, found):
    """It looks again while others use the machine, a stated number of times, and says what the last look found."""
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        machine.pass_time(round(1000 * seconds), user=20 if len(slept) <= busy_looks else 0)

    monkeypatch.setattr(watch.time, "sleep", sleep, raising=False)

    assert (machine.watch().look(), len(slept)) == (found, looks)


@pytest.mark.parametrize("column", BUSY_COLUMNS)
def test_work_by_others_is_load(machine, column):
    """CPU time of any kind that no process of ours used is load, as a share of all cores' time."""
    found = during(machine, lambda: machine.pass_time(1000, **{column: 34}))

    assert found == (("load",), "other processes used 17 % of the machine")


def test_own_work_is_no_load(machine):
    """CPU time of our workers, of this process and of its reaped children is no load."""

    def work():
        machine.pass_time(1000, user=100)
        machine.spend(OWN, ticks=50)
        machine.spend("self", ticks=20, reaped=30)

    assert during(machine, work) == ((), "")


def test_only_the_rest_is_load(machine):
    """If our worker used most of the busy time, only the rest counts."""

    def work():
        machine.pass_time(1000, user=100)
        machine.spend(OWN, ticks=70)

    assert during(machine, work) == (("load",), "other processes used 15 % of the machine")


def test_threads_are_read_precisely(machine):
    """The CPU time of threads counts in nanoseconds, so that short blocks are not rounded to ticks."""

    def work():
        machine.pass_time(80, user=10)
        machine.spend(OWN, ticks=6, precise_ms=(35, 35.1))

    assert during(machine, work) == ((), "")


def test_threads_that_ended_count(machine):
    """The CPU time of a thread that ended is in that of its process."""
    machine.spend(OWN, precise_ms=(10, 10))

    def work():
        machine.pass_time(1000, user=100)
        machine.spend(OWN, ticks=102, precise_ms=(15, 15))

    assert during(machine, work) == ((), "")


@pytest.mark.parametrize("column", ["idle", "iowait", "guest", "guest_nice"])
def test_waiting_is_no_load(machine, column):
    """Idle time and waiting for a disk are no load; guest time is already part of user time."""
    assert during(machine, lambda: machine.pass_time(1000, **{column: 90})) == ((), "")


@pytest.mark.parametrize(
    ("ms", "ticks", "expected"), [(80, 2, ()), (80, 3, ("load",)), (1000, 20, ()), (1000, 21, ("load",))]
)
def test_load_needs_a_share_and_three_ticks(machine, ms, ticks, expected):
    """Load by others counts above 10 % of two cores' time, and from three ticks."""
    assert during(machine, lambda: machine.pass_time(ms, user=ticks))[0] == expected


@pytest.mark.parametrize(
    ("ms", "ticks", "expected"), [(80, 1, ()), (80, 2, ("steal",)), (1000, 6, ()), (1000, 7, ("steal",))]
)
def test_steal_needs_a_share_and_two_ticks(machine, ms, ticks, expected):
    """Steal time counts above 3 % of two cores' time, and from two ticks."""
    assert during(machine, lambda: machine.pass_time(ms, steal=ticks))[0] == expected


def test_other_cores_do_not_matter(machine, monkeypatch):
    """Load and steal time of a core that this process may not use are left out."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})

    assert during(machine, lambda: machine.pass_time(1000, core=1, user=90, steal=9)) == ((), "")


def test_one_usable_core_is_the_whole_machine(machine, monkeypatch):
    """Shares are of the cores that this process may use."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1})

    found = during(machine, lambda: machine.pass_time(1000, core=1, user=40, steal=20))

    assert found == (("load", "steal"), "other processes used 40 % of the machine, steal 20 %")


def test_a_worker_that_ended_hides_nothing(machine):
    """A worker that ended and was reaped moves its earlier CPU time to this process; that time hides no load."""
    machine.spend(OWN, ticks=500)

    def work():
        machine.pass_time(1000, user=100)
        machine.end(OWN)
        machine.spend("self", reaped=550)

    assert during(machine, work) == (("load",), "other processes used 25 % of the machine")


def test_a_worker_that_ended_elsewhere_is_no_load(machine):
    """A worker that ended and was not reaped by us makes no load of its earlier CPU time."""
    machine.spend(OWN, ticks=500)

    assert during(machine, lambda: machine.end(OWN)) == ((), "")


@pytest.mark.parametrize("limit", [2_000_000, 4_000_000])
def test_another_frequency_limit_is_found(machine, limit):
    """A limit of the frequency that changed either way is found, on an idle core and with any governor."""
    machine.set_cpu(1, scaling_min_freq=800_000, scaling_max_freq=3_000_000)

    found = during(machine, lambda: machine.set_cpu(1, scaling_max_freq=limit))

    assert found == (("frequency",), f"frequency limit of core 1 3.00 GHz -> {limit / 1e6:.2f} GHz")


@pytest.mark.parametrize(
    ("governor", "busy_ticks", "frequency", "expected"),
    [
        ("performance", 10, 2_700_000, ("frequency",)),
        ("userspace", 10, 2_700_000, ("frequency",)),
        ("performance", 10, 2_800_000, ()),
        ("performance", 7, 2_000_000, ()),  # it was idle for part of the time
        ("performance", 10, 800_000, ()),  # an idle core reports a limit: the lowest
        ("performance", 10, 2_500_000, ()),  # or the highest
        ("performance", 10, 4_000_000, ()),  # it was idle before
        ("schedutil", 10, 2_000_000, ()),  # this governor lowers the frequency of idle cores
    ],
)
def test_a_busy_core_that_became_slower_is_found(machine, governor, busy_ticks, frequency, expected):
    """A fall by more than 10 % counts if the frequency was measured on a busy core and does not follow the load."""
    high = 2_500_000 if frequency == 2_500_000 else 5_000_000
    machine.set_cpu(0, scaling_governor=governor, scaling_cur_freq=3_000_000)
    machine.set_cpu(0, scaling_min_freq=800_000, scaling_max_freq=high)

    def work():
        machine.pass_time(100, user=busy_ticks)
        machine.spend(OWN, ticks=busy_ticks)
        machine.set_cpu(0, scaling_cur_freq=frequency)

    assert during(machine, work)[0] == expected


def test_cores_without_a_frequency_are_left_out(machine):
    """Most virtual machines have no cpufreq, and some files hold no number: neither is an error."""
    machine.set_cpu(0, scaling_governor="userspace", scaling_cur_freq="<unknown>")

    assert machine.watch().read([OWN]).frequencies == {}


@pytest.mark.parametrize("count", ["core_throttle_count", "package_throttle_count"])
def test_throttling_is_found(machine, count):
    """A throttle count that increased is found."""
    machine.set_cpu(1, **{count: 7})

    assert during(machine, lambda: machine.set_cpu(1, **{count: 8})) == (("throttling",), "thermal throttling")


def test_kinds_have_an_order(machine):
    """Several disturbances are returned in the order of ``KINDS``."""
    machine.set_cpu(0, scaling_min_freq=0, scaling_max_freq=3_000_000, core_throttle_count=0)

    def disturb():
        machine.set_cpu(0, scaling_max_freq=2_000_000, core_throttle_count=1)
        machine.pass_time(1000, user=90, steal=90)

    assert during(machine, disturb)[0] == KINDS


def test_a_machine_without_counters_says_so(tmp_path):
    """Without /proc/stat nothing is read or found, and the reason is given."""
    watching = Watch(proc=tmp_path, sys=tmp_path)

    assert f"has no {tmp_path}/stat" in watching.unavailable
    assert watching.read([OWN]) is None
    assert watching.disturbances(None, None) == ()


def test_a_machine_that_counts_nothing_says_so(machine):
    """A sandbox whose counters are all zero cannot be watched either."""
    machine.write("proc/stat", f"cpu  {' '.join('0' * 10)}\n")

    assert "stat counts no CPU time" in machine.watch().unavailable


def test_processes_that_ended_are_no_error(machine):
    """A process that ended before the first reading is left out."""
    assert machine.watch().read([OWN, FOREIGN]).own == {OWN: 0, os.getpid(): 0}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_foreign_work_is_told_from_own():
    """On this machine, 0.3 s of CPU time in another process is load by others only while it is not one of ours."""
    watching = Watch()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", BUSY_LOOP], **pipes) as busy:
        busy.stdout.readline()
        before = watching.read([busy.pid])
        busy.stdin.write("\n")
        busy.stdin.flush()
        busy.stdout.readline()
        after = watching.read([busy.pid])
        busy.communicate("\n")
    this = {os.getpid(): after.own[os.getpid()]}
    foreign, own = (
        after.busy - before.busy - watch._own_time(before, reading) for reading in (replace(after, own=this), after)
    )

    # Both hold whatever else runs: it adds the same to both.
    assert foreign >= 0.25e9
    assert foreign - own == pytest.approx(0.3e9, abs=0.03e9)

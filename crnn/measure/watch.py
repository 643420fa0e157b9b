"""The machine while latency is measured: load by other processes, steal time, frequency, thermal throttling.

Two readings, one before and one after a block of timed calls, tell what disturbed the block.
"""

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

KINDS = ("load", "steal", "frequency", "throttling")
LOOKS = 5
"""Maximum number of looks at the machine before a run starts."""

# The unit of /proc/stat and /proc/PID/stat. It is 100 Hz whatever the kernel's own clock is.
_TICK_NS = 10_000_000
# A block takes 80 ms to some seconds, on two cores at least 16 ticks. Each of the two or three fields that grow is
# rounded down to a tick, so our own work alone seems to exceed what our processes report: by 2.7 ticks at most in
# 1092 blocks of 80 to 600 ms on two cores.
# Hence a floor in ticks for short blocks and a share for long ones.
_LOAD_SHARE, _LOAD_TICKS = 0.1, 3
# Steal time is one field, so one tick can be rounding. A stolen core delays the whole call, hence the low share.
_STEAL_SHARE, _STEAL_TICKS = 0.03, 2
# Turbo frequencies vary by a few percent all the time; a latency gate has limits of 5 % or more.
_FREQUENCY_RATIO = 1.1
# The current frequency says something only where it does not follow the load: other governors lower it while the
# machine waits for the next block. Even then a core that was idle for 20 ms reports one of its limits, or the last
# request, instead of a measured value. So it counts only if it is between the limits, on a core that was busy.
_FIXED_GOVERNORS = ("performance", "userspace")
_BUSY_SHARE = 0.8
# Columns of a row of /proc/stat: user, nice, system, irq, softirq. Guest time is part of user.
_BUSY_COLUMNS, _STEAL_COLUMN = (1, 2, 3, 6, 7), 8
_THROTTLE_COUNTS = ("core_throttle_count", "package_throttle_count")


@dataclass(frozen=True)
class State:
    """One reading of the machine; times in nanoseconds, frequencies in kHz.

    Attributes:
        at: monotonic time.
        cores: number of cores that ``busy`` and ``steal`` cover: those this process may use.
        busy: CPU time that any process or interrupt used so far.
        steal: time during which the hypervisor ran something else so far.
        busy_by_core: ``busy`` of each core.
        own: CPU time of each of our own processes so far, by process id.
        reaped: CPU time of their children that have ended and were waited for.
        frequencies: current frequency of each core, if the system tells and does not adapt it to the load.
        limits: lowest and highest frequency that the system allows each core at the moment, if it tells.
        throttles: number of times that the processor was throttled so far.
    """

    at: int
    cores: int
    busy: int
    steal: int
    busy_by_core: Mapping[int, int]
    own: Mapping[int, int]
    reaped: int
    frequencies: Mapping[int, int]
    limits: Mapping[int, tuple[int, int]]
    throttles: int


def _read(path: str) -> str | None:
    # A reading opens dozens of files; with pathlib it would take four times as long.
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:  # the process has ended, or the file needs other rights
        return None
    try:
        return b"".join(iter(lambda: os.read(file, 1 << 16), b"")).decode("ascii", errors="replace")
    except OSError:  # the process or thread has just ended
        return None
    finally:
        os.close(file)


def _threads(folder: str) -> list[str]:
    try:
        with os.scandir(f"{folder}/task") as entries:
            return [entry.path for entry in entries]
    except OSError:  # the process has ended
        return []


def _numbers(paths: Mapping[int, str]) -> dict[int, int]:
    """The number in each file; files without one are left out."""
    texts = {core: (_read(path) or "").strip() for core, path in paths.items()}
    return {core: int(text) for core, text in texts.items() if text.isdecimal()}


def _cpu_rows(proc: Path) -> dict[str, list[int]]:
    """Busy and steal ticks of each row of /proc/stat: ``cpu`` for all cores, ``cpu0`` and so on."""
    rows = (row.split() for row in (_read(f"{proc}/stat") or "").splitlines() if row.startswith("cpu"))
    return {
        row[0]: [sum(int(row[column]) for column in _BUSY_COLUMNS), int(row[_STEAL_COLUMN])]
        for row in rows
        if len(row) > _STEAL_COLUMN
    }


def _process_time(folder: str) -> tuple[int, int] | None:
    """CPU time of a process and of its reaped children, in nanoseconds; None if it has ended."""
    text = _read(f"{folder}/stat")
    if not text:
        return None
    # The name, in parentheses, may contain anything; the state is the first field after it.
    user, system, child_user, child_system = map(int, text.rpartition(")")[2].split()[11:15])
    # Precise, but without the threads that have ended.
    threads = (_read(f"{thread}/schedstat") for thread in _threads(folder))
    precise = sum(int(thread.split()[0]) for thread in threads if thread)
    return max(precise, (user + system) * _TICK_NS), (child_user + child_system) * _TICK_NS


class Watch:
    """Reads the state of the machine and compares two readings.

    Attributes:
        unavailable: why this machine cannot be watched; None if it can.
    """

    def __init__(self, *, proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> None:
        """Find what this machine reports.

        Args:
            proc: where procfs is mounted.
            sys: where sysfs is mounted.
        """
        self._proc, rows = proc, _cpu_rows(proc)
        self.unavailable: str | None = None
        if "cpu" not in rows:
            missing = f"{platform.system()} has no {proc}/stat"
        elif not rows["cpu"][0]:
            # Some sandboxes, such as gVisor, show zeros.
            missing = f"{proc}/stat counts no CPU time"
        else:
            missing = None
        if missing:
            self.unavailable = f"disturbances by other processes cannot be detected: {missing}; keep the machine idle"
            return
        folders = {core: sys / f"devices/system/cpu/cpu{core}" for core in os.sched_getaffinity(0)}
        # Only files that exist: most virtual machines have none of them.
        governors = _existing(folders, "cpufreq/scaling_governor")
        fixed = {core for core, path in governors.items() if (_read(path) or "").strip() in _FIXED_GOVERNORS}
        self._frequencies = _existing({core: folders[core] for core in fixed}, "cpufreq/scaling_cur_freq")
        self._lows, self._highs = (_existing(folders, f"cpufreq/scaling_{end}_freq") for end in ("min", "max"))
        self._throttles = [_existing(folders, f"thermal_throttle/{name}") for name in _THROTTLE_COUNTS]

    def read(self, process_ids: Sequence[int]) -> State | None:
        """Read the state of the machine; None if it cannot be watched.

        Read immediately before and immediately after a block: what happens between is attributed to the block.

        Args:
            process_ids: of our own processes, whose CPU time is no load by others; the same for both readings.
                This process is always included. Processes that have ended are ignored.
        """
        rows = {} if self.unavailable else _cpu_rows(self._proc)
        if "cpu" not in rows:
            return None
        at, listed = time.monotonic_ns(), {int(name[3:]) for name in rows if name != "cpu"}
        usable = os.sched_getaffinity(0)
        # One row for all cores is rounded less than the sum of their rows. A container may number its cores
        # differently from what sched_getaffinity returns.
        names = [f"cpu{core}" for core in usable] if usable < listed else ["cpu"]
        busy, steal = (sum(rows[name][column] for name in names) * _TICK_NS for column in range(2))
        times = {process: _process_time(f"{self._proc}/{process}") for process in {*process_ids} - {os.getpid()}}
        times[os.getpid()] = _process_time(f"{self._proc}/self")
        lows, highs = _numbers(self._lows), _numbers(self._highs)
        return State(
            at=at,
            cores=len(usable) if usable < listed else max(len(listed), 1),
            busy=busy,
            steal=steal,
            busy_by_core={core: rows[f"cpu{core}"][0] * _TICK_NS for core in usable & listed},
            own={process: spent[0] for process, spent in times.items() if spent},
            reaped=sum(spent[1] for spent in times.values() if spent),
            frequencies=_numbers(self._frequencies),
            limits={core: (lows[core], highs[core]) for core in lows.keys() & highs.keys()},
            throttles=sum(sum(_numbers(counts).values()) for counts in self._throttles),
        )

    def disturbances(self, before: State | None, after: State | None) -> tuple[str, ...]:
        """What disturbed the time between two readings: some of ``KINDS``, in that order."""
        return tuple(_found(before, after))

    def describe(self, before: State | None, after: State | None) -> str:
        """The disturbances between two readings, as text with numbers; empty if there are none."""
        return ", ".join(_found(before, after).values())

    def look(self, seconds: float = 0.2, most: int = LOOKS) -> str:
        """Wait until nothing disturbs the machine; this process does nothing meanwhile.

        Args:
            seconds: of one look.
            most: maximum number of looks.

        Returns:
            What the last look found, as ``describe``; empty if nothing.
        """
        found = ""
        for _ in range(most):
            before = self.read(())
            time.sleep(seconds)
            if not (found := self.describe(before, self.read(()))):
                break
        return found


def _existing(folders: Mapping[int, Path], name: str) -> dict[int, str]:
    return {core: str(folder / name) for core, folder in folders.items() if (folder / name).exists()}


def _own_time(before: State, after: State) -> int:
    """Nanoseconds that our own processes and their reaped children used between two readings."""
    spent = sum(total - before.own.get(process, 0) for process, total in after.own.items())
    # A process that ended and was reaped in between moved its whole time, of which most is older.
    moved = sum(total for process, total in before.own.items() if process not in after.own)
    return spent + max(0, after.reaped - before.reaped - moved)


def _changed_frequency(before: State, after: State) -> str | None:
    """The first change of a frequency that is no effect of the block itself, as text."""
    for core, (_, limit) in after.limits.items():
        earlier = before.limits[core][1] if core in before.limits else limit
        if max(earlier, limit) > _FREQUENCY_RATIO * min(earlier, limit):
            return f"frequency limit of core {core} {earlier / 1e6:.2f} GHz -> {limit / 1e6:.2f} GHz"
    for core, frequency in after.frequencies.items():
        low, high = after.limits.get(core, (0, frequency + 1))
        busy = after.busy_by_core.get(core, 0) - before.busy_by_core.get(core, 0)
        measured = low < frequency < high and busy >= _BUSY_SHARE * (after.at - before.at)
        earlier = before.frequencies.get(core, frequency)
        # A rise is what any load causes on an idle core.
        if measured and earlier > _FREQUENCY_RATIO * frequency:
            return f"frequency of core {core} {earlier / 1e6:.2f} GHz -> {frequency / 1e6:.2f} GHz"
    return None


def _found(before: State | None, after: State | None) -> dict[str, str]:
    """The disturbances between two readings as text, by kind."""
    if before is None or after is None:
        return {}
    found = {}
    available = max((after.at - before.at) * after.cores, 1)
    others = after.busy - before.busy - _own_time(before, after)
    if others > _LOAD_SHARE * available and others >= _LOAD_TICKS * _TICK_NS:
        found["load"] = f"other processes used {100 * others / available:.0f} % of the machine"
    steal = after.steal - before.steal
    if steal > _STEAL_SHARE * available and steal >= _STEAL_TICKS * _TICK_NS:
        found["steal"] = f"steal {100 * steal / available:.0f} %"
    if changed := _changed_frequency(before, after):
        found["frequency"] = changed
    if after.throttles > before.throttles:
        found["throttling"] = "thermal throttling"
    return found

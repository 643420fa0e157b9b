"""A machine whose /proc and /sys are made up, for tests of the watch."""

from crnn.measure.watch import Watch

OWN, FOREIGN = 4001, 4002
BUSY_COLUMNS = ("user", "nice", "system", "irq", "softirq")
COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")


class Machine:
    """A made-up machine with /proc and /sys; two of its cores can be used."""

    def __init__(self, folder):
        self.proc, self.sys, self.now_ms = folder / "proc", folder / "sys", 0
        self.ticks = {core: dict.fromkeys(COLUMNS, 1000) for core in range(2)}
        self.spend("self")
        self.spend(OWN)
        self.pass_time(0)

    def pass_time(self, ms, core=0, **ticks):
        """Let time pass, with these ticks of one core."""
        self.now_ms += ms
        for column, count in ticks.items():
            self.ticks[core][column] += count
        total = {column: sum(core[column] for core in self.ticks.values()) for column in COLUMNS}
        rows = {"cpu ": total} | {f"cpu{core}": row for core, row in self.ticks.items()}
        self.write("proc/stat", "".join(f"{name} {' '.join(map(str, row.values()))}\n" for name, row in rows.items()))

    def spend(self, process, ticks=0, precise_ms=(), reaped=0):
        """Set the CPU time of a process: in ticks, of each thread in ms, and of its reaped children in ticks."""
        # Names of processes may contain spaces and parentheses.
        self.write(f"proc/{process}/stat", f"1 (a) S name) S {'0 ' * 10}{ticks} 0 {reaped} 0 20 0\n")
        for thread, ms in enumerate(precise_ms):
            self.write(f"proc/{process}/task/{thread}/schedstat", f"{int(ms * 1e6)} 0 0\n")

    def end(self, process):
        """End a process."""
        (self.proc / f"{process}/stat").unlink()

    def set_cpu(self, core, **values):
        """Set files of one core: its governor, frequencies in kHz, or counts."""
        for name, value in values.items():
            group = "thermal_throttle" if name.endswith("count") else "cpufreq"
            self.write(f"sys/devices/system/cpu/cpu{core}/{group}/{name}", f"{value}\n")

    def write(self, path, text):
        file = self.proc.parent / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "ascii")

    def watch(self):
        return Watch(proc=self.proc, sys=self.sys)

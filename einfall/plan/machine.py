"""What a machine can do, in numbers: measured, or taken from its features where it never was."""

from typing import NamedTuple

__all__ = ["Cache", "Machine", "described"]


class Cache(NamedTuple):
    """A level of memory between the registers and the main memory; the bandwidth is that of one thread reading."""

    name: str
    capacity_bytes: int
    bandwidth_bytes_per_s: float


class Machine(NamedTuple):
    """The numbers of one machine. Rates are those of all threads unless the name says `thread`."""

    name: str
    threads: int
    lanes: int  # f32 numbers in a register
    peak_f32_per_s: float  # operations; a multiplication that is added counts as two
    peak_f64_per_s: float
    bandwidth_bytes_per_s: float  # main memory: two arrays read, one written
    thread_bandwidth_bytes_per_s: float
    fresh_bytes_per_s: float  # of one thread, into memory that the system has yet to provide
    caches: tuple[Cache, ...]  # the smallest first
    special_s: float  # of one thread, for an exponential of f32 in vector code, per element
    library_s: float  # of one thread, for an exponential of libm
    launch_s: float  # a call of one tile program
    is_measured: bool

    def main_bandwidth(self, threads: int) -> float:
        """Bytes per second of main memory with some of the threads."""
        if threads >= self.threads:
            return self.bandwidth_bytes_per_s
        return min(self.bandwidth_bytes_per_s, threads * self.thread_bandwidth_bytes_per_s)

    def peak_per_s(self, bits: int) -> float:
        """Operations per second on numbers of this many bits."""
        return self.peak_f64_per_s if bits > 32 else self.peak_f32_per_s


def described(name: str, threads: int, lanes: int) -> Machine:
    """A machine that was never measured: one of its kind at 3 GHz with one multiply-add unit, cautiously."""
    peak = 2.0 * lanes * 3e9 * threads
    caches = (Cache("L1", 32 << 10, 4.0 * lanes * 2e9), Cache("L2", 1 << 20, 4.0 * lanes * 1e9),
              Cache("L3", 16 << 20, 25e9))
    return Machine(name, threads, lanes, peak, peak / 2, min(threads, 4) * 12e9, 12e9, 5e9, caches, 4.8e-9 / lanes,
                   10e-9, 30e-6, False)

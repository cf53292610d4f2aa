"""A host's clock that is set while a program runs, for that program alone and without being root.

A library that is loaded before the C library (`LD_PRELOAD`) adds an offset to what the wall clock
says; the monotonic clock stays. Programs that ask the kernel by themselves (Prism, like everything
in Go) keep the real time: the program's clock and its engine's differ as two machines' do.
"""

import mmap
import shutil
import struct
import subprocess

import pytest

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile long long *ahead;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("CHAOS_CLOCK");
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0) abort();
    void *page = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) abort();
    ahead = page;
}

int clock_gettime(clockid_t id, struct timespec *now) {
    if (!real_clock_gettime) real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real_clock_gettime(id, now);
    if (!failed && ahead && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        now->tv_sec += *ahead;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec at;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &at)) return -1;
    now->tv_sec = at.tv_sec;
    now->tv_usec = at.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    if (now) *now = at.tv_sec;
    return at.tv_sec;
}
"""


class HostClock:
    """The wall clock of the programs that run with `environment`.

    Args:
        folder: For the library.
    """

    def __init__(self, folder):
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            pytest.skip("needs a C compiler (cc) to set a program's clock")
        source, library = folder / "clock.c", folder / "clock.so"
        source.write_text(SOURCE)
        command = [compiler, "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"]
        subprocess.run(command, check=True, capture_output=True)
        self._file = folder / "ahead"
        self._file.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(self._file)}

    def set(self, seconds):
        """Let it be so far ahead (behind, where negative) of the real time, from now on."""
        with self._file.open("r+b") as file, mmap.mmap(file.fileno(), 8) as page:
            page[:] = struct.pack("=q", seconds)

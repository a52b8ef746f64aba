"""The other side of `shim.c`: steers the clock and the writes of a process that has loaded it."""

import errno
import mmap
import os
import struct
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIELDS = {name: 8 * place for place, name in enumerate(("clock_ns", "mode", "error", "before", "fired", "loaded"))}
NEVER, ONCE, ALWAYS = 0, 1, 2


def build(directory):
    """Compiles it; `cc` is there, since Rust links with it."""
    library = Path(directory) / "shim.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(HERE / "shim.c")], check=True)
    return library


class Shim:
    def __init__(self, library, file, under):
        """For writes below `under`. The page lies in `file`, which must be elsewhere."""
        self.library, self.file, self.under = Path(library), Path(file), Path(under)
        self.file.write_bytes(bytes(mmap.PAGESIZE))
        with open(self.file, "r+b") as opened:
            self.page = mmap.mmap(opened.fileno(), mmap.PAGESIZE)

    def env(self):
        return {"LD_PRELOAD": str(self.library), "DRILL_CONTROL": str(self.file), "DRILL_UNDER": str(self.under)}

    def get(self, field):
        return struct.unpack_from("=q", self.page, FIELDS[field])[0]

    def set(self, field, value):
        struct.pack_into("=q", self.page, FIELDS[field], value)

    def is_loaded_by(self, pid):
        return self.get("loaded") == pid

    def step_clock(self, seconds):
        """From now on the wall clock is so much ahead of the machine's."""
        self.set("clock_ns", int(seconds * 1_000_000_000))

    def fail_always(self, error):
        self.set("error", error)
        self.set("mode", ALWAYS)

    def fail_once(self, error, after):
        """One write fails, after so many that do not."""
        self.set("error", error)
        self.set("before", after)
        self.set("fired", 0)
        self.set("mode", ONCE)

    def heal(self):
        """No further write fails. Whether one had to, since the last `fail_once`."""
        self.set("mode", NEVER)
        return self.get("fired") > 0


def name_of(error):
    return f"{errno.errorcode[error]} ({os.strerror(error)})"

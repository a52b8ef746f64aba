"""A small disk of one's own: a tmpfs in the drills' mount namespace, which nobody else sees and which
is gone with it."""

import contextlib
import subprocess
from pathlib import Path


class Disk:
    def __init__(self, place, megabytes):
        self.place = Path(place)
        self.place.mkdir()
        self.filler = self.place / "filler"
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "drill", str(self.place)], check=True)

    def fill(self):
        """Takes every byte that is left."""
        with open(self.filler, "ab", buffering=0) as file, contextlib.suppress(OSError):
            for size in (65536, 4096):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass

    def free(self):
        self.filler.unlink(missing_ok=True)

    def end(self):
        subprocess.run(["umount", "--lazy", str(self.place)], check=False, capture_output=True)

"""Starting processes, watching them, and ending exactly those."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path


class DrillError(Exception):
    """The drill itself could not be carried out; says nothing about the gate."""


def in_namespace():
    """Whether these processes and mounts are nobody else's, and end with the drills: see `scripts/drills`."""
    return os.environ.get("DRILLS_NAMESPACE") == "1"


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def until(what, condition, seconds=30, step=0.02):
    """Polls until `condition` gives something true, and gives that."""
    end = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > end:
            raise DrillError(f"waited {seconds} s for {what}")
        time.sleep(step)


class Process:
    def __init__(self, name, argv, log, env=None, limits=None, piped=True):
        """`limits` maps resources of the module `resource` to their soft and hard limit.

        Its output goes through a pipe into `log`, so that a limit on the process is none on its log;
        without `piped` straight into the file."""
        self.name, self.log = name, Path(log)

        def prepare():
            for which, limit in (limits or {}).items():
                resource.setrlimit(which, limit)

        with open(self.log, "ab") as out:
            self._writer = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=out) if piped else None
            says = self._writer.stdin if piped else out
            if not in_namespace() and shutil.which("setpriv"):
                # Nobody else ends it when the drills are ended by kill -9.
                argv = ["setpriv", "--pdeathsig", "KILL", *argv]
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=says, stderr=says, preexec_fn=prepare,
                                          env={**os.environ, **(env or {})})
        if piped:
            self._writer.stdin.close()
        self.pid = self.popen.pid

    def is_running(self):
        return self.popen.poll() is None

    def check(self):
        if not self.is_running():
            raise DrillError(f"{self.name} ended with {self.popen.returncode}: {self.tail()}")

    def tail(self, size=600):
        with contextlib.suppress(OSError):
            return self.log.read_text(errors="replace")[-size:].strip()
        return ""

    def kill(self):
        """As a crash ends it."""
        with contextlib.suppress(ProcessLookupError):
            self.popen.kill()
        self.popen.wait()
        if self._writer:
            self._writer.wait()

    def stop(self, seconds=15):
        """As an operator ends it; whether it ended by that."""
        if self.is_running():
            with contextlib.suppress(ProcessLookupError):
                self.popen.send_signal(signal.SIGCONT)
                self.popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(seconds)
                return True
            self.kill()
            return False
        return True

    def peak_memory(self):
        """The most memory that it has had resident since its start, in bytes; 0 if it is gone."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return 0


class Every:
    """Calls something again and again until it is stopped."""

    def __init__(self, seconds, what):
        self._over = threading.Event()

        def loop():
            while not self._over.wait(seconds):
                what()

        self._thread = threading.Thread(target=loop, daemon=True)
        self._thread.start()

    def stop(self):
        self._over.set()
        self._thread.join(30)

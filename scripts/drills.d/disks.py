"""A disk that takes no more: full, limited, read-only, failing, locked, gone."""

import errno
import os
import random
import resource
import shutil
import sqlite3
import time

import shim
from callers import Good
from disk import Disk
from gate import Gate
from processes import DrillError, Every, in_namespace, until
from run import Skipped, drill

# How soon `/readyz` must say that nothing can be written, and that it can be again.
NOTICED = 5
RECOVERED = 15


class Readiness:
    """Asks `/readyz` ten times a second, and keeps the answers."""

    def __init__(self, gate):
        self.gate, self.seen = gate, []
        self._look()
        self.every = Every(0.1, self._look)
        gate.at_end.append(self.stop)

    def _look(self):
        self.seen.append((time.monotonic(), self.gate.probe("/readyz")))

    def wait_for(self, wanted, seconds):
        """Seconds until it first said so; None when it did not."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if wanted(self.seen[-1][1]) and self.seen[-1][0] > began:
                return time.monotonic() - began
            time.sleep(0.05)
        return None

    def stop(self):
        self.every.stop()


def broken_for_a_while(run, gate, break_it, mend_it, *, all_writes_fail=True, noticed_within=NOTICED, while_broken=None):
    """Good callers, something breaks, stays so, and is mended. The bounds of it."""
    good, ready = Good(gate), Readiness(gate)
    run.load_begins(gate)
    time.sleep(1)
    run.bound(good.snapshot()["recorded"] > 0, "requests with `audit: required` get through before")
    break_it()
    run.say("broken")
    noticed = ready.wait_for(lambda status: status == 503, noticed_within)
    run.bound(noticed is not None, f"/readyz says 503 within {noticed_within} s", f"it said {ready.seen[-1][1]}")
    time.sleep(1)
    before = good.snapshot()["recorded"]
    if while_broken:
        while_broken()
    time.sleep(max(1, run.seconds - 2))
    if all_writes_fail:
        after = good.snapshot()["recorded"]
        run.bound(after == before, "no request with `audit: required` gets through meanwhile", f"{after - before} did")
    if not gate.control_plane.is_running():
        run.bound(False, "the control plane goes on running", f"it ended with {gate.control_plane.popen.returncode}")
        mend_it()
        gate.start_control_plane()
    else:
        mend_it()
    run.say("mended")
    recovered = ready.wait_for(lambda status: status == 200, RECOVERED)
    before = good.snapshot()["recorded"]
    end = time.monotonic() + RECOVERED
    while good.snapshot()["recorded"] == before and time.monotonic() < end:
        time.sleep(0.05)
    again = good.snapshot()["recorded"] > before
    run.bound(recovered is not None and again,
              f"/readyz says 200, and records are stored again, within {RECOVERED} s of the mend, without a restart",
              f"/readyz {ready.seen[-1][1]}, {'stored' if again else 'nothing stored'}")
    run.note(noticed_s=noticed and round(noticed, 2), recovered_s=recovered and round(recovered, 2))
    run.load_ends(gate)
    good.stop()
    ready.stop()
    if not again:
        # So that the books count lost events, not those that still wait.
        gate.restart_control_plane()
    return run.close(gate, good)


def refuses_in_words(run, gate):
    """Looks at the answer of the management API while nothing can be written."""
    def look():
        status, said = gate.api("POST", "/tokens", {"name": "drill", "role": "auditor"}, timeout=10)
        code = said.get("code") if isinstance(said, dict) else said
        run.bound(status == 503 and code == "storage_unavailable",
                  "POST /tokens says 503 `storage_unavailable` meanwhile", f"{status} {code}")
    return look


@drill("disk-full", "the disk of the data directory is full for a while, then freed")
def disk_full(run):
    if not in_namespace():
        raise Skipped("mounting a small disk needs root or user namespaces; `file-limit` stands in for it")
    disk = Disk(run.directory / "disk", 24)
    try:
        # Its log lies there, too, as it does where a machine has one disk: nothing can be logged either.
        with Gate(run, data=disk.place / "data", serve_log=disk.place / "serve.log") as gate:
            # Freed pages of the database's log are taken as well, so that the disk is full, and stays so.
            def fill():
                disk.fill()
                end = time.monotonic() + 1
                while time.monotonic() < end:
                    disk.fill()
                    time.sleep(0.05)
            broken_for_a_while(run, gate, fill, disk.free, all_writes_fail=False, while_broken=refuses_in_words(run, gate))
    finally:
        disk.end()


@drill("file-limit", "files may not grow (RLIMIT_FSIZE, which sends SIGXFSZ), then may again")
def file_limit(run):
    with Gate(run) as gate:
        def limit():
            resource.prlimit(gate.control_plane.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

        def lift():
            if gate.control_plane.is_running():
                resource.prlimit(gate.control_plane.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        broken_for_a_while(run, gate, limit, lift, while_broken=refuses_in_words(run, gate))


def with_shim(run, data=None):
    steered = shim.Shim(run.parts.shim, run.directory / "shim.page", data or run.directory / "data")
    gate = Gate(run, serve_env=steered.env())
    if not steered.is_loaded_by(gate.control_plane.pid):
        gate.end()
        raise Skipped("this `chaperone` does not load libraries (LD_PRELOAD): it is linked statically")
    return gate, steered


def every_write_fails(run, error):
    gate, steered = with_shim(run)
    with gate:
        broken_for_a_while(run, gate, lambda: steered.fail_always(error), steered.heal,
                           while_broken=refuses_in_words(run, gate))


@drill("read-only", "the file system becomes read-only (EROFS), then writable again")
def read_only(run):
    every_write_fails(run, errno.EROFS)


@drill("io-error", "every write and fsync fails with an I/O error (EIO), then none")
def io_error(run):
    every_write_fails(run, errno.EIO)


@drill("locked", "somebody else holds the database's write lock for longer than the control plane waits", shortest=10)
def locked(run):
    with Gate(run) as gate:
        other = sqlite3.connect(gate.data / "chaperone.db", isolation_level=None, check_same_thread=False, timeout=20)
        # A lock is waited for, five seconds by now: only then it is known to be no ordinary one.
        broken_for_a_while(run, gate, lambda: other.execute("BEGIN IMMEDIATE"), lambda: other.execute("ROLLBACK"),
                           noticed_within=8)


@drill("moved", "the database's files are moved away under the running control plane, then moved back")
def moved(run):
    with Gate(run) as gate:
        aside = run.directory / "aside"
        aside.mkdir()

        def move(source, target):
            for file in list(source.glob("chaperone.db*")):
                os.rename(file, target / file.name)

        def back():
            # A database that was made meanwhile goes. Events that were acknowledged to it are lost in the books.
            for file in list(gate.data.glob("chaperone.db*")):
                file.unlink()
            move(aside, gate.data)

        broken_for_a_while(run, gate, lambda: move(gate.data, aside), back)


@drill("replaced", "another file is put in the place of the database while the control plane runs, then taken away")
def replaced(run):
    with Gate(run) as gate:
        real, other = gate.data / "chaperone.db", run.directory / "real.db"

        def replace():
            os.rename(real, other)
            real.write_bytes(b"")

        broken_for_a_while(run, gate, replace, lambda: os.replace(other, real))


@drill("lost", "at a start in a data directory that was used, the database is gone, empty, an older copy, or damaged")
def lost(run):
    with Gate(run) as gate:
        database = gate.data / "chaperone.db"
        gate.settle()
        gate.control_plane.stop()
        older = run.directory / "older.db"
        shutil.copyfile(database, older)
        gate.start_control_plane()
        # The older copy lacks these: records, and a token that an operator was given.
        good = Good(gate)
        until("records", lambda: good.snapshot()["recorded"] >= 5)
        gate.api("POST", "/tokens", {"name": "newer", "role": "auditor"})
        good.stop()
        gate.settle()
        gate.control_plane.stop()
        real = run.directory / "real.db"
        os.rename(database, real)

        def damaged():
            pages = bytearray(real.read_bytes())
            # Its middle, where the tables are; the header says that all is well.
            pages[len(pages) // 3: 2 * len(pages) // 3] = random.Random(8).randbytes(2 * len(pages) // 3 - len(pages) // 3)
            database.write_bytes(pages)

        damages = {
            "gone": lambda: None,
            "empty": lambda: database.write_bytes(b""),
            "an older copy": lambda: shutil.copyfile(older, database),
            "damaged": damaged,
        }
        for name, damage in damages.items():
            damage()
            if database.exists():
                # Readable by others it would be refused for that.
                database.chmod(0o600)
            try:
                gate.start_control_plane(seconds=run.seconds)
                started = True
            except DrillError:
                started = False
            gate.control_plane.stop()
            run.say(f"{name}: {'it started' if started else gate.control_plane.tail().splitlines()[-1:]}")
            run.bound(not started, f"a control plane whose database is {name} does not go on without being told to")
            for file in gate.data.glob("chaperone.db*"):
                file.unlink()
        os.rename(real, database)
        gate.start_control_plane()
        run.close(gate, good)

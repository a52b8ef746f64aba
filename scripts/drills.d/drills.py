"""Breaks things around a real control plane and a real Envoy, and counts the losses.

Each drill starts both anew, puts good callers on the gate, does its damage for a bounded time, mends it,
and closes the books: events recorded by the filter, acknowledged to it, stored, lost or stored twice;
good requests sent and refused; peak memory; growth of the database. Requests with `audit: required` that
are refused while nothing can be stored are counted apart ("unstored"): that is as it has to be. Every
drill states its bounds and passes when all of them hold. The exit code is 1 when one is missed, 2 when a drill could not be
carried out, 0 otherwise.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import gate
import shim
from processes import DrillError, Process, free_ports, until
from run import DRILLS, MEGABYTE, Run, Skipped

# Each registers its drills; the order of these lines is the order of the table.
import crashes  # noqa: E402,F401,I001
import disks  # noqa: E402,F401
import writes  # noqa: E402,F401
import clocks  # noqa: E402,F401
import floods  # noqa: E402,F401
import bodies  # noqa: E402,F401

BOLD, RED, GREEN, YELLOW, PLAIN = (
    ("\033[1m", "\033[31m", "\033[32m", "\033[33m", "\033[0m") if sys.stdout.isatty() else ("",) * 5
)
COLOURS = {"passed": GREEN, "FAILED": RED, "ERROR": RED, "SKIPPED": YELLOW}


class Parts:
    """Shared by all drills: the programs, an issuer, Envoy's configuration as shipped, and an upstream."""

    def __init__(self, args, directory):
        self.chaperone, self.envoy, self.wasm = args.chaperone, args.envoy, args.wasm
        self.directory = directory
        self.processes = []
        self.shim = shim.build(directory)
        self.issuer = gate.Issuer(self.chaperone, directory)
        self.template = self._shipped()
        port, admin = free_ports(2)
        document = self.template.upstream(port, admin, {"/": "fine"})
        manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        (host,) = manager["route_config"]["virtual_hosts"]
        fine, large = host["routes"][0], json.loads(json.dumps(host["routes"][0]))
        fine["match"], large["match"] = {"prefix": "/"}, {"prefix": gate.LARGE}
        large["direct_response"]["body"]["inline_string"] = "words of an answer " * 1700
        host["routes"] = [large, fine]
        self.processes.append(self.start_envoy("upstream", document, admin, 1, directory))
        self.upstream_port = port

    def _shipped(self):
        """The configuration that `chaperone dev` gives its Envoy; a test of its compares that with `envoy/envoy.yaml`."""
        policy, ready = self.directory / "dev.json", self.directory / "dev-ready.json"
        policy.write_text(json.dumps(gate.policy(self.issuer)))
        dev = Process("chaperone dev", [
            self.chaperone, "dev", "--policy", str(policy), "--upstream", f"{gate.CONNECTION}=http://127.0.0.1:9",
            "--envoy", self.envoy, "--wasm", self.wasm, "--profile", "body", "--concurrency", "1",
            "--ready-file", str(ready),
        ], self.directory / "dev.log", {"XDG_STATE_HOME": str(self.directory), "TMPDIR": str(self.directory)})
        try:
            def is_ready():
                dev.check()
                return ready.exists()

            until("chaperone dev", is_ready, 90)
            admin = json.loads(ready.read_text())["envoy_admin"]
            _, _, dump = gate.request(int(admin.rsplit(":", 1)[1]), "GET", "/config_dump")
            return gate.config.Shipped(json.loads(dump), gate.CONNECTION)
        finally:
            dev.stop()

    def start_envoy(self, name, document, admin, workers, directory, env=None):
        path = directory / f"{name}.json"
        path.write_text(json.dumps(document))
        process = Process(name, [self.envoy, "-c", str(path), "--concurrency", str(workers), "--disable-hot-restart",
                                 "-l", "warn"], directory / f"{name}.log", env)

        def ready():
            process.check()
            try:
                return gate.request(admin, "GET", "/ready")[0] == 200
            except OSError:
                return False

        try:
            until(f"Envoy ({name})", ready, 60)
        except BaseException:
            process.stop(5)
            raise
        return process

    def end(self):
        for process in self.processes:
            process.stop(5)


def carry_out(drill, seconds, parts, keep):
    with tempfile.TemporaryDirectory(prefix=f"{drill.name}-", dir=parts.directory) as directory:
        run = Run(drill, seconds, parts, Path(directory))
        try:
            drill.function(run)
        except Skipped as reason:
            run.skipped = str(reason)
        except (DrillError, OSError, subprocess.SubprocessError) as error:
            run.error = str(error)
        except Exception:
            run.error = traceback.format_exc(limit=4)
        run.took = time.monotonic() - run.began
        if keep:
            shutil.copytree(directory, Path(keep) / drill.name, dirs_exist_ok=True)
        return run


COLUMNS = (
    ("recorded", "events_recorded", 9), ("acknowl.", "events_acknowledged", 9), ("stored", "events_stored", 8),
    ("lost", "events_lost", 6), ("doubled", "events_doubled", 8), ("sent", "good_sent", 7), ("refused", "good_refused", 8),
    ("unstored", "good_unstored", 9),
)


def table(runs):
    print(f"\n{'':16}{'events':^40}{'good requests':^24}{'peak MiB':>13}{'growth':>9}")
    print(f"{'drill':16}" + "".join(f"{title:>{width}}" for title, _, width in COLUMNS)
          + f"{'Envoy':>7}{'plane':>6}{'KiB/s':>9}  result")
    for run in runs:
        def cell(key, width, divisor=1, run=run):
            value = run.figures.get(key)
            return f"{'-' if value is None else round(value / divisor):>{width}}"
        print(f"{run.name:16}" + "".join(cell(key, width) for _, key, width in COLUMNS)
              + cell("envoy_peak_bytes", 7, MEGABYTE) + cell("control_plane_peak_bytes", 6, MEGABYTE)
              + cell("growth_bytes_per_second", 9, 1024) + f"  {COLOURS[run.verdict]}{run.verdict}{PLAIN}")
    for run in runs:
        reasons = [f"{bound['bound']}: {bound['said']}" if bound["said"] else bound["bound"]
                   for bound in run.bounds if not bound["holds"]]
        reasons += [run.error] if run.error else []
        if run.skipped:
            print(f"\nSKIPPED: the drill {run.name}: {run.skipped}")
        elif reasons:
            print(f"\n{run.verdict}: the drill {run.name}")
            for reason in reasons:
                print(f"  - {reason}")
    counts = {verdict: sum(run.verdict == verdict for run in runs) for verdict in COLOURS}
    print("\n" + ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count or verdict == "passed"))


def parse():
    parser = argparse.ArgumentParser(prog="scripts/drills", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="drills:\n" + listed())
    parser.add_argument("--seconds", type=float, default=3, metavar="N",
                        help="for how long each drill does its damage (default %(default)s: all of them in three to "
                             "four minutes when nothing hangs; 60 makes a long run). Some need a few seconds more")
    parser.add_argument("--only", action="append", metavar="DRILL", help="this one; say it again for another one")
    parser.add_argument("--list", action="store_true", help="name the drills, and stop")
    parser.add_argument("--json", metavar="FILE", help="write figures and bounds there as JSON, too")
    parser.add_argument("--keep", metavar="DIR", help="copy the files of each drill there: data directory, logs, Envoy's configuration")
    for name in ("--envoy", "--wasm", "--chaperone", "--directory"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    args = parser.parse_args()
    for name in args.only or []:
        if name not in DRILLS:
            parser.error(f"there is no drill called {name}; --list names them")
    return args


def listed():
    return "\n".join(f"  {drill.name:16}{drill.title}" for drill in DRILLS.values())


def main():
    args = parse()
    if args.list:
        print(listed())
        return 0
    if not args.envoy:
        sys.exit("error: run scripts/drills, which builds everything first")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    drills = [drill for name, drill in DRILLS.items() if not args.only or name in args.only]
    began, runs = time.monotonic(), []
    print("starting an upstream, and asking `chaperone dev` for Envoy's configuration", file=sys.stderr, flush=True)
    parts = None
    try:
        parts = Parts(args, Path(args.directory))
        for number, drill in enumerate(drills, 1):
            print(f"{BOLD}{number}/{len(drills)} {drill.name}{PLAIN}: {drill.title}", file=sys.stderr, flush=True)
            run = carry_out(drill, args.seconds, parts, args.keep)
            run.say(run.verdict + (f": {run.error or run.skipped}" if run.error or run.skipped else ""))
            runs.append(run)
    except DrillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except SystemExit:
        if runs:
            table(runs)
        print("interrupted", file=sys.stderr)
        raise
    finally:
        if parts:
            parts.end()
    table(runs)
    print(f"{time.monotonic() - began:.0f} s")
    if args.json:
        report = {"machine": {"cores": os.cpu_count(), "system": platform.platform()}, "seconds": args.seconds,
                  "drills": [run.as_json() for run in runs]}
        Path(args.json).write_text(json.dumps(report, indent=2) + "\n")
    verdicts = {run.verdict for run in runs}
    return 1 if "FAILED" in verdicts else 2 if "ERROR" in verdicts else 0


if __name__ == "__main__":
    sys.exit(main())

"""Processes that end without a word, and one too many."""

import subprocess
import time

from callers import Flood, Good, http_request
from gate import Gate, policy
from processes import Process
from run import drill


@drill("kill", "the control plane is ended by kill -9 again and again, under load")
def kill(run):
    with Gate(run) as gate:
        good = Good(gate)
        # Somebody who is never done, so that there is always a commit to be interrupted.
        busy = Flood(gate.envoy_port, http_request("GET", "/plain/busy", gate.bearer("busy")), run.seconds, 2)
        run.load_begins(gate)
        end, kills = time.monotonic() + run.seconds, 0
        while time.monotonic() < end:
            # At another moment each time: in the middle of a commit, of a checkpoint, of the start.
            time.sleep(0.3 + 0.17 * (kills % 5))
            gate.kill_control_plane()
            kills += 1
            gate.start_control_plane()
        run.load_ends(gate)
        good.stop()
        got = busy.result()
        run.note(kills=kills, busy=got)
        run.say(f"killed {kills} times; {got['answered']} further requests: {got['by_status']}")
        run.close(gate, good)


@drill("second", "a second control plane on the same directory, with the lock file removed")
def second(run):
    with Gate(run) as gate:
        good = Good(gate)
        for removed in (False, True):
            if removed:
                (gate.data / "lock").unlink(missing_ok=True)
            other = Process("a second control plane", [
                run.parts.chaperone, "serve", "--data-dir", str(gate.data), "--listen", "127.0.0.1:0",
            ], run.directory / "second.log")
            try:
                other.popen.wait(run.seconds)
                ended = True
            except subprocess.TimeoutExpired:
                ended = False
            other.stop(5)
            run.bound(ended and other.popen.returncode > 0,
                      f"a second control plane refuses to start{' when `lock` was removed' if removed else ''}",
                      f"it ran for {run.seconds:.0f} s" if not ended else "")
        good.stop()
        run.close(gate, good, recorded_may_fail=False)


@drill("envoy-restart", "Envoy is ended by kill -9 and started again; then `policy publish --wait`", shortest=30)
def envoy_restart(run):
    with Gate(run) as gate:
        gate.settle()
        gate.envoy.kill()
        gate.restart_envoy()
        document = policy(run.parts.issuer)
        document["rules"].append({"name": "another", "match": {"paths": ["/another/**"]}, "effect": "deny", "reason": "no"})
        began = time.monotonic()
        trouble = gate.publish_waits(document, run.seconds)
        took = time.monotonic() - began
        run.note(publish_wait_ms=round(took * 1000))
        run.bound(trouble is None, f"`policy publish --wait` comes back within {run.seconds:.0f} s of a restart", f"{took:.1f} s: {trouble}")

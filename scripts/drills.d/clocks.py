"""A wall clock that jumps: the control plane's, or Envoy's. Nothing that is believed of it while it is wrong may last."""

import threading
import time

import shim
from callers import Good, code_of
from disks import Readiness, with_shim
from gate import Gate, policy, request
from run import Skipped, drill

DAY = 86400


def ask_and_approve(gate, path):
    """Whether a question that is asked now can be answered now, and lets its request through."""
    result = {}

    def send():
        status, _, body = request(gate.envoy_port, "GET", path, gate.bearer("alice"), timeout=40)
        result["said"] = "200" if status == 200 else code_of(status, body)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    end = time.monotonic() + 10
    while time.monotonic() < end and sender.is_alive():
        status, page = gate.api("GET", "/approvals?state=pending&subject=alice&limit=50")
        found = [one["id"] for one in page.get("items", []) if one["request"]["path"] == path] if status == 200 else []
        if found:
            gate.api("POST", f"/approvals/{found[0]}/approve", {})
            break
        time.sleep(0.05)
    sender.join(30)
    return result.get("said", "no answer")


def pending(gate, path):
    status, page = gate.api("GET", "/approvals?state=pending&subject=alice&limit=500")
    return status == 200 and any(one["request"]["path"] == path for one in page["items"])


@drill("clock", "the control plane's clock jumps 40 days ahead, back, 40 days behind, and back", shortest=6)
def clock(run):
    gate, steered = with_shim(run)
    with gate:
        good, ready = Good(gate), Readiness(gate)
        run.load_begins(gate)
        pause = run.seconds / 6

        for days, name in ((40, "ahead"), (0, "back"), (-40, "behind"), (0, "right again")):
            if name == "back":
                # Asked while the clock was ahead; its `expires` is ten minutes.
                request(gate.envoy_port, "GET", "/ticket/ahead", gate.bearer("alice"))
                run.bound(pending(gate, "/ticket/ahead"), "a question that is asked while the clock is ahead is pending")
            steered.step_clock(days * DAY)
            run.say(f"the clock is {name}")
            time.sleep(pause)
            before = good.snapshot()["recorded"]
            said = ask_and_approve(gate, f"/held/{name.replace(' ', '-')}")
            run.bound(said == "200", f"a question can be asked and answered with the clock {name}", said)
            time.sleep(pause / 2)
            run.bound(good.snapshot()["recorded"] > before, f"records are stored with the clock {name}")
            status, said = gate.api("POST", "/tokens", {"name": f"t-{days}-{name}", "role": "auditor", "ttl_seconds": 3600})
            run.bound(status == 201, f"a token can be made with the clock {name}", f"{status} {said}")
        # Twelve minutes on: the question of ten minutes must be over, by whichever clock.
        steered.step_clock(720)
        end = time.monotonic() + 5
        while pending(gate, "/ticket/ahead") and time.monotonic() < end:
            time.sleep(0.1)
        run.bound(not pending(gate, "/ticket/ahead"),
                  "a question that was asked while the clock was ahead is over when its time is, not 40 days later")
        run.bound(all(status == 200 for _, status in ready.seen), "/readyz says 200 all the while",
                  [status for _, status in ready.seen if status != 200][:3])
        run.load_ends(gate)
        ready.stop()
        good.stop()
        run.close(gate, good, recorded_may_fail=False)


@drill("node-clock", "Envoy's clock jumps 40 days ahead, back, 40 days behind, and back", shortest=4)
def node_clock(run):
    steered = shim.Shim(run.parts.shim, run.directory / "shim.page", run.directory / "nowhere")
    with Gate(run, envoy_env=steered.env()) as gate:
        if not steered.is_loaded_by(gate.envoy.pid):
            raise Skipped("this Envoy does not load libraries (LD_PRELOAD)")
        good = Good(gate)
        run.load_begins(gate)
        for days, name in ((40, "ahead"), (0, "back"), (-40, "behind"), (0, "right again")):
            steered.step_clock(days * DAY)
            run.say(f"the clock is {name}")
            time.sleep(run.seconds / 4)
            before = good.snapshot()
            end = time.monotonic() + 5
            while time.monotonic() < end and any(good.snapshot()[kind] <= before[kind] for kind in before):
                time.sleep(0.05)
            stuck = [kind for kind in before if good.snapshot()[kind] <= before[kind]]
            run.bound(not stuck, f"requests are let through and recorded with the clock {name}", stuck)
            # Also while the clock is wrong: a node plans its next steps by it then.
            document = policy(run.parts.issuer)
            document["rules"].append({"name": name.replace(" ", "-"), "match": {"paths": ["/nowhere/**"]},
                                      "effect": "deny", "reason": "no"})
            trouble = gate.publish_waits(document, 15)
            run.bound(trouble is None, f"a policy is enforced by every worker within 15 s with the clock {name}", trouble or "")
            said = ask_and_approve(gate, f"/held/{name.replace(' ', '-')}")
            run.bound(said == "200", f"a question can be asked and answered with the clock {name}", said)
        run.load_ends(gate)
        good.stop()
        run.close(gate, good, recorded_may_fail=False)

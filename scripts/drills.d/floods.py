"""One caller or peer that wants everything for itself. Nobody else may notice."""

import contextlib
import http.client
import json
import resource
import select
import socket
import threading
import time

from callers import Flood, Good, code_of, http_request
from clocks import ask_and_approve
from gate import LARGE, Gate, policy, request
from run import MEGABYTE, drill

# How fast the database may grow by requests of which nobody knows the caller.
GROWTH = MEGABYTE
CONNECTIONS = 16


def flood(run, headers, path, growth):
    """A flood beside good callers, with the bounds of it."""
    with Gate(run) as gate:
        good = Good(gate)
        time.sleep(0.5)
        run.load_begins(gate)
        one = Flood(gate.envoy_port, http_request("GET", path, headers(gate)), run.seconds, CONNECTIONS)
        got = one.result()
        run.load_ends(gate)
        run.note(flood=got)
        run.say(f"{got['per_second']}/s: {got['by_status']} {got['codes'] or ''}")
        good.stop()
        run.bound(got["answered"] > 0, "the flood is answered at all", got)
        if growth:
            rate = run.figures["growth_bytes_per_second"]
            run.bound(rate < growth, f"the database grows by less than {growth >> 20} MiB a second", f"{rate / MEGABYTE:.1f} MiB/s")
        run.close(gate, good, recorded_may_fail=False)


@drill("flood-no-token", f"{CONNECTIONS} connections send requests without a token, as fast as they can")
def flood_no_token(run):
    flood(run, lambda gate: {}, "/plain/flood", GROWTH)


@drill("flood-signature", f"{CONNECTIONS} connections send one token with a bad signature, as fast as they can")
def flood_signature(run):
    def forged(gate):
        head, payload, signature = gate.bearer("mallory")["authorization"].removeprefix("Bearer ").split(".")
        return {"authorization": f"Bearer {head}.{payload}.{'A' * len(signature)}"}

    flood(run, forged, "/plain/flood", GROWTH)


@drill("greedy", f"one good caller sends good requests on {CONNECTIONS} connections, as fast as it can")
def greedy(run):
    # Whatever passes has to be recorded, answers of 32 KB and all: so the database may grow as fast as
    # the control plane stores, and more comes about than that.
    flood(run, lambda gate: gate.bearer("greedy"), f"{LARGE}/greedy", None)


PEERS = 1100
DESCRIPTORS = 1024
# How long somebody who has a token may have to wait for an answer of the management API.
PATIENCE = 10


class SlowPeers(threading.Thread):
    """Requests of which the end never comes, and more of them when the server closes some."""

    def __init__(self, port, count, seconds):
        super().__init__(daemon=True)
        self.port, self.count, self.end = port, count, time.monotonic() + seconds
        self.opened = self.closed = 0

    def run(self):
        poll, open_ones = select.poll(), {}
        while time.monotonic() < self.end:
            while len(open_ones) < self.count and time.monotonic() < self.end:
                one = socket.socket()
                one.settimeout(0.5)
                try:
                    one.connect(("127.0.0.1", self.port))
                    one.send(b"POST /api/v1/tokens HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-le")
                except OSError:
                    one.close()
                    break
                one.setblocking(False)
                open_ones[one.fileno()] = one
                poll.register(one, select.POLLIN | select.POLLHUP)
                self.opened += 1
            for number, _ in poll.poll(100):
                with contextlib.suppress(OSError):
                    if open_ones[number].recv(4096):
                        continue
                poll.unregister(number)
                open_ones.pop(number).close()
                self.closed += 1
        for one in open_ones.values():
            one.close()


@drill("slow-peers", f"{PEERS} half-sent requests stay open at a control plane with {DESCRIPTORS} file descriptors", shortest=15)
def slow_peers(run):
    # This process opens as many as the server.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * PEERS)), hard))
    with Gate(run, serve_limits={resource.RLIMIT_NOFILE: (DESCRIPTORS, DESCRIPTORS)}) as gate:
        good = Good(gate)
        run.load_begins(gate)
        peers = SlowPeers(gate.port, PEERS, run.seconds + PATIENCE)
        peers.start()
        time.sleep(2)
        waits, failures, end = [], 0, time.monotonic() + run.seconds
        while time.monotonic() < end:
            for path in ("/nodes", "/approvals"):
                began = time.monotonic()
                # A client tries again when it is turned away; it has an answer within its patience or not.
                while True:
                    left = PATIENCE - (time.monotonic() - began)
                    status = gate.api("GET", path, timeout=max(0.1, left))[0] if left > 0 else None
                    if status == 200 or left <= 0:
                        break
                    failures += 1
                    time.sleep(0.1)
                waits.append(time.monotonic() - began)
            time.sleep(0.2)
        run.load_ends(gate)
        good.stop()
        peers.end = 0
        peers.join(20)
        run.note(management_slowest_ms=round(max(waits) * 1000), management_turned_away=failures,
                 peers_opened=peers.opened, peers_closed_by_server=peers.closed)
        run.say(f"{peers.opened} half-sent requests opened, {peers.closed} closed by the server; "
                f"slowest answer {max(waits):.1f} s, turned away {failures} times")
        run.bound(peers.opened >= DESCRIPTORS // 2, "the peers came in at all", peers.opened)
        run.bound(max(waits) < PATIENCE, f"the management API answers within {PATIENCE} s", f"{max(waits):.1f} s")
        run.close(gate, good, recorded_may_fail=False)


PUBLISHERS = 4
# As many as an imported rule set brings.
DETECTORS = 221
# Everybody else's answers while policies are compiled.
AT_ONCE = 1.0


@drill("publish", f"{PUBLISHERS} publish policies with {DETECTORS} detectors of their own, as fast as they can", shortest=4)
def publish(run):
    with Gate(run) as gate:
        good = Good(gate)
        run.load_begins(gate)
        end, published, waits = time.monotonic() + run.seconds, [], []

        def publisher(number):
            count = 0
            while time.monotonic() < end:
                count += 1
                document = policy(run.parts.issuer)
                # New ones each time, in half of all publishes: nothing that was compiled before is of use then.
                life = f"{number}-{count // 2}"
                document["detectors"] = [
                    {"name": f"custom/d-{life}-{n}", "regex": rf"\bacme{n}_(live|test)_{life}-([a-z0-9]{{32,40}})\b"}
                    for n in range(DETECTORS)]
                document["masking"][0]["detectors"] = ["secrets/*", "custom/*"]
                document["rules"].append({"name": f"p-{number}-{count}", "match": {"paths": ["/nowhere/**"]},
                                          "effect": "deny", "reason": "no"})
                status, said = gate.api("POST", "/policies", {"document": json.dumps(document)}, timeout=60)
                published.append(str(status) if status in (201, 409) else f"{status} {said}")

        threads = [threading.Thread(target=publisher, args=(number,), daemon=True) for number in range(PUBLISHERS)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            began = time.monotonic()
            status = gate.probe("/healthz", timeout=30)
            waits.append(time.monotonic() - began if status == 200 else 30)
            time.sleep(0.05)
        run.load_ends(gate)
        good.stop()
        counts = {said: published.count(said) for said in published}
        run.note(published=counts, healthz_slowest_ms=round(max(waits) * 1000))
        run.say(f"published {counts}; slowest /healthz {max(waits):.2f} s, slowest good request {good.slowest:.2f} s")
        run.bound("201" in counts and set(counts) <= {"201", "409"}, "policies are published, or conflict", counts)
        run.bound(max(waits) < AT_ONCE, f"/healthz answers within {AT_ONCE:.0f} s meanwhile", f"{max(waits):.2f} s")
        # Nodes compile as well, and a worker that does so for seconds may be too late for a record.
        run.close(gate, good)


BODY = 16 * 1024
# How many questions may wait, and how large a list of 500 of them may be.
MOST_PENDING = 1000
LIST = MEGABYTE


@drill("questions", "two callers ask for approvals of ever new requests, one with 200 that wait", shortest=6)
def questions(run):
    with Gate(run) as gate:
        good = Good(gate)
        gate.bearer("alice")
        run.load_begins(gate)
        # One goes on with its ticket each time, the other waits on as many connections as it can hold.
        floods = [
            Flood(gate.envoy_port, http_request("POST", f"/{path}/{name}-{{n}}",
                                                {**gate.bearer(name), "content-type": "text/plain"}, "x" * BODY),
                  run.seconds, connections)
            for name, path, connections in (("eve", "ticket", 8), ("mallory", "held", 200))
        ]
        said, rounds, end = {}, 0, time.monotonic() + run.seconds - 1
        while time.monotonic() < end:
            rounds += 1
            result = ask_and_approve(gate, f"/held/good-{rounds}")
            said[result] = said.get(result, 0) + 1
        got = [one.result() for one in floods]
        run.load_ends(gate)
        good.stop()
        connection = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=30)
        connection.request("GET", "/api/v1/approvals?state=pending&limit=500",
                           headers={"authorization": f"Bearer {gate.admin_token}"})
        size = len(connection.getresponse().read())
        connection.close()
        _, _, metrics = request(gate.port, "GET", "/metrics")
        pending = next((int(float(line.split()[-1])) for line in metrics.decode().splitlines()
                        if line.startswith("chaperone_approvals_pending ")), -1)
        codes = {}
        for one in got:
            for code, count in one["codes"].items():
                codes[code] = codes.get(code, 0) + count
        run.note(flood=got, good_questions=said, pending=pending, list_bytes=size)
        run.say(f"{sum(one['answered'] for one in got)} questions of the two: {codes}; {pending} pending, "
                f"a list of 500 has {size >> 10} KiB; others' questions: {said}")
        run.bound(rounds > 0 and set(said) == {"200"}, "questions of others are asked, answered and let through", said)
        run.bound(0 <= pending <= MOST_PENDING, f"no more than {MOST_PENDING} questions wait", f"{pending} do")
        run.bound(set(codes) - {"approval_required"}, "a caller over the limit is told so with a code of its own", codes)
        run.bound(size < LIST, "a list of 500 questions is smaller than 1 MiB", f"{size / MEGABYTE:.1f} MiB")
        run.close(gate, good, recorded_may_fail=False)

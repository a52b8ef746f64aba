"""What the gate costs: requests a second and latency, as ratios in one run on one machine.

Every variant is an Envoy with one worker, pinned to one core; the load generator (wrk), the
upstream (another Envoy, which answers by itself) and the control plane share the other. Rounds are
interleaved (each round measures every variant once), and the medians over the rounds are reported,
so that what else the machine does hits all variants alike. Variants that are not being measured
are stopped (SIGSTOP).
"""

import argparse
import base64
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import envoy as config

ISSUER_AUDIENCE = "bench"
GROUPS = 100
CONNECTION = "api"
SIZES = {"1 KB": 1024, "64 KB": 65536}
# The prefix of variants that run another build, with `--before`.
BEFORE = "before, "


def say(text):
    print(text, file=sys.stderr, flush=True)


def slug(name):
    """A name that can be a file's and a node's."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def body(size):
    """JSON that looks like what a model provider answers: prose and code, no secret."""
    line = (
        "The function reads the configuration, checks every field and returns an error that names "
        "the place: `fn load(path: &Path) -> Result<Config, ConfigError> { parse(&read(path)?) }`. "
    )
    text, number = "", 0
    while len(text) < size - 120:
        text += f"{number}. {line}"
        number += 1
    return json.dumps({"id": "answer-1", "choices": [{"index": 0, "text": text[: size - 60]}]})


class Processes:
    """Starts processes and ends exactly those."""

    def __init__(self, directory):
        self.directory = directory
        self.running = []

    def start(self, name, argv, core=None, **kwargs):
        if core is not None:
            argv = ["taskset", "-c", str(core), *argv]
        log = open(self.directory / f"{name}.log", "wb")
        process = subprocess.Popen(argv, stdout=log, stderr=log, **kwargs)
        self.running.append((name, process))
        return process

    def check(self):
        for name, process in self.running:
            if process.poll() is not None:
                log = (self.directory / f"{name}.log").read_text(errors="replace")
                sys.exit(f"error: {name} ended with {process.returncode}:\n{log[-2000:]}")

    def stop(self, process):
        process.terminate()
        process.wait(20)
        self.running = [(name, one) for name, one in self.running if one is not process]

    def end(self):
        for _, process in self.running:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for _, process in self.running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
                continue
            process.kill()


def until(what, condition, last="", seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if value := condition():
                return value
        time.sleep(0.02)
    sys.exit(f"error: waited {seconds} s for {what} {last}")


def request(port, method, path, headers=None, payload=None, timeout=30):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    connection.request(method, path, body=payload, headers=headers or {})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, data


def wrk(name, port, path, token, seconds, connections, core):
    """One measurement: requests a second, p50 and p99 in milliseconds."""
    out = subprocess.run(
        ["taskset", "-c", str(core), "wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds}s",
         "-H", f"Authorization: Bearer {token}", f"http://127.0.0.1:{port}{path}"],
        capture_output=True, text=True, check=True,
    ).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        sample = request(port, "GET", path, {"authorization": f"Bearer {token}"})
        sys.exit(f"error: wrk saw failed requests at {name}, {path}:\n{out}\nOne now: {sample[0]} {sample[1][:300]}")
    units = {"us": 0.001, "ms": 1.0, "s": 1000.0}

    def percentile(name):
        value, unit = re.search(rf"{name}%\s+([\d.]+)(us|ms|s)", out).groups()
        return float(value) * units[unit]

    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    return rate, percentile(50), percentile(99)


def policy(issuer, jwks, rules, masking):
    """A policy of so many rules, of which the last one lets the request through."""
    listed = [
        {
            "name": f"rule-{n}",
            "match": {"groups": [f"group-{n}"], "methods": ["GET"],
                      "paths": ["/**" if n == rules - 1 else f"/area-{n}/**"]},
            "effect": "allow",
        }
        for n in range(rules)
    ]
    document = {
        "apiVersion": "chaperone/v1",
        "issuers": [{"issuer": issuer, "audiences": [ISSUER_AUDIENCE], "jwks": jwks}],
        "connections": [{"name": CONNECTION, "hosts": ["127.0.0.1"], "protocol": "http"}],
        "rules": listed,
    }
    if masking:
        document["masking"] = [
            {"name": "secrets", "detectors": ["secrets/*"], "on": ["request", "response"], "action": "mask"}
        ]
    return document


class ControlPlane:
    """A control plane with one policy."""

    def __init__(self, args, processes, name, document, core):
        self.chaperone = args.chaperone
        self.directory = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=processes.directory))
        (self.port,) = free_ports(1)
        processes.start(
            f"control-plane-{name}",
            [self.chaperone, "serve", "--data-dir", str(self.directory), "--listen", f"127.0.0.1:{self.port}"],
            core,
        )
        until("the control plane", lambda: request(self.port, "GET", "/readyz")[0] == 200)
        self.policy_file = self.directory / "policy.json"
        self.publish(document)

    def cli(self, *arguments):
        done = subprocess.run(
            [self.chaperone, *arguments, "--server", f"http://127.0.0.1:{self.port}",
             "--token-file", str(self.directory / "admin.token")],
            capture_output=True, text=True,
        )
        if done.returncode != 0:
            sys.exit(f"error: chaperone {' '.join(arguments)}:\n{done.stderr}")
        return done.stdout

    def publish(self, document):
        self.policy_file.write_text(json.dumps(document))
        return self.cli("policy", "publish", str(self.policy_file))

    def api(self, method, path, payload=None):
        token = (self.directory / "admin.token").read_text().strip()
        return request(
            self.port, method, f"/api/v1{path}",
            {"authorization": f"Bearer {token}", "content-type": "application/json"},
            None if payload is None else json.dumps(payload),
        )

    def plugin(self, **changes):
        status, data = self.api("GET", "/filter-config")
        if status != 200:
            sys.exit(f"error: /filter-config answered {status}: {data[:500]!r}")
        plugin = json.loads(data)
        plugin["node_token"] = (self.directory / "node.token").read_text().strip()
        plugin["fingerprint_key"] = (self.directory / "fingerprint.key").read_text().strip()
        plugin.update(changes)
        return plugin


def both_builds(args):
    """The arguments for this build, and for the one to compare it with, by the prefix of its variants."""
    builds = {"": args}
    if args.before:
        files = {"chaperone": str(args.before / "chaperone"), "wasm": str(args.before / "chaperone_filter.wasm")}
        builds[BEFORE] = argparse.Namespace(**{**vars(args), **files})
    return builds


def shipped(args, processes, issuer, jwks):
    """What `chaperone dev` configures its Envoy with. It decides on headers, as the filter's own default does."""
    say("asking chaperone dev for Envoy's configuration")
    policy_file, ready_file = processes.directory / "dev.json", processes.directory / "dev-ready.json"
    policy_file.write_text(json.dumps(policy(issuer, jwks, 1, False)))
    dev = processes.start("dev", [
        args.chaperone, "dev", "--policy", str(policy_file), "--upstream", f"{CONNECTION}=http://127.0.0.1:9",
        "--envoy", args.envoy, "--wasm", args.wasm, "--profile", "headers", "--concurrency", "1",
        "--ready-file", str(ready_file),
    ])

    def ready():
        processes.check()
        return ready_file.exists()

    until("chaperone dev", ready)
    admin = json.loads(ready_file.read_text())["envoy_admin"]
    status, dump = request(int(admin.rsplit(":", 1)[1]), "GET", "/config_dump")
    if status != 200:
        sys.exit(f"error: Envoy's admin interface answered {status} to /config_dump: {dump[:300]!r}")
    processes.stop(dev)
    return config.Shipped(json.loads(dump), CONNECTION)


def start_variant(args, processes, template, name, filters, clusters):
    port, admin = free_ports(2)
    document = template.bootstrap(slug(name), port, admin, filters, clusters)
    return run_envoy(args, processes, name, document, admin, core=args.envoy_core), port, admin


def run_envoy(args, processes, name, document, admin, core, concurrency=1):
    path = processes.directory / f"{slug(name)}.json"
    path.write_text(json.dumps(document))
    process = processes.start(
        slug(name),
        [args.envoy, "-c", str(path), "--concurrency", str(concurrency), "--disable-hot-restart", "-l", "warn"],
        core,
    )

    def ready():
        processes.check()
        return request(admin, "GET", "/ready")[0] == 200

    until(f"Envoy ({name})", ready)
    return process


def throughput(args, processes, template, token, jwks, issuer):
    bodies = {f"/{size}": body(size) for size in SIZES.values()}
    upstream_port, upstream_admin = free_ports(2)
    run_envoy(args, processes, "upstream", template.upstream(upstream_port, upstream_admin, bodies),
              upstream_admin, core=args.load_core)

    planes = {
        "1 rule": policy(issuer, jwks, 1, False),
        "100 rules": policy(issuer, jwks, GROUPS, False),
        "masking": policy(issuer, jwks, GROUPS, True),
    }
    builds = both_builds(args)
    planes = {build + name: ControlPlane(one, processes, slug(build + name), document, args.load_core)
              for build, one in builds.items() for name, document in planes.items()}
    # The smallest queue, which is full at once and stays so: what is left is the cost without events.
    quiet = {"on_audit_full": "drop", "limits": {"audit_queue_bytes": 65536, "flush_ms": 10000}}

    # Variant, the policy that it runs, and what its filter is told besides.
    ladder = {
        "chaperone: identity": ("1 rule", quiet),
        "chaperone: + 100 rules": ("100 rules", quiet),
        # More events come about than the control plane stores beside the load on its core, and
        # `block` would refuse requests then; how many were dropped is reported.
        "chaperone: + events": ("100 rules", {"on_audit_full": "drop"}),
        # Bodies are masked, not recorded: 64 KB of every answer is more than any disk takes.
        "chaperone: + masking": ("masking", {"on_audit_full": "drop", "limits": {"record_body_bytes": 0}}),
    }

    def ours(build, plane, changes):
        plane = planes[build + plane]
        return [template.wasm(builds[build].wasm, plane.plugin(**changes))], {"control plane": plane.port}

    variants = {
        "bare Envoy": ([], {}),
        "empty wasm filter": ([template.wasm(args.empty_wasm)], {}),
        # Both builds of a variant one after the other: the same minute of the machine for both.
        **{build + name: ours(build, *how) for name, how in ladder.items() for build in builds},
        "jwt_authn + 100 RBAC policies": (
            [config.jwt_authn(issuer, ISSUER_AUDIENCE, json.dumps(jwks)), config.rbac(GROUPS)], {}),
        "Lua: token and 5 patterns": ([config.lua(token)], {}),
    }
    if args.variants:
        base = ("bare Envoy", "empty wasm filter")
        variants = {name: how for name, how in variants.items() if name in base or args.variants.search(name)}
    running = {}
    for name, (filters, clusters) in variants.items():
        say(f"starting {name}")
        clusters = {"upstream": upstream_port, **clusters}
        running[name] = start_variant(args, processes, template, name, filters, clusters)

    for name, (_, port, _) in running.items():
        for path in bodies:
            def answers(port=port, path=path):
                processes.check()
                status, said = request(port, "GET", path, {"authorization": f"Bearer {token}"})
                last[:] = status, said[:300]
                return status == 200
            last = []
            until(f"{name} to let a request through", answers, last)
        refused, _ = request(port, "GET", "/1024")
        if name != "bare Envoy" and name != "empty wasm filter" and refused not in (401, 403):
            sys.exit(f"error: {name} let a request without a token through ({refused})")

    samples = {(name, size): [] for name in running for size in SIZES}
    for process, _, _ in running.values():
        process.send_signal(signal.SIGSTOP)
    for number in range(args.rounds + 1):
        say("warming up" if number == 0 else f"round {number} of {args.rounds}")
        for name, (process, port, _) in running.items():
            process.send_signal(signal.SIGCONT)
            for size, length in SIZES.items():
                seconds = 1 if number == 0 else args.seconds
                sample = wrk(name, port, f"/{length}", token, seconds, args.connections, args.load_core)
                if number > 0:
                    samples[name, size].append(sample)
            processes.check()
            process.send_signal(signal.SIGSTOP)

    results = []
    for size in SIZES:
        medians = {name: [statistics.median(column) for column in zip(*samples[name, size])] for name in running}
        # Ratios round by round, then their median: a slow minute of the machine slows both sides.
        def ratio(name, other):
            pairs = zip(samples[name, size], samples[other, size])
            return statistics.median(a[0] / b[0] for a, b in pairs)
        for name, (rate, p50, p99) in medians.items():
            results.append({
                "body": size, "variant": name, "requests_per_second": round(rate), "p50_ms": round(p50, 3),
                "p99_ms": round(p99, 3), "of_bare": round(ratio(name, "bare Envoy"), 3),
                "of_empty_wasm": round(ratio(name, "empty wasm filter"), 3),
                **({"of_before": round(ratio(name, BEFORE + name), 3)} if BEFORE + name in running else {}),
            })
    for process, _, _ in running.values():
        process.send_signal(signal.SIGCONT)
    events = {name: events_of(admin) for name, (_, _, admin) in running.items()
              if name.endswith(("chaperone: + events", "chaperone: + masking"))}
    return results, events


def events_of(admin):
    """How many events there were, and how many of them found no room in the queue."""
    _, stats = request(admin, "GET", "/stats?filter=chaperone.events_")
    read = dict(line.rsplit(": ", 1) for line in stats.decode().splitlines())
    return {kind: int(read.get(f"wasmcustom.chaperone.events_{kind}", 0))
            for kind in ("recorded", "acknowledged", "dropped")}


def percentiles(values):
    ordered = sorted(values)
    return {
        "p50_ms": round(1000 * statistics.median(ordered), 1),
        "p99_ms": round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 1),
        "tries": len(ordered),
    }


def publish_to_enforced(args, processes, template, token, jwks, issuer):
    """From the answer to `publish` (the version is durable) to the first request decided by it, on an
    Envoy with two workers, the slower of the two."""
    upstream_port, upstream_admin = free_ports(2)
    run_envoy(args, processes, "upstream-2", template.upstream(upstream_port, upstream_admin, {"/x": "{}"}),
              upstream_admin, core=None)

    def document(number):
        document = policy(issuer, jwks, 1, False)
        document["rules"].append({"name": "closed", "match": {"paths": ["/x"]}, "effect": "deny",
                                  "reason": f"closed by try {number}"})
        return document

    plane = ControlPlane(args, processes, "publish", document(0), None)
    port, admin = free_ports(2)
    clusters = {"upstream": upstream_port, "control plane": plane.port}
    # Two workers between which connections are spread: every connection stays on the worker that took it.
    boot = template.bootstrap("publish", port, admin, [template.wasm(args.wasm, plane.plugin())], clusters)
    run_envoy(args, processes, "publish", boot, admin, core=None, concurrency=2)

    def ask(connection):
        connection.request("GET", "/x", headers={"authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        return json.loads(answer.read()).get("reason", "")

    until("the policy", lambda: request(port, "GET", "/x", {"authorization": f"Bearer {token}"})[0] == 403)
    # Enough connections that both workers have some; all of them must have seen the version.
    connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(8)]
    for connection in connections:
        until("the first policy on every worker", lambda c=connection: ask(c) == "closed by try 0")
    tries = []
    for number in range(1, args.tries + 1):
        status, data = plane.api("POST", "/policies", {"document": json.dumps(document(number))})
        start = time.monotonic()
        if status not in (200, 201):
            sys.exit(f"error: publish answered {status}: {data[:500]!r}")
        for connection in connections:
            while ask(connection) != f"closed by try {number}":
                if time.monotonic() - start > 10:
                    sys.exit(f"error: version of try {number} is not enforced after 10 s")
        tries.append(time.monotonic() - start)
    return percentiles(tries)


def decision_to_forwarded(args, processes, template, token, jwks, issuer):
    """From the answer to `approve` to the request's arrival at the upstream."""
    arrived = {}
    seen = threading.Condition()

    import http.server

    class Upstream(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            now = time.monotonic()
            self.rfile.read(int(self.headers.get("content-length", 0)))
            with seen:
                arrived[self.path] = now
                seen.notify_all()
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    document = policy(issuer, jwks, 1, False)
    document["rules"].append({
        "name": "ask", "match": {"methods": ["POST"]}, "effect": "approve",
        "approve": {"by": ["sre"], "hold": "60s", "expires": "1h", "grant": "once"}, "reason": "bench",
    })
    plane = ControlPlane(args, processes, "decide", document, None)
    port, admin = free_ports(2)
    clusters = {"upstream": server.server_address[1], "control plane": plane.port}
    boot = template.bootstrap("decide", port, admin, [template.wasm(args.wasm, plane.plugin())], clusters)
    run_envoy(args, processes, "decide", boot, admin, core=None)
    headers = {"authorization": f"Bearer {token}"}
    until("the policy", lambda: request(port, "GET", "/x", headers)[0] != 503)
    tries = []
    for number in range(args.tries):
        target = f"/ask/{number}"
        caller = threading.Thread(target=request, args=(port, "POST", target, headers, b""), daemon=True)
        caller.start()

        def pending():
            _, data = plane.api("GET", "/approvals?state=pending")
            items = json.loads(data)["items"]
            return items[0]["id"] if items else None

        approval = until("the approval", pending)
        status, data = plane.api("POST", f"/approvals/{approval}/approve", {})
        start = time.monotonic()
        if status != 200:
            sys.exit(f"error: approve answered {status}: {data[:500]!r}")
        with seen:
            if not seen.wait_for(lambda: target in arrived, 10):
                sys.exit("error: an approved request did not arrive in 10 s")
        tries.append(max(0.0, arrived[target] - start))
        caller.join(10)
    server.shutdown()
    return percentiles(tries)


def identity(args, directory):
    """A token, the keys that verify it, and its issuer."""
    # An issuer key of its own: the developer's stays as it is.
    os.environ["XDG_STATE_HOME"] = str(directory)
    dev = [args.chaperone, "dev", "token"]
    jwks = json.loads(subprocess.run([*dev, "--jwks"], capture_output=True, text=True, check=True).stdout)
    token = subprocess.run(
        [*dev, "--subject", "bench", "--groups", f"group-0,group-{GROUPS - 1}",
         "--claim", f'aud="{ISSUER_AUDIENCE}"', "--ttl", "12h"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return token, jwks, claims["iss"]


def table(results):
    for size in SIZES:
        print(f"\n{size} responses")
        compared = any("of_before" in row for row in results)
        print(f"  {'':32}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'of bare':>9}{'of empty':>10}"
              + (f"{'of before':>11}" if compared else ""))
        for row in results:
            if row["body"] == size:
                print(f"  {row['variant']:32}{row['requests_per_second']:>9}{row['p50_ms']:>9.2f}"
                      f"{row['p99_ms']:>9.2f}{row['of_bare']:>9.3f}{row['of_empty_wasm']:>10.3f}"
                      + (f"{row['of_before']:>11.3f}" if "of_before" in row else ""))


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the results there as JSON, too")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds of load per variant, size and round (default 3)")
    parser.add_argument("--connections", type=int, default=16, help="connections of the load generator (default 16)")
    parser.add_argument("--tries", type=int, default=50, help="tries of each latency measurement (default 50)")
    parser.add_argument("--before", metavar="DIR", type=Path,
                        help="measure another build as well, in the same rounds: DIR holds its chaperone and its "
                             "chaperone_filter.wasm, both built for release")
    parser.add_argument("--only", choices=["throughput", "latency"], help="one half of it")
    parser.add_argument("--variants", metavar="REGEX", type=re.compile,
                        help="only those whose names it finds, and the two that ratios are taken to")
    parser.add_argument("--envoy-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    for name in ("--envoy", "--wasm", "--empty-wasm", "--chaperone"):
        parser.add_argument(name, required=True, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        sys.exit("error: this needs two cores, one for Envoy and one for the load")

    with tempfile.TemporaryDirectory(prefix="chaperone-bench-") as directory:
        processes = Processes(Path(directory))
        token, jwks, issuer = identity(args, directory)
        report = {"machine": {"cores": os.cpu_count()}, "rounds": args.rounds, "seconds": args.seconds}
        try:
            template = shipped(args, processes, issuer, jwks)
            if args.only != "latency":
                report["throughput"], report["events"] = throughput(args, processes, template, token, jwks, issuer)
                table(report["throughput"])
                print()
                for name, events in report["events"].items():
                    print(f"  {name}: {events['recorded']} events queued, {events['acknowledged']} stored "
                          f"by the end, {events['dropped']} dropped")
            processes.end()
            processes.running.clear()
            if args.only != "throughput":
                print()
                for measure in (publish_to_enforced, decision_to_forwarded):
                    for build, one in both_builds(args).items():
                        row = measure(one, processes, template, token, jwks, issuer)
                        name = build + measure.__name__.replace("_", " ")
                        report[name] = row
                        print(f"{name:32} p50 {row['p50_ms']} ms, p99 {row['p99_ms']} ms over {row['tries']} tries")
                        processes.end()
                        processes.running.clear()
        finally:
            processes.end()
    if args.json:
        Path(args.json).write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

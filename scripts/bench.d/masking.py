"""What masking costs: speed natively and inside of Envoy's V8, memory, and what a streamed token waits.

The same cells are measured natively and in V8: a format, a set of rules, clean or dense text, a size of
chunks. Rounds are interleaved and medians reported. Beside them, in the same run, what one would do instead:
each rule in turn with the `regex` crate, and keywords first, then the rules whose keyword occurs.
The last part sends tokens through two real Envoys, one bare and one with the filter.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import bench
import envoy as config

FORMATS = [("text", "text/plain"), ("json", "application/json"), ("sse", "text/event-stream"),
           # Source as text, JSON whose strings are escaped source, an answer that is mostly base64.
           ("code", "text/plain"), ("json-code", "application/json"), ("json-base64", "application/json"),
           # A document in a string of another one.
           ("json-json", "application/json"),
           # Besides chat completions: the Responses API, whose events differ in numbers and padding, and messages.
           ("sse-responses", "text/event-stream"), ("sse-messages", "text/event-stream")]
TARGETS = {
    ("text", "default"): 1000, ("text", "all rules"): 400,
    ("json", "default"): 300, ("sse", "default"): 150,
}


def rules(args):
    """The rules of a gitleaks configuration, as detectors of a policy."""
    command = [args.chaperone, "detectors", "import", args.rules, "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"error: the rules cannot be read: {done.stderr}")
    return json.loads(done.stdout)["detectors"]


def order(args, detectors):
    counts = sorted({min(n, len(detectors)) for n in (30, 100, len(detectors))})
    return {
        "rounds": args.rounds, "milliseconds": args.milliseconds, "rules": detectors, "counts": counts,
        "formats": FORMATS, "chunks": [100, 4096, 65536], "rivals": not args.no_rivals,
    }


def natively(args, given):
    bench.say("measuring natively")
    done = subprocess.run(
        ["taskset", "-c", str(args.envoy_core), args.native],
        input=json.dumps(given), capture_output=True, text=True,
    )
    if done.returncode != 0:
        sys.exit(f"error: the native measurement failed:\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def in_v8(args, processes, template, given):
    """In a VM of its own on Envoy's main thread, so that nothing else runs in it."""
    bench.say("measuring inside of Envoy's V8")
    _, admin = bench.free_ports(2)
    plugin = template.wasm(args.bench_wasm, given)["typed_config"]["config"]
    document = {
        "admin": {"address": config.address(admin)},
        "bootstrap_extensions": [{
            "name": "envoy.bootstrap.wasm",
            "typed_config": {"@type": config.TYPE + "extensions.wasm.v3.WasmService",
                             "singleton": True, "config": plugin},
        }],
    }
    path = processes.directory / "v8.json"
    path.write_text(json.dumps(document))
    process = processes.start(
        "v8", [args.envoy, "-c", str(path), "--concurrency", "1", "--disable-hot-restart", "-l", "warn"],
        args.envoy_core,
    )
    log = processes.directory / "v8.log"
    while True:
        time.sleep(0.5)
        text = log.read_text(errors="replace")
        if "BENCH failed" in text or process.poll() is not None:
            sys.exit(f"error: the measurement in V8 failed:\n{text[-2000:]}")
        if "BENCH done" in text:
            break
    process.terminate()
    process.wait(10)
    processes.running = [(n, p) for n, p in processes.running if p is not process]
    found = (line.partition("BENCH {") for line in text.splitlines() if "BENCH {" in line)
    return [json.loads("{" + rest) for _, _, rest in found]


class Tokens:
    """An upstream that streams words as a model does, so many a second, for so many seconds."""

    def __init__(self, per_second, seconds):
        self.gap, self.count = 1 / per_second, int(per_second * seconds)
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve(ready)), daemon=True).start()
        ready.wait()

    async def serve(self, ready):
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        async with server:
            await server.serve_forever()

    async def answer(self, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        words = "The function reads every token of the key and checks the secret path of the password file .".split()
        for number in range(self.count):
            delta = {"id": "c", "object": "chat.completion.chunk", "choices": [
                {"index": 0, "delta": {"content": words[number % len(words)] + " "}, "finish_reason": None}],
                "sent": time.monotonic()}
            writer.write(f"data: {json.dumps(delta)}\n\n".encode())
            await writer.drain()
            await asyncio.sleep(self.gap)
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()
        writer.close()


async def stream(port, token):
    """One answer: seconds from each token's sending to its arrival, and the gaps between arrivals."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /tokens HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\r\n".encode())
    began, first, delays, arrivals = time.monotonic(), None, [], []
    status = await reader.readline()
    if b" 200 " not in status:
        sys.exit(f"error: the stream was answered {status!r}")
    # The connection stays open after the answer.
    while (line := await reader.readline()) and not line.startswith(b"data: [DONE]"):
        # Without chunk sizes and separators: events only.
        if line.startswith(b"data: {"):
            now = time.monotonic()
            first = first or now - began
            delays.append(now - json.loads(line[6:])["sent"])
            arrivals.append(now)
    writer.close()
    if not line:
        sys.exit("error: a stream ended before its last event")
    gaps = [b - a for a, b in zip(arrivals, arrivals[1:])]
    return first, delays, gaps


def tokens(args, processes, template, token, jwks, issuer):
    """What a token waits: tokens at 50 a second through a bare Envoy and through the gate, in turns."""
    upstream = Tokens(50, args.stream_seconds)
    plane = bench.ControlPlane(args, processes, "tokens", bench.policy(issuer, jwks, 1, True), args.load_core)
    variants = {
        "bare Envoy": ([], {}),
        "chaperone": ([template.wasm(args.wasm, plane.plugin(on_audit_full="drop"))], {"control plane": plane.port}),
    }
    ports = {}
    for name, (filters, clusters) in variants.items():
        clusters = {"upstream": upstream.port, **clusters}
        _, ports[name], _ = bench.start_variant(args, processes, template, f"tokens {name}", filters, clusters)
    auth = {"authorization": f"Bearer {token}"}
    for name, port in ports.items():
        bench.until(name, lambda p=port: bench.request(p, "GET", "/tokens", auth)[0] == 200)
    seen = {name: ([], [], []) for name in ports}
    for number in range(args.stream_rounds):
        bench.say(f"streams, round {number + 1} of {args.stream_rounds}")
        for name, port in ports.items():
            async def some(port=port):
                return await asyncio.gather(*(stream(port, token) for _ in range(args.streams)))
            for first, delays, gaps in asyncio.run(some()):
                seen[name][0].append(first)
                seen[name][1].extend(delays)
                seen[name][2].append(max(gaps))
    ms = lambda seconds: round(1000 * seconds, 3)
    result = {}
    for name, (first, delays, longest) in seen.items():
        ordered = sorted(delays)
        result[name] = {
            "first_token_ms": ms(statistics.median(first)), "token_p50_ms": ms(statistics.median(ordered)),
            "token_p99_ms": ms(ordered[int(len(ordered) * 0.99)]),
            "longest_gap_ms": ms(statistics.median(longest)), "tokens": len(ordered),
        }
    return result


def tables(native, v8, waits):
    def cells(results):
        return {(r["way"], r["format"], r["set"], r["text"], r["chunk"]): r for r in results if r["kind"] == "speed"}

    n, v = cells(native), cells(v8)
    lines = ["| way | format | rules | text | chunk | native MB/s | V8 MB/s | found |", "|---|---|---|---|---|---|---|---|"]
    for key in n:
        mine, theirs = n[key], v.get(key, {"mb_per_s": 0})
        lines.append("| " + " | ".join(map(str, key[:5])) +
                     f" | {mine['mb_per_s']:.1f} | {theirs['mb_per_s']:.1f} | {mine['found']} |")
    lines += ["", "| rules | detectors | compiled KiB | grown in V8, KiB | compile ms native | in V8 |", "|---|---|---|---|---|---|"]
    theirs = {r["set"]: r for r in v8 if r["kind"] == "rules"}
    for r in native:
        if r["kind"] == "rules":
            o = theirs[r["set"]]
            lines.append(f"| {r['set']} | {r['detectors']} | {r['bytes'] >> 10} | {o['grown'] >> 10} | "
                         f"{r['compile_ms']:.0f} | {o['compile_ms']:.0f} |")
    lines += ["", "| a stream in V8 | bytes while nothing is held | held |", "|---|---|---|"]
    for r in v8:
        if r["kind"] == "stream":
            lines.append(f"| {r['format']} | {r['bytes']} | {r['held']} |")
    if waits:
        lines += ["", "| 50 tokens a second | first token ms | token p50 ms | p99 ms | longest gap ms | tokens |", "|---|---|---|---|---|---|"]
        for name, w in waits.items():
            lines.append(f"| {name} | {w['first_token_ms']} | {w['token_p50_ms']} | {w['token_p99_ms']} | {w['longest_gap_ms']} | {w['tokens']} |")
    largest = max((r["set"] for r in v8 if r["kind"] == "rules" and r["set"] != "default"),
                  key=lambda s: int(s.split()[0]), default=None)
    lines.append("")
    for (format, rules), target in TARGETS.items():
        name = largest if rules == "all rules" else rules
        r = v.get(("chaperone", format, name, "clean", 65536))
        if r:
            verdict = "met" if r["mb_per_s"] >= target else "MISSED"
            lines.append(f"target in V8, clean {format}, {name}, 64 KB chunks: {target} MB/s: {r['mb_per_s']:.0f}, {verdict}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench masking", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envoy", required=True)
    parser.add_argument("--wasm", required=True)
    parser.add_argument("--bench-wasm", required=True)
    parser.add_argument("--native", required=True)
    parser.add_argument("--chaperone", required=True)
    parser.add_argument("--rules", required=True, help="a gitleaks configuration (default: the public one)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--milliseconds", type=int, default=60, help="least time of one measurement")
    parser.add_argument("--streams", type=int, default=10, help="streams at a time")
    parser.add_argument("--stream-rounds", type=int, default=3)
    parser.add_argument("--stream-seconds", type=float, default=4)
    parser.add_argument("--no-rivals", action="store_true", help="without the two other ways")
    parser.add_argument("--no-streams", action="store_true", help="without what a token waits")
    parser.add_argument("--envoy-core", type=int, default=1)
    parser.add_argument("--load-core", type=int, default=0)
    parser.add_argument("--json", help="also write the results there")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="chaperone-bench-") as directory:
        processes = bench.Processes(Path(directory))
        try:
            given = order(args, rules(args))
            native = natively(args, given)
            token, jwks, issuer = bench.identity(args, directory)
            template = bench.shipped(args, processes, issuer, jwks)
            v8 = in_v8(args, processes, template, given)
            waits = {}
            if not args.no_streams:
                waits = tokens(args, processes, template, token, jwks, issuer)
        finally:
            processes.end()
    print(tables(native, v8, waits))
    if args.json:
        Path(args.json).write_text(json.dumps({"native": native, "v8": v8, "waits": waits}, indent=1))


if __name__ == "__main__":
    main()

"""Bodies that are larger than they look, and requests that wait for their answer before they end."""

import contextlib
import random
import re
import socket
import struct
import threading
import time
import zlib

import h2
from callers import Good, code_of
from gate import Gate
from run import MEGABYTE, drill

STREAMS = 40
PLAIN = 60 * MEGABYTE
# The memory that Envoy may take for them, beyond that of its start.
ENVOY = 512 * MEGABYTE


def long_body():
    """Prose of 60 MB that gzip makes about 210 times smaller: under the limit of 256, over which it
    is refused as a bomb."""
    words = ["account", "before", "change", "deploy", "every", "file", "group", "header", "issue", "later"]
    chance = random.Random(8)
    pieces, size = [], 0
    while size < PLAIN:
        line = " ".join(chance.choice(words) for _ in range(6)) + "\n"
        piece = (line * (5200 // len(line))).encode()
        pieces.append(piece)
        size += len(piece)
    plain = b"".join(pieces)[:PLAIN]
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = packer.compress(plain) + packer.flush()
    return plain, packed


class Upstream(threading.Thread):
    """Answers each connection with a function of (socket, head), a thread each."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, one):
        with one, contextlib.suppress(OSError):
            one.settimeout(60)
            while True:
                head, rest = read_head(one)
                if head is None:
                    return
                if head.startswith(b"GET /plain/first") or head.startswith((b"GET /plain/", b"GET /recorded/")) and b"drill: 1" not in head:
                    one.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine")
                    continue
                self.answer(one, head, rest)
                return

    def stop(self):
        self.listener.close()


def read_head(one):
    got = b""
    while b"\r\n\r\n" not in got:
        more = one.recv(65536)
        if not more:
            return None, b""
        got += more
    head, _, rest = got.partition(b"\r\n\r\n")
    return head, rest


class Chunked:
    """Reads a body of HTTP/1.1 from a socket and compares it with the body that was sent."""

    def __init__(self, one, head, rest):
        self.one, self.buffer = one, rest
        found = re.search(rb"content-length: (\d+)", head.lower())
        self.length = int(found.group(1)) if found else None
        self.seen, self.ended = 0, False

    def compare(self, plain):
        """Whether everything that came was a beginning of `plain`; `ended` says whether it was all."""
        view, good, left, first = memoryview(plain), True, 0, True
        while True:
            if self.length is not None:
                piece, self.buffer = self.buffer[: self.length - self.seen], b""
                good &= piece == view[self.seen: self.seen + len(piece)]
                self.seen += len(piece)
                if self.seen >= self.length:
                    self.ended = True
                    return good
            else:
                while self.buffer:
                    if left == 0:
                        start = 0 if first else 2
                        line = self.buffer.find(b"\r\n", start)
                        if line < 0:
                            break
                        left = int(self.buffer[start:line].split(b";")[0], 16)
                        self.buffer, first = self.buffer[line + 2:], False
                        if left == 0:
                            self.ended = True
                            return good
                    piece, self.buffer = self.buffer[:left], self.buffer[left:]
                    good &= piece == view[self.seen: self.seen + len(piece)]
                    self.seen += len(piece)
                    left -= len(piece)
            more = self.one.recv(1 << 18)
            if not more:
                return good
            self.buffer += more


def gzip_drill(run, from_agent):
    plain, packed = long_body()
    run.say(f"{STREAMS} streams of {len(packed) >> 10} KiB that become {len(plain) >> 20} MiB, {len(plain) // len(packed)} times as long")
    go_on = threading.Event()
    outcome = {"whole": 0, "changed": 0, "cut off": 0}
    lock, over = threading.Lock(), threading.Event()

    def count(name):
        with lock:
            # A body that ends because the drill does says nothing, unless bytes were wrong before.
            name = name if name == "changed" or not over.is_set() else "unfinished"
            outcome[name] = outcome.get(name, 0) + 1

    def receive(one, head, rest):
        body = Chunked(one, head, rest)
        # At first nobody takes anything: decoded bytes have to wait somewhere.
        go_on.wait(60)
        same = body.compare(plain)
        return "changed" if not same else "whole" if body.ended and body.seen == len(plain) else "cut off"

    def answer(one, head, rest):
        if from_agent:
            with contextlib.suppress(OSError):
                count(receive(one, head, rest))
            one.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        else:
            one.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-encoding: gzip\r\n"
                        b"content-length: %d\r\n\r\n" % len(packed))
            one.sendall(packed)

    upstream = Upstream(answer)
    with Gate(run, upstream=upstream.port) as gate:
        good = Good(gate, count=2)
        time.sleep(1)
        before = gate.envoy.peak_memory()
        token = gate.bearer("alice")["authorization"]
        run.load_begins(gate)
        sockets = []

        def agent():
            one = socket.create_connection(("127.0.0.1", gate.envoy_port))
            sockets.append(one)
            head = f"{'POST' if from_agent else 'GET'} /plain/body HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: {token}\r\ndrill: 1\r\n"
            with contextlib.suppress(OSError):
                one.settimeout(60)
                if from_agent:
                    one.sendall(head.encode() + b"content-type: text/plain\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed))
                    one.sendall(packed)
                else:
                    one.sendall(head.encode() + b"\r\n")
                    # Takes the head, and nothing more at first.
                    go_on.wait(60)
                answered, rest = read_head(one)
                if answered is None:
                    # Nothing of an answer has come: for a request that is silence, for an answer one way to break off.
                    count("no answer" if from_agent else "cut off at once")
                    return
                status = answered.split()[1].decode()
                if status != "200":
                    body = rest
                    with contextlib.suppress(OSError):
                        one.settimeout(1)
                        body += one.recv(65536)
                    count(code_of(int(status), body))
                elif not from_agent:
                    count(receive(one, answered, rest))

        agents = [threading.Thread(target=agent, daemon=True) for _ in range(STREAMS)]
        for thread in agents:
            thread.start()
        time.sleep(run.seconds)
        go_on.set()
        end = time.monotonic() + 2 * run.seconds
        for thread in agents:
            thread.join(max(0, end - time.monotonic()))
        # The memory has had its peak; a short run does not wait for gigabytes to be read.
        over.set()
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in agents:
            thread.join(10)
        run.load_ends(gate)
        good.stop()
        peak = gate.envoy.peak_memory()
        run.note(envoy_before_bytes=before, bodies=outcome)
        run.say(f"Envoy took {(peak - before) >> 20} MiB for them (from {before >> 20} MiB); {outcome}")
        run.bound(peak - before < ENVOY, f"Envoy takes less than {ENVOY >> 20} MiB for {STREAMS} such bodies",
                  f"{(peak - before) >> 20} MiB")
        run.bound(outcome["changed"] == 0, "no body arrives otherwise than it was sent", outcome)
        # An answer may also break off: its headers, and a part of it, have left when there is no room for the rest.
        ends = ("whole", "changed", "cut off", "unfinished", "413 " if from_agent else "502 ")
        odd = {name: number for name, number in outcome.items() if number and not name.startswith(ends)}
        run.bound(not odd, f"a body that is not let through is refused with {'413' if from_agent else '502'} and a code, or breaks off", odd)
        run.close(gate, good)
    upstream.stop()


@drill("gzip-request", f"{STREAMS} requests of 280 KB that become 60 MB, to an upstream that reads late", shortest=4)
def gzip_request(run):
    gzip_drill(run, True)


@drill("gzip-response", f"{STREAMS} answers of 280 KB that become 60 MB, to agents that read late", shortest=4)
def gzip_response(run):
    gzip_drill(run, False)


@drill("stream", "requests under `audit: required` that send one chunk and wait for an answer before they go on")
def stream(run):
    def answer(one, head, rest):
        """Says 200 at the headers, then sends back each chunk as it comes."""
        one.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        buffer = rest
        while True:
            while b"\r\n" in buffer:
                size, _, after = buffer.partition(b"\r\n")
                length = int(size, 16)
                if len(after) < length + 2:
                    break
                chunk, buffer = after[:length], after[length + 2:]
                one.sendall(b"%x\r\n%s\r\n" % (length, chunk))
                if length == 0:
                    return
            more = one.recv(65536)
            if not more:
                return
            buffer += more

    def one_stream(gate, token, trailers):
        with socket.create_connection(("127.0.0.1", gate.envoy_port), timeout=5) as one:
            head = f"POST /recorded/stream HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: {token}\r\ndrill: 1\r\n"
            head += "te: trailers\r\ntrailer: x-sum\r\n" if trailers else ""
            one.sendall(f"{head}transfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n".encode())
            answered, got = read_head(one)
            if answered is None or b" 200 " not in answered.split(b"\r\n")[0]:
                return (answered or b"closed").split(b"\r\n")[0].decode()
            for number in range(3):
                while f"chunk{number}".encode() not in got if number else b"first" not in got:
                    got += one.recv(65536) or b""
                one.sendall(f"6\r\nchunk{number + 1}\r\n".encode())
            one.sendall(b"0\r\nx-sum: 1\r\n\r\n" if trailers else b"0\r\n\r\n")
            while b"0\r\n\r\n" not in got:
                more = one.recv(65536)
                if not more:
                    return "the answer breaks off"
                got += more
            return "whole" if b"chunk3" in got else "bytes are missing"

    def one_h2_stream(gate, token, grpc):
        fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"127.0.0.1"), (b":path", b"/recorded/stream"),
                  (b"authorization", token.encode()), (b"drill", b"1"), (b"te", b"trailers"),
                  (b"content-type", b"application/grpc" if grpc else b"application/octet-stream")]

        def message(text):
            return struct.pack(">BI", 0, len(text)) + text if grpc else text

        with contextlib.closing(h2.Stream(gate.envoy_port, fields)) as one:
            one.send(message(b"first"))
            for wanted, then in ((b"first", b"chunk1"), (b"chunk1", b"chunk2"), (b"chunk2", b"chunk3")):
                while wanted not in one.body:
                    if one.status not in (None, 200) or not one.read():
                        return f"status {one.status}"
                one.send(message(then), last=then == b"chunk3")
            while not one.ended:
                if not one.read():
                    return "the answer breaks off"
            return "whole" if b"chunk3" in one.body else "bytes are missing"

    upstream = Upstream(answer)
    with Gate(run, upstream=upstream.port) as gate:
        good = Good(gate)
        said = {}
        run.load_begins(gate)
        token, end = gate.bearer("alice")["authorization"], time.monotonic() + run.seconds
        lock = threading.Lock()

        kinds = {
            "HTTP/1.1": lambda: one_stream(gate, token, False),
            "HTTP/1.1 with trailers": lambda: one_stream(gate, token, True),
            "HTTP/2": lambda: one_h2_stream(gate, token, False),
            "gRPC": lambda: one_h2_stream(gate, token, True),
        }

        def streams(name):
            while time.monotonic() < end:
                try:
                    result = kinds[name]()
                except TimeoutError:
                    result = "nothing comes for 5 s"
                except OSError as error:
                    result = type(error).__name__
                with lock:
                    said[f"{name}: {result}"] = said.get(f"{name}: {result}", 0) + 1

        threads = [threading.Thread(target=streams, args=(name,), daemon=True) for name in kinds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(run.seconds + 30)
        run.load_ends(gate)
        good.stop()
        run.note(streams=said)
        run.say(f"{said}")
        run.bound(all(kind.endswith(": whole") for kind in said) and len(said) == len(kinds), "each of them gets its answer and all of its bytes", said)
        run.close(gate, good, recorded_may_fail=False)
    upstream.stop()

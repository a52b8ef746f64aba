"""Agents: good ones, who send a request now and then and are told if one was refused, and a flood."""

import contextlib
import http.client
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Good:
    """Good callers, each a subject of its own with a connection of its own.

    Half of them ask for `/plain/…`, which is recorded besides, half for `/recorded/…`, which has to be
    recorded first (`audit: required`). Each path is asked for once, so that the trail can be searched
    for those that got an answer."""

    def __init__(self, gate, count=4, pause=0.05, timeout=20):
        self.gate, self.pause, self.timeout = gate, pause, timeout
        self.lock = threading.Lock()
        self.sent = {"plain": 0, "recorded": 0}
        self.refused = {"plain": {}, "recorded": {}}
        self.passed = []
        self.slowest = 0.0
        self.over = threading.Event()
        self.threads, self.kinds = [], []
        for number in range(count):
            kind = "recorded" if number % 2 else "plain"
            self.kinds.append(kind)
            # Tokens are made before anything is measured: making one starts a process.
            headers = gate.bearer(f"good-{number}")
            self.threads.append(threading.Thread(target=self._send, args=(kind, number, headers), daemon=True))
        gate.at_end.append(self.over.set)
        for thread in self.threads:
            thread.start()

    def _send(self, kind, caller, headers):
        connection, number = None, 0
        while not self.over.is_set():
            number += 1
            path = f"/{kind}/{caller}-{number}"
            began = time.monotonic()
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.gate.envoy_port, timeout=self.timeout)
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                body = answer.read()
                result = None if answer.status == 200 else code_of(answer.status, body)
            except (OSError, http.client.HTTPException) as error:
                result = f"no answer ({type(error).__name__})"
                with contextlib.suppress(OSError, AttributeError):
                    connection.close()
                connection = None
            with self.lock:
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.sent[kind] += 1
                if result is None:
                    self.passed.append(path)
                else:
                    self.refused[kind][result] = self.refused[kind].get(result, 0) + 1
            self.over.wait(self.pause)

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(self.timeout + 5)
        return self

    def count_refused(self, kind=None):
        with self.lock:
            return sum(sum(codes.values()) for name, codes in self.refused.items() if kind in (None, name))

    def count(self, kind):
        """How many callers ask for this."""
        return self.kinds.count(kind)

    def snapshot(self):
        """Passed so far, by kind: to see whether they pass again after something."""
        with self.lock:
            return {kind: sum(path.startswith(f"/{kind}/") for path in self.passed) for kind in self.sent}


def code_of(status, body):
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return f"{status} {json.loads(body)['code']}"
    return str(status)


class Flood:
    """The process of `flood.py`."""

    def __init__(self, port, request, seconds, connections=16):
        self.process = subprocess.Popen([sys.executable, str(HERE / "flood.py")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        plan = {"port": port, "request": request, "seconds": seconds, "connections": connections}
        self.process.stdin.write(json.dumps(plan))
        self.process.stdin.close()
        self.seconds = seconds

    def result(self):
        out = self.process.stdout.read()
        self.process.wait(30)
        got = json.loads(out) if out else {"answered": 0, "by_status": {}, "codes": {}, "broken": 0}
        got["per_second"] = round(got["answered"] / self.seconds)
        return got


def http_request(method, path, headers=None, body=""):
    """A request as bytes, for a flood."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method == "POST":
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines) + "\r\n\r\n" + body

"""The gate that is drilled: a control plane (`chaperone serve`) and an Envoy with the filter and the configuration
that ships, each a process of its own, and the books of both: events recorded, acknowledged, stored."""

import base64
import contextlib
import http.client
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from processes import DrillError, Every, Process, free_ports, until

sys.path.append(str(Path(__file__).resolve().parent.parent / "bench.d"))
import envoy as config  # noqa: E402

CONNECTION = "api"
AUDIENCE = "drills"
# Where the upstream answers with 32 KB, which are recorded.
LARGE = "/plain/large"
WORKERS = 2
# As long as a queue may need to be emptied into a control plane that is built for debugging.
SETTLED = 30


def request(port, method, path, headers=None, body=None, timeout=30):
    """Status, headers and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


class Issuer:
    """Tokens of agents, and the key set that verifies them."""

    def __init__(self, chaperone, directory):
        # A key of its own: the developer's stays as it is.
        self.env = {"XDG_STATE_HOME": str(directory)}
        self.command = [chaperone, "dev", "token"]
        self.jwks = json.loads(self._run("--jwks"))
        self.tokens = {}
        token = self.token("alice")
        self.name = json.loads(_decoded(token.split(".")[1]))["iss"]

    def token(self, subject, groups="agents"):
        """Good ones, whatever the clock says: from 1970 until in three months."""
        if (subject, groups) not in self.tokens:
            self.tokens[subject, groups] = self._run(
                "--subject", subject, "--groups", groups, "--claim", f'aud="{AUDIENCE}"', "--claim", "iat=0", "--claim", "nbf=0",
                "--ttl", "90d").strip()
        return self.tokens[subject, groups]

    def _run(self, *arguments):
        done = subprocess.run([*self.command, *arguments], capture_output=True, text=True, env={**os.environ, **self.env})
        if done.returncode != 0:
            raise DrillError(f"chaperone dev token: {done.stderr.strip()}")
        return done.stdout


def _decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def policy(issuer):
    """Everything that drills ask for. The last rule is there to be changed by `Gate.publish`."""
    def rule(name, paths, **rest):
        return {"name": name, "match": {"groups": ["agents"], "paths": paths}, **rest}

    def ask(hold):
        return {"effect": "approve", "approve": {"by": ["sre"], "hold": hold, "expires": "10m", "grant": "once"},
                "reason": "Somebody has to look."}

    return {
        "apiVersion": "chaperone/v1",
        "issuers": [{"issuer": issuer.name, "audiences": [AUDIENCE], "jwks": issuer.jwks}],
        "connections": [{"name": CONNECTION, "hosts": ["127.0.0.1"], "protocol": "http"}],
        "rules": [
            rule("plain", ["/plain/**"], effect="allow"),
            rule("recorded", ["/recorded/**"], effect="allow", audit="required"),
            rule("held", ["/held/**"], **ask("20s")),
            rule("ticket", ["/ticket/**"], **ask("0s")),
        ],
        "masking": [{"name": "secrets", "detectors": ["secrets/*"], "on": ["request", "response"], "action": "mask"}],
    }


class Books:
    """How many events were recorded, acknowledged and stored, once nothing moves any more."""

    def __init__(self, recorded, acknowledged, dropped):
        self.recorded, self.acknowledged, self.dropped = recorded, acknowledged, dropped
        self.stored = self.doubled = self.gaps = 0
        self.paths = set()
        self.trouble = None

    def read(self, database):
        """From the database, whose control plane has ended."""
        try:
            with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
                one = lambda sql: db.execute(sql).fetchone()[0]  # noqa: E731
                self.stored = one("SELECT count(*) FROM (SELECT DISTINCT n.boot, e.seq FROM events e JOIN nodes n ON n.id = e.node)")
                # A record has each of these steps once; an event that came in twice under two numbers shows here.
                self.doubled = one("SELECT count(*) FROM events") - self.stored + one(
                    "SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM events "
                    "WHERE json_extract(json, '$.stage') IN ('received', 'decided', 'forwarded', 'completed') "
                    "GROUP BY record, json_extract(json, '$.stage') HAVING count(*) > 1)")
                self.gaps = one("SELECT coalesce(sum(last - first + 1), 0) FROM gaps")
                self.paths = {path for (path,) in db.execute("SELECT path FROM records WHERE path IS NOT NULL")}
                check = one("PRAGMA quick_check")
                if check != "ok":
                    self.trouble = f"the database is damaged: {check}"
        except sqlite3.Error as error:
            self.trouble = f"the database cannot be read: {error}"
        return self

    @property
    def lost(self):
        """Acknowledged, and not there."""
        return max(0, self.acknowledged - self.stored, self.gaps)


class Gate:
    """Starts at once; `with` ends it."""

    def __init__(self, run, *, data=None, upstream=None, serve_env=None, serve_limits=None, serve_log=None, envoy_env=None,
                 filter=None, workers=WORKERS):
        self.run, self.parts = run, run.parts
        self.directory = run.directory
        self.data = Path(data or run.directory / "data")
        self.serve_env, self.serve_limits, self.serve_log = serve_env, serve_limits, serve_log
        self.envoy_env = envoy_env
        self.port, self.envoy_port, self.admin = free_ports(3)
        self.control_plane = self.envoy = None
        self.peaks = {"envoy": 0, "control plane": 0}
        self.sampler = None
        # Everything else that runs beside it, and has to stop when a drill breaks off in its middle.
        self.at_end = []
        try:
            self.start_control_plane()
            self.publish(policy(run.parts.issuer))
            self._start_envoy(upstream or run.parts.upstream_port, workers, filter or {})
            self.sampler = Every(0.2, self._sample)
        except BaseException:
            self.end()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        for stop in self.at_end:
            stop()
        if self.sampler:
            self.sampler.stop()
            self.sampler = None
        for process in (self.envoy, self.control_plane):
            if process:
                process.stop(5)

    def _sample(self):
        for name, process in (("envoy", self.envoy), ("control plane", self.control_plane)):
            if process:
                self.peaks[name] = max(self.peaks[name], process.peak_memory())

    # --- the control plane

    def start_control_plane(self, seconds=30, ready=True, arguments=()):
        """Whether it is there; without `ready`, whether it answers at all."""
        self.control_plane = Process(
            "the control plane",
            [self.parts.chaperone, "serve", "--data-dir", str(self.data), "--listen", f"127.0.0.1:{self.port}", *arguments],
            self.serve_log or self.directory / "control-plane.log", self.serve_env, self.serve_limits,
            piped=self.serve_log is None,
        )

        def answers():
            self.control_plane.check()
            return self.probe("/readyz" if ready else "/healthz") == 200

        until("the control plane to be ready", answers, seconds)

    def kill_control_plane(self):
        self._sample()
        self.control_plane.kill()

    def restart_control_plane(self, arguments=()):
        self._sample()
        self.control_plane.stop()
        self.start_control_plane(arguments=arguments)

    def probe(self, path="/readyz", timeout=5):
        """The status of a call that needs no token; 0 when there is no answer."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return request(self.port, "GET", path, timeout=timeout)[0]
        return 0

    def secret(self, name):
        return (self.data / name).read_text().strip()

    def api(self, method, path, body=None, timeout=30, token=None):
        """Status and JSON of a call of the management API; 0 and a text when there is no answer."""
        headers = {"authorization": f"Bearer {token or self.admin_token}", "content-type": "application/json"}
        try:
            status, _, data = request(self.port, method, f"/api/v1{path}", headers,
                                      None if body is None else json.dumps(body), timeout)
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)
        try:
            return status, json.loads(data)
        except ValueError:
            return status, data.decode(errors="replace")

    def publish(self, document):
        # Kept: the file may be out of reach when a drill wants it.
        self.admin_token = self.secret("admin.token")
        status, said = self.api("POST", "/policies", {"document": json.dumps(document)})
        if status not in (200, 201):
            raise DrillError(f"publish: {status} {said}")

    # --- Envoy

    def publish_waits(self, document, seconds):
        """Runs `policy publish --wait`: `None` when it is enforced everywhere, a sentence when it is not."""
        file = self.directory / "another.json"
        file.write_text(json.dumps(document))
        try:
            done = subprocess.run(
                [self.parts.chaperone, "policy", "publish", str(file), "--wait", "--server", f"http://127.0.0.1:{self.port}",
                 "--token-file", str(self.data / "admin.token")], capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            return "it still waits"
        return None if done.returncode == 0 else done.stderr.strip()[-300:]

    def restart_envoy(self):
        """The same Envoy, with the same configuration and ports, after it has ended."""
        self._sample()
        self.envoy = self.parts.start_envoy("envoy", self.document, self.admin, self.workers, self.directory, self.envoy_env)

    def _start_envoy(self, upstream, workers, settings):
        status, plugin = self.api("GET", "/filter-config?profile=body&bundle=true")
        if status != 200:
            raise DrillError(f"/filter-config: {status} {plugin}")
        plugin["node_token"], plugin["fingerprint_key"] = self.secret("node.token"), self.secret("fingerprint.key")
        plugin["connection_from_route"] = True
        plugin.update(settings)
        template = self.parts.template
        document = template.bootstrap(
            "drill", self.envoy_port, self.admin, [template.wasm(self.parts.wasm, plugin)],
            {"upstream": upstream, "control plane": self.port})
        self.document, self.workers = document, workers
        self.envoy = self.parts.start_envoy("envoy", document, self.admin, workers, self.directory, self.envoy_env)
        alice = self.bearer("alice")
        until("the gate to let a request through",
              lambda: request(self.envoy_port, "GET", "/plain/first", alice)[0] == 200 if self._is_up() else None, 60)

    def _is_up(self):
        self.envoy.check()
        self.control_plane.check()
        return True

    def bearer(self, subject):
        return {"authorization": f"Bearer {self.parts.issuer.token(subject)}"}

    def stats(self):
        _, _, text = request(self.admin, "GET", "/stats?filter=chaperone|wasm")
        read = {}
        for line in text.decode().splitlines():
            name, _, value = line.rpartition(": ")
            with contextlib.suppress(ValueError):
                read[name.removeprefix("wasmcustom.chaperone.")] = int(value)
        return read

    # --- the books

    def size(self):
        """Bytes of the database and its write-ahead log."""
        return sum(file.stat().st_size for file in self.data.glob("chaperone.db*") if not file.name.endswith("-shm"))

    def settle(self, seconds=SETTLED):
        """Waits until everything that was recorded is acknowledged; how many events still wait."""
        end = time.monotonic() + seconds
        while True:
            stats = self.stats()
            waiting = stats.get("queue_events", 0)
            if waiting == 0 or time.monotonic() > end:
                return waiting
            time.sleep(0.1)

    def close_books(self, settled=SETTLED):
        """The trail as it is in the end, from a control plane that was stopped for it."""
        waiting = self.settle(settled)
        stats = self.stats()
        self._sample()
        reloads = sum(value for name, value in stats.items() if ".vm_reload_" in name)
        stopped = self.control_plane.stop()
        books = Books(stats.get("events_recorded", 0), stats.get("events_acknowledged", 0), stats.get("events_dropped", 0))
        books.read(self.data / "chaperone.db")
        books.waiting, books.reloads, books.stopped = waiting, reloads, stopped
        return books

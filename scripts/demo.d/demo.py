"""Walks through what Chaperone does, on this machine, with nothing simulated but the upstream.

Starts a demo upstream and `chaperone dev` (control plane, issuer, Envoy with the filter), sends the
requests of the story one after the other, and prints for each what was sent, what came back and
what was recorded. Then it stays up, with the addresses printed, until Ctrl-C.
"""

import argparse
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

from upstream import SECRET, Upstream

HERE = Path(__file__).resolve().parent
DELETE = "/subscriptions/1/resourceGroups/prod"
BOLD, DIM, GREEN, RED, PLAIN = (
    ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m") if sys.stdout.isatty() else ("",) * 5
)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.problem = {}
        if "problem+json" in headers.get("content-type", ""):
            self.problem = json.loads(body)

    def __str__(self):
        p = self.problem
        if not p:
            return f"{self.status} {self.body.strip()}"
        told = "; ".join(f"{key} {p[key]}" for key in ("rule", "reason", "approval") if key in p)
        return f"{self.status} {p['code']}: {p['detail']}" + (f" ({told})" if told else "")


class Demo:
    def __init__(self, args, directory):
        self.args, self.directory = args, directory
        self.failures = []
        self.upstream = Upstream()
        self.ready = {}
        self.dev = None

    # --- starting and stopping

    def start(self):
        ready_file = self.directory / "ready.json"
        self.log = open(self.directory / "dev.log", "wb")
        self.dev = subprocess.Popen(
            [self.args.chaperone, "dev", "--policy", str(HERE / "policy.yaml"),
             "--upstream", f"models={self.upstream.url}", "--upstream", f"arm={self.upstream.url}",
             "--envoy", self.args.envoy, "--wasm", self.args.wasm, "--ready-file", str(ready_file),
             "--log-dir", str(self.directory / "logs"), "--data-dir", str(self.directory / "data")],
            stdout=self.log, stderr=self.log,
        )
        end = time.monotonic() + 90
        while not ready_file.exists():
            if self.dev.poll() is not None or time.monotonic() > end:
                sys.exit("error: `chaperone dev` did not start:\n" + (self.directory / "dev.log").read_text()[-3000:])
            time.sleep(0.05)
        self.ready = json.loads(ready_file.read_text())

    def stop(self):
        if self.dev and self.dev.poll() is None:
            self.dev.send_signal(signal.SIGCONT)
            self.dev.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.dev.wait(30)
                return
            self.dev.kill()

    # --- what a person would type

    def cli(self, *arguments, may_fail=False):
        done = subprocess.run(
            [self.args.chaperone, *arguments, "--server", self.ready["server"],
             "--token-file", self.ready["token_file"]],
            capture_output=True, text=True,
        )
        if done.returncode != 0 and not may_fail:
            sys.exit(f"error: chaperone {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def json(self, *arguments):
        return json.loads(self.cli(*arguments, "--output", "json"))

    def token(self, *arguments):
        return subprocess.run(
            [self.args.chaperone, "dev", "token", *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    def send(self, method, connection, path, token=None, body=None, quiet=False):
        url = urllib.parse.urlsplit(self.ready["connections"][connection]["url"])
        headers = {"authorization": f"Bearer {token}"} if token else {}
        client = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
        client.request(method, path, body=body, headers=headers)
        got = client.getresponse()
        answer = Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read().decode())
        client.close()
        if not quiet:
            print(f"   agent    {method} {connection}{path}")
            print(f"   answer   {answer}")
        return answer

    # --- what was recorded

    def recorded(self, record=None, **search):
        """The newest record that fits, once its last event has arrived."""
        end = time.monotonic() + 15
        while True:
            if record is None:
                flags = [word for key, value in search.items() for word in (f"--{key.replace('_', '-')}", str(value))]
                found = self.json("audit", "search", "--limit", "1", *flags)["items"]
            else:
                got = self.cli("audit", "show", record, "--output", "json", may_fail=True)
                found = [json.loads(got)] if got else []
            if found and found[0]["state"] != "open":
                break
            if time.monotonic() > end:
                self.check(False, f"a record arrives ({record or search})")
                return {}
            time.sleep(0.05)
        r = found[0]
        parts = [r.get("subject") or "nobody", r.get("operation") or r.get("method", ""), r.get("effect", "")]
        parts += [f"rule {r['rule']}"] if r.get("rule") else []
        parts += [r["code"]] if r.get("code") else []
        parts += [f"version {r['policy_version']}"] if r.get("policy_version") else []
        parts += [f"masked {r['masked']}"] if r.get("masked") else []
        parts += [f"{r['total_ms']} ms"] if r.get("total_ms") is not None else []
        print(f"   {DIM}recorded {r['id']}: {', '.join(p for p in parts if p)}{PLAIN}")
        return r

    def check(self, good, what):
        print(f"   {GREEN}ok{PLAIN}       {what}" if good else f"   {RED}NOT SO{PLAIN}   {what}")
        if not good:
            self.failures.append(what)

    def step(self, text):
        print(f"\n{BOLD}{text}{PLAIN}")

    # --- the story

    def walk(self):
        self.dev_token = self.token("--subject", "ana", "--groups", "developers")
        self.who()
        self.wrong_group()
        self.allowed()
        self.masked()
        self.held()
        self.versions()
        self.control_plane_away()

    def who(self):
        self.step("1. Who is calling? Without a good token nothing reaches the upstream.")
        before = len(self.upstream.seen)
        head, payload, signature = self.dev_token.split(".")
        foreign = self.token("--subject", "eve", "--groups", "developers", "--claim", 'iss="https://elsewhere.example"')
        expired = self.token("--subject", "ana", "--groups", "developers", "--claim", "exp=1700000000")
        cases = [
            (None, "token_missing"), (foreign, "unknown_issuer"), (expired, "token_expired"),
            (f"{head}.{payload}.{'A' * len(signature)}", "signature_invalid"),
        ]
        for token, code in cases:
            answer = self.send("GET", "models", "/v1/models", token)
            self.check(answer.status == 401 and answer.problem.get("code") == code, f"401 {code}")
            if answer.problem.get("record"):
                self.recorded(answer.problem["record"])
        self.check(len(self.upstream.seen) == before, "the upstream saw nothing")

    def wrong_group(self):
        self.step("2. The right token, the wrong group: 403 with the rule's reason.")
        other = self.token("--subject", "max", "--groups", "marketing")
        answer = self.send("GET", "models", "/v1/models", other)
        self.check(answer.status == 403 and answer.problem["code"] == "denied", "nothing allows it, so it is denied")
        self.recorded(answer.problem["record"])
        keys = "/subscriptions/1/resourceGroups/prod/providers/Microsoft.Storage/storageAccounts/a/listKeys"
        answer = self.send("POST", "arm", keys, self.dev_token, body="")
        self.check(answer.problem.get("rule") == "keys-stay-where-they-are", "a deny rule beats every allow")
        record = self.recorded(answer.problem["record"])
        self.check(record.get("rule") == answer.problem.get("rule") and record.get("reason") == answer.problem.get("reason"),
                   "the record tells the same as the answer")

    def allowed(self):
        self.step("3. Allowed: the request goes through, the agent's token does not.")
        answer = self.send("GET", "models", "/v1/models", self.dev_token)
        self.check(answer.status == 200, "200 from the upstream")
        self.check("authorization" not in self.upstream.seen[-1]["headers"], "the upstream saw no Authorization")
        record = self.recorded(subject="ana", text="/v1/models", status=200)
        self.check(record.get("operation") == "GET /v1/models" and record.get("policy_version") == 1
                   and record.get("total_ms") is not None, "identity, operation, policy version and timings are recorded")

    def masked(self):
        self.step("4. A secret that the upstream streams in two pieces arrives masked.")
        answer = self.send("GET", "models", "/v1/stream", self.dev_token)
        self.check("[masked:" in answer.body and SECRET not in answer.body, "the answer holds a placeholder instead")
        self.check(answer.body.endswith(" and be careful.\n"), "all the rest is as it was")
        self.recorded(subject="ana", text="/v1/stream")
        found = [str(p) for p in self.directory.rglob("*") if p.is_file() and SECRET.encode() in p.read_bytes()]
        self.check(not found, f"the secret stands in no file: database, write-ahead log, logs {found or ''}")

    def in_background(self, method, connection, path):
        result = {}
        thread = threading.Thread(
            target=lambda: result.update(answer=self.send(method, connection, path, self.dev_token, quiet=True)))
        thread.start()

        def join():
            thread.join(60)
            print(f"   answer   {result.get('answer')}")
            return result["answer"]

        return join

    def pending(self):
        end = time.monotonic() + 10
        while time.monotonic() < end:
            if items := self.json("approvals", "list", "--state", "pending")["items"]:
                a = items[0]
                print(f"   human    sees: {a['principal']['subject']} wants {a['operation']['action']} "
                      f"on {a['request']['path']} (rule {a['rule']})")
                return a["id"]
            time.sleep(0.05)
        self.check(False, "an approval is pending")
        return None

    def ask(self, answer, *words):
        print(f"   agent    DELETE arm{DELETE}   (waits)")
        done = self.in_background("DELETE", "arm", DELETE)
        approval = self.pending()
        if approval and answer:
            self.cli("approvals", answer, approval, *words)
            print(f"   human    chaperone approvals {answer} {approval} {' '.join(words)}")
        return approval, done()

    def held(self):
        self.step("5. A risky request waits for a human.")
        _, answer = self.ask("approve")
        self.check(answer.status == 200, "approved: it goes through, once")
        self.recorded(rule="deletes-need-a-human", status=200)
        _, answer = self.ask("deny", "--reason", "Not during the freeze.")
        self.check(answer.status == 403 and answer.problem["code"] == "approval_denied", "the next one is asked again; denied: 403")
        self.recorded(answer.problem.get("record"))
        approval, answer = self.ask(None)
        self.check(answer.status == 403 and answer.problem["code"] == "approval_required"
                   and answer.problem.get("approval") == approval, "not answered in time: a ticket")
        self.cli("approvals", "approve", approval)
        print(f"   human    chaperone approvals approve {approval}   (late)")
        answer = self.send("DELETE", "arm", DELETE, self.dev_token)
        self.check(answer.status == 200, "the same request, sent again, finds the answer")

    def versions(self):
        self.step("6. A new policy version is enforced on the next request; so is a rollback.")
        document = (HERE / "policy.yaml").read_text().replace(
            "    match: { connections: [models], groups: [developers] }\n    effect: allow",
            "    match: { connections: [models], groups: [developers] }\n    effect: deny\n    reason: Models are off today.")
        changed = self.directory / "closed.yaml"
        changed.write_text(document)
        self.cli("policy", "publish", str(changed), "--wait")
        print("   human    chaperone policy publish closed.yaml --wait")
        answer = self.send("GET", "models", "/v1/models", self.dev_token)
        self.check(answer.status == 403 and answer.problem.get("reason") == "Models are off today.", "denied by version 2")
        self.cli("policy", "rollback", "1", "--wait")
        print("   human    chaperone policy rollback 1 --wait")
        answer = self.send("GET", "models", "/v1/models", self.dev_token)
        self.check(answer.status == 200, "allowed again by version 3, which has the content of version 1")
        self.recorded(subject="ana", policy_version=3)

    def control_plane_away(self):
        self.step("7. The control plane stands still (SIGSTOP): the gate stays as strict as it was.")
        self.dev.send_signal(signal.SIGSTOP)
        try:
            answer = self.send("GET", "models", "/v1/models?while=away", self.dev_token)
            self.check(answer.status == 200, "the last policy stays in force; the record waits in the queue")
            answer = self.send("DELETE", "arm", DELETE, self.dev_token)
            self.check(answer.status == 503 and answer.problem["code"] == "control_plane_unavailable",
                       "what needs a human is refused")
            answer = self.send("PUT", "arm", DELETE, self.dev_token, body="{}")
            self.check(answer.status == 503 and answer.problem["code"] == "audit_unavailable",
                       "what must be recorded first is refused")
            answer = self.send("GET", "models", "/v1/models")
            self.check(answer.status == 401, "identity is checked as before")
        finally:
            self.dev.send_signal(signal.SIGCONT)
        print("   control plane goes on (SIGCONT)")
        self.recorded(text="/v1/models", status=200, policy_version=3)
        gaps = [gap for node in self.json("nodes")["items"] for gap in node.get("gaps", [])]
        self.check(gaps == [], "the queued events arrived, and no number is missing")


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--once", action="store_true", help="exit after the walk, 0 only if every step gave what it should")
    for name in ("--chaperone", "--envoy", "--wasm"):
        parser.add_argument(name, required=True, help=argparse.SUPPRESS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaperone-demo-") as directory:
        # The demo's own issuer key and state: what the developer has stays as it is.
        os.environ["XDG_STATE_HOME"] = directory
        demo = Demo(args, Path(directory))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            print("Starting the control plane, Envoy and a demo upstream ...", flush=True)
            demo.start()
            demo.walk()
            print(f"\n{len(demo.failures)} of the steps did not give what they should." if demo.failures
                  else "\nEvery step gave what it should.")
            if not args.once:
                print("\nStill up, until Ctrl-C:")
                for name, connection in demo.ready["connections"].items():
                    print(f"  {name:14} {connection['url']}")
                print(f"  control plane  {demo.ready['server']}   (token in {demo.ready['token_file']})")
                print(f"  Envoy admin    {demo.ready['envoy_admin']}")
                print(f"  logs           {directory}/logs")
                print(f"\n  XDG_STATE_HOME={directory} {args.chaperone} dev token --subject ana --groups developers")
                signal.pause()
        except KeyboardInterrupt:
            pass
        finally:
            demo.stop()
    sys.exit(1 if demo.failures else 0)


if __name__ == "__main__":
    main()

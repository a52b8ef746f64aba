"""Each write of each transaction fails in turn.

The conformance suite of the stores (`control-plane/src/storage/conformance`) interrupts every transaction
between its statements, inside of one process. This is the other half: system calls of a real
control plane that a disk refuses, below SQLite, where SQLite itself decides whether the transaction
is still there afterwards.
"""

import errno
import itertools
import json
import time

import shim
from callers import code_of
from disks import with_shim
from gate import policy, request
from run import drill

# The errors of a disk, given one after the other.
ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS)
# Transactions of the control plane make far fewer writes than this.
MOST_WRITES = 400
# All writes of one take a second or two; a machine that needs so long is stuck.
MOST_SECONDS = 120


class Transactions:
    """Each as a pair: one call makes ready while all is well, the other is to write.

    The second gives whether it succeeded, and the answer in short."""

    def __init__(self, gate, issuer):
        self.gate, self.issuer = gate, issuer
        self.number = itertools.count()
        self.recorded = []

    def all(self):
        return {
            "events": (self._path("recorded"), self._record),
            "question": (self._path("ticket"), self._ask),
            "approve": (self._asked, lambda asked: self._answer(asked, "approve", {})),
            "deny": (self._asked, lambda asked: self._answer(asked, "deny", {"reason": "no"})),
            "grant spent": (self._granted, lambda asked: self._sent(asked[0], "200")),
            "token": (lambda: None, lambda _: self._api("POST", "/tokens", self._token())),
            "revoke": (self._made, lambda token: self._api("DELETE", f"/tokens/{token}")),
            "publish": (self._document, lambda document: self._api("POST", "/policies", {"document": document})),
            "roll back": (self._version, lambda version: self._api("POST", f"/policies/{version}/rollback", {})),
            "record read": (self._a_record, lambda record: self._api("GET", f"/records/{record}")),
            "approval read": (self._asked, lambda asked: self._api("GET", f"/approvals/{asked[1]}")),
            "keys refreshed": (lambda: None, lambda _: self._api("POST", "/keys/refresh", {})),
            "signing key prepared": (self._none_waits, lambda _: self._api("POST", "/signing-keys/next", {})),
            "signing key discarded": (self._one_waits, lambda _: self._gone("/signing-keys/next")),
        }

    def _api(self, method, path, body=None):
        status, said = self.gate.api(method, path, body, timeout=15)
        return status in (200, 201, 204), f"{status} {said.get('code', '') if isinstance(said, dict) else said}".strip()

    def _sent(self, path, wanted):
        # Several callers: of one alone only so many questions may wait.
        caller = self.gate.bearer(f"caller-{int(path.rpartition('-')[2]) % 8}")
        status, _, body = request(self.gate.envoy_port, "GET", path, caller, timeout=20)
        said = "200" if status == 200 else code_of(status, body)
        return said == wanted, said

    def _well(self, what, result):
        ok, said = result
        if not ok:
            raise Stuck(f"{what}: {said}")

    # --- made ready

    def _path(self, kind):
        return lambda: f"/{kind}/step-{next(self.number)}"

    def _asked(self):
        path = f"/ticket/step-{next(self.number)}"
        self._well("asking", self._ask(path))
        status, page = self.gate.api("GET", "/approvals?state=pending&limit=50")
        found = [one["id"] for one in page["items"] if one["request"]["path"] == path] if status == 200 else []
        if not found:
            raise Stuck(f"a question that was asked is not listed: {status}")
        return path, found[0]

    def _granted(self):
        asked = self._asked()
        self._well("approving", self._answer(asked, "approve", {}))
        return asked

    def _token(self):
        return {"name": f"step-{next(self.number)}", "role": "auditor"}

    def _made(self):
        status, made = self.gate.api("POST", "/tokens", self._token())
        if status not in (200, 201):
            raise Stuck(f"making a token: {status} {made}")
        return made.get("id") or made["token"]["id"]

    def _a_record(self):
        path = self._path("recorded")()
        self._well("recording", self._record(path))
        status, page = self.gate.api("GET", "/records?limit=1")
        if status != 200 or not page["items"]:
            raise Stuck(f"listing records: {status}")
        return page["items"][0]["id"]

    def _none_waits(self):
        status, said = self.gate.api("DELETE", "/signing-keys/next")
        if status not in (200, 204, 404):
            raise Stuck(f"discarding the next signing key: {status} {said}")

    def _one_waits(self):
        status, said = self.gate.api("POST", "/signing-keys/next", {})
        if status not in (200, 201):
            raise Stuck(f"preparing a signing key: {status} {said}")

    def _document(self):
        document = policy(self.issuer)
        # The writes are the same, and compiling two hundred detectors for each of them takes minutes.
        document["masking"][0]["detectors"] = ["secrets/github-pat"]
        document["rules"].append({"name": f"step-{next(self.number)}", "match": {"paths": ["/step/**"]},
                                  "effect": "deny", "reason": "no"})
        return json.dumps(document)

    def _version(self):
        """The one before the current one, whose text is another: so it was published, or rolled back to."""
        status, page = self.gate.api("GET", "/policies?limit=2")
        if status != 200:
            raise Stuck(f"listing versions: {status}")
        return page["items"][1]["version"]

    # --- the calls

    def _record(self, path):
        ok, said = self._sent(path, "200")
        if ok:
            self.recorded.append(path)
        return ok, said

    def _ask(self, path):
        return self._sent(path, "403 approval_required")

    def _gone(self, path):
        """Removes it. Where the first try failed after it had gone, it is gone."""
        ok, said = self._api("DELETE", path)
        return ok or said.startswith("404"), said

    def _answer(self, asked, how, body):
        return self._api("POST", f"/approvals/{asked[1]}/{how}", body)


class Stuck(Exception):
    pass


def fail_in_turn(steered, ready, call, end):
    """How many writes were made to fail, whether those were all, and the answers to them."""
    answers = {}
    for write in range(MOST_WRITES):
        if time.monotonic() > end:
            return write, False, answers
        given = ready()
        error = ERRORS[write % len(ERRORS)]
        steered.fail_once(error, write)
        ok, said = call(given)
        if not steered.heal():
            return write, True, answers
        answers[said] = answers.get(said, 0) + 1
        tries = 0
        while not ok:
            tries += 1
            if tries > 3:
                raise Stuck(f"write {write + 1} failed with {shim.name_of(error)}, and after it: {said}")
            ok, said = call(given)
    return MOST_WRITES, False, answers


@drill("every-write", "each write of each transaction fails in turn; the same call must succeed after it")
def every_write(run):
    gate, steered = with_shim(run)
    with gate:
        transactions = Transactions(gate, run.parts.issuer)
        counts, stuck = {}, None
        run.load_begins(gate)
        for name, (ready, call) in transactions.all().items():
            try:
                failed, whole, answers = fail_in_turn(steered, ready, call, time.monotonic() + MOST_SECONDS)
            except Stuck as reason:
                steered.heal()
                stuck = f"{name}: {reason}"
                break
            counts[name] = {"writes_failed": failed, "all": whole, "answers": answers}
            run.say(f"{name}: {failed} writes failed in turn{'' if whole else ' (not all)'}; {answers}")
        run.load_ends(gate)
        run.note(transactions=counts, writes_failed=sum(one["writes_failed"] for one in counts.values()))
        run.bound(stuck is None, "after every failed write the same call succeeds when it is made again", stuck or "")
        idle = [name for name, one in counts.items() if one["writes_failed"] == 0]
        run.bound(not idle, "every transaction has had a write fail", idle)
        unfinished = [name for name, one in counts.items() if not one["all"]]
        run.bound(not unfinished, "every write of it has failed once", unfinished)
        wrong = {f"{name}: {said}" for name, one in counts.items() for said in one["answers"]
                 if said.startswith(("500", "0")) or "no answer" in said}
        run.bound(not wrong, "a failed write is 503, never 500 and never silence", sorted(wrong))
        if stuck:
            gate.restart_control_plane()
        books = run.close(gate)
        missing = [path for path in transactions.recorded if path not in books.paths]
        run.bound(not missing, "every request with `audit: required` that got through is in the trail", f"{len(missing)} are not")

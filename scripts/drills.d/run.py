"""One run of one drill: its figures, and the bounds that it was held against."""

import sys
import time

MEGABYTE = 1 << 20
DRILLS = {}


class Skipped(Exception):
    """The drill cannot be carried out here; says why. Never counts as passed."""


def drill(name, title, shortest=4):
    """Makes a function a drill. `shortest` is the number of seconds below which it proves nothing."""
    def register(function):
        DRILLS[name] = Drill(name, title, shortest, function)
        return function
    return register


class Drill:
    def __init__(self, name, title, shortest, function):
        self.name, self.title, self.shortest, self.function = name, title, shortest, function


class Run:
    def __init__(self, drill, seconds, parts, directory):
        self.name, self.drill = drill.name, drill
        self.seconds = max(seconds, drill.shortest)
        self.parts, self.directory = parts, directory
        self.bounds = []
        self.figures = {}
        self.error = self.skipped = None
        self.began = time.monotonic()
        self.sizes = None

    def say(self, text):
        print(f"    {time.monotonic() - self.began:5.1f} s  {text}", file=sys.stderr, flush=True)

    def bound(self, holds, text, said=""):
        """States a bound, whether it holds, and the figure or answer that was seen."""
        self.bounds.append({"bound": text, "holds": bool(holds), "said": str(said)})
        if not holds:
            self.say(f"MISSED: {text}" + (f" ({said})" if said != "" else ""))
        return holds

    def note(self, **figures):
        self.figures.update(figures)

    # --- measured by every drill

    def load_begins(self, gate):
        self.sizes = (time.monotonic(), gate.size())

    def load_ends(self, gate):
        began, size = self.sizes
        self.note(growth_bytes_per_second=round(max(0, gate.size() - size) / max(0.1, time.monotonic() - began)))

    def close(self, gate, good=None, plain_may_fail=False, recorded_may_fail=True, settled=30):
        """Closes the books, and states the bounds that hold in every drill."""
        books = gate.close_books(settled)
        self.note(
            events_recorded=books.recorded, events_acknowledged=books.acknowledged, events_stored=books.stored,
            events_lost=books.lost, events_doubled=books.doubled, events_dropped=books.dropped,
            envoy_peak_bytes=gate.peaks["envoy"], control_plane_peak_bytes=gate.peaks["control plane"],
        )
        self.bound(books.trouble is None, "the database can be read, and is whole", books.trouble or "")
        self.bound(books.waiting == 0, f"everything recorded is acknowledged within {settled} s of the end",
                   f"{books.waiting} events still wait")
        self.bound(books.lost == 0, "no event that was acknowledged is lost", f"{books.lost} lost")
        self.bound(books.doubled == 0, "no event is stored twice", f"{books.doubled} doubled")
        self.bound(books.dropped == 0, "no event is dropped by a node", f"{books.dropped} dropped")
        self.bound(books.reloads == 0, "no worker's module trapped", f"{books.reloads} reloads")
        self.bound(books.stopped, "the control plane stops when it is told to")
        if good:
            # Refused since its record could not be stored: as the policy wants it, while it lasts.
            unstored = good.count_refused("recorded") if recorded_may_fail else 0
            self.note(good_sent=sum(good.sent.values()), good_refused=good.count_refused() - unstored, good_unstored=unstored,
                      good_refused_by_code={kind: codes for kind, codes in good.refused.items() if codes},
                      good_slowest_ms=round(good.slowest * 1000))
            missing = [path for path in good.passed if path.startswith("/recorded/") and path not in books.paths]
            self.bound(not missing, "every request with `audit: required` that got through is in the trail",
                       f"{len(missing)} of {good.snapshot()['recorded']} are not")
            if not plain_may_fail:
                self.bound(good.count_refused("plain") == 0, "no good request is refused",
                           f"{good.count_refused('plain')} of {good.sent['plain']}: {good.refused['plain']}")
            if not recorded_may_fail:
                self.bound(good.count_refused("recorded") == 0, "no good request with `audit: required` is refused",
                           f"{good.count_refused('recorded')} of {good.sent['recorded']}: {good.refused['recorded']}")
        return books

    @property
    def verdict(self):
        if self.skipped:
            return "SKIPPED"
        if self.error:
            return "ERROR"
        return "passed" if all(bound["holds"] for bound in self.bounds) else "FAILED"

    def as_json(self):
        return {
            "drill": self.name, "title": self.drill.title, "verdict": self.verdict,
            "took_s": round(self.took, 1), "figures": self.figures, "bounds": self.bounds,
            **({"error": self.error} if self.error else {}), **({"skipped": self.skipped} if self.skipped else {}),
        }

"""One that sends as fast as it can, a process of its own so that nobody else's measurements wait for it.

Reads its plan as JSON from standard input, prints the answers that it counted as JSON. The request is bytes in
which `{n}` becomes another number each time. One is under way on each connection: Envoy closes
connections on which several are, once it has answered one of them by itself.
"""

import json
import re
import selectors
import socket
import sys
import time

STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
CODE = re.compile(rb'"code":\s?"([a-z_]+)"')
# No match is longer.
TAIL = 64


class Connection:
    def __init__(self, plan, select):
        self.plan, self.select = plan, select
        self.socket = None
        self.open()

    def open(self):
        self.out, self.waiting, self.tail = b"", 0, b""
        self.socket = socket.create_connection(("127.0.0.1", self.plan["port"]), timeout=10)
        self.socket.setblocking(False)
        self.wanted = selectors.EVENT_READ | selectors.EVENT_WRITE
        self.select.register(self.socket, self.wanted, self)

    def wants(self, events):
        if events != self.wanted:
            self.wanted = events
            self.select.modify(self.socket, events, self)

    def close(self):
        self.select.unregister(self.socket)
        self.socket.close()


def main():
    plan = json.load(sys.stdin)
    template = plan["request"].encode()
    numbered = b"{n}" in template
    by_status, codes, broken, number = {}, {}, 0, 0
    select = selectors.DefaultSelector()
    connections = [Connection(plan, select) for _ in range(plan["connections"])]
    end = time.monotonic() + plan["seconds"]
    answered = 0
    while time.monotonic() < end and connections:
        for key, events in select.select(0.2):
            one = key.data
            try:
                if events & selectors.EVENT_READ:
                    got = one.socket.recv(1 << 18)
                    if not got:
                        raise ConnectionError
                    # A match may be cut in two; one that lay wholly in the tail is counted already.
                    text, known = one.tail + got, len(one.tail)
                    for counts, what in ((by_status, STATUS), (codes, CODE)):
                        for match in what.finditer(text):
                            if match.end() > known:
                                name = match.group(1).decode()
                                counts[name] = counts.get(name, 0) + 1
                                if what is STATUS:
                                    one.waiting = 0
                                    answered += 1
                    one.tail = text[-TAIL:]
                if one.waiting == 0:
                    number += 1
                    one.out = template.replace(b"{n}", str(number).encode()) if numbered else template
                    one.waiting = 1
                if one.out:
                    sent = one.socket.send(one.out)
                    one.out = one.out[sent:]
                    one.wants(selectors.EVENT_READ | (selectors.EVENT_WRITE if one.out else 0))
            except BlockingIOError:
                pass
            except OSError:
                broken += 1
                one.close()
                try:
                    one.open()
                except OSError:
                    connections.remove(one)
    print(json.dumps({"answered": answered, "by_status": by_status, "codes": codes, "broken": broken}))


if __name__ == "__main__":
    main()

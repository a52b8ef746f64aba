"""The demo's upstream: answers what it was sent, and streams an answer with a secret in it."""

import http.server
import json
import threading
import time

# Made up, with the form of a GitHub token's checksum left out on purpose: an AWS-style key id.
SECRET = "AKIA" + "EXAMPLEDEMO24672"


class Upstream:
    """Listens on a free port of 127.0.0.1 and remembers what arrived."""

    def __init__(self):
        self.seen = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                outer.seen.append({
                    "method": self.command, "path": self.path,
                    "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body.decode(),
                })
                if self.path.startswith("/v1/stream"):
                    return self.stream()
                reply = json.dumps({"upstream": "saw", "method": self.command, "path": self.path}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def stream(self):
                """The secret is cut in two: neither half means anything by itself."""
                self.send_response(200)
                self.send_header("content-type", "text/plain")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for part in ("Use this key: ", SECRET[:9], SECRET[9:], " and be careful.\n"):
                    self.wfile.write(f"{len(part):x}\r\n{part}\r\n".encode())
                    self.wfile.flush()
                    time.sleep(0.05)
                self.wfile.write(b"0\r\n\r\n")

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

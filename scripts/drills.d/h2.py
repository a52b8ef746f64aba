"""One request over HTTP/2, by prior knowledge: as much of RFC 9113 as a stream in both directions needs.

Python has no HTTP/2 of its own, and a drill is to need nothing but Python. Header fields are sent without
compression and received ones are looked at for `:status: 200` only (RFC 7541, static table, 8)."""

import socket
import struct

DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK, PADDED = 1, 4, 1, 8


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class Stream:
    def __init__(self, port, fields, timeout=5):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.buffer, self.body, self.status, self.ended = b"", b"", None, False
        block = b"".join(b"\x00" + bytes([len(name)]) + name + _length(value) + value for name, value in fields)
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, block))

    def send(self, data, last=False):
        self.socket.sendall(frame(DATA, END_STREAM if last else 0, 1, data))

    def read(self):
        """Takes the next frame; whether there was one."""
        while len(self.buffer) < 9 or len(self.buffer) < 9 + self._size():
            more = self.socket.recv(65536)
            if not more:
                return False
            self.buffer += more
        size, (kind, flags) = self._size(), self.buffer[3:5]
        payload, self.buffer = self.buffer[9: 9 + size], self.buffer[9 + size:]
        if kind == SETTINGS and not flags & ACK:
            self.socket.sendall(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.socket.sendall(frame(PING, ACK, 0, payload))
        elif kind == HEADERS and self.status is None:
            self.status = 200 if payload[:1] == b"\x88" else payload[:12]
        elif kind == DATA:
            self.body += payload
        elif kind in (RESET, GOAWAY):
            return False
        self.ended |= kind in (DATA, HEADERS) and bool(flags & END_STREAM)
        return True

    def close(self):
        self.socket.close()

    def _size(self):
        return int.from_bytes(self.buffer[:3], "big")


def _length(value):
    """A length of RFC 7541 with a prefix of seven bits."""
    if len(value) < 127:
        return bytes([len(value)])
    rest, out = len(value) - 127, [127]
    while rest >= 128:
        out.append(rest % 128 + 128)
        rest //= 128
    return bytes([*out, rest])

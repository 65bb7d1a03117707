"""A pooler in transaction mode: after each transaction a client gets another connection to the server, as PgBouncer does it."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections import deque


class Pooler:
    """Listens on a port of 127.0.0.1 and shares the connections to the server behind a Unix socket. A context manager."""

    def __init__(self, socket_path: str) -> None:
        self._server = socket_path
        self._idle: deque[socket.socket] = deque()
        self._free = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = [self._listener]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for one in self._open:
            one.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            self._start(client)
            while True:
                first = _message(client)
                if first is None or first[0:1] == b"X":
                    return
                with self._free:
                    while not self._idle:
                        self._free.wait()
                    server = (
                        self._idle.popleft()
                    )  # the one that has been idle for longest: never the same twice in a row
                self._transaction(client, server, first)
                with self._free:
                    self._idle.append(server)
                    self._free.notify()
        except OSError:
            return
        finally:
            client.close()

    def _start(self, client):
        while True:
            size = struct.unpack("!I", _exactly(client, 4))[0]
            startup = _exactly(client, size - 4)
            if struct.unpack("!I", startup[:4])[0] in (80877103, 80877104):  # TLS, GSS
                client.sendall(b"N")
                continue
            break
        for spare in (False, True):  # two connections for each client: the second is a stranger's
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            self._open.append(server)
            server.sendall(struct.pack("!I", size) + startup)
            while True:
                message = _message(server)
                if not spare:
                    client.sendall(message)
                if message[0:1] == b"Z":
                    break
            with self._free:
                self._idle.append(server)
                self._free.notify()

    def _transaction(self, client, server, message):
        """Pass messages on until the server is idle and has answered all that was asked."""
        asked, lock, done = [0], threading.Lock(), threading.Event()

        def pass_on(message):
            with lock:
                asked[0] += message[0:1] in (b"Q", b"S", b"F")
            server.sendall(message)

        def answers():
            while not done.is_set():
                answer = _message(server)
                if answer is None:
                    client.close()
                    done.set()
                    return
                with lock:
                    asked[0] -= answer[0:1] == b"Z"
                    if answer[0:1] == b"Z" and answer[5:6] == b"I" and asked[0] == 0:
                        done.set()
                client.sendall(answer)

        pass_on(message)
        reader = threading.Thread(target=answers, daemon=True)
        reader.start()
        while not done.is_set():
            if not select.select([client], [], [], 0.002)[0]:
                continue
            if done.is_set():  # what the client sends after the last answer belongs to its next transaction
                break
            more = _message(client)
            if more is None:
                break
            pass_on(more)
        reader.join()


def _exactly(stream, size):
    data = b""
    while len(data) < size:
        part = stream.recv(size - len(data))
        if not part:
            raise OSError("closed")
        data += part
    return data


def _rest(stream):
    head = _exactly(stream, 4)
    return head + _exactly(stream, struct.unpack("!I", head)[0] - 4)


def _message(stream):
    try:
        return _exactly(stream, 1) + _rest(stream)
    except OSError:
        return None

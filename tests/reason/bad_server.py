"""A chat endpoint on this machine that misbehaves by a script: one step a request, then the last one again."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class BadServer:
    """`script` holds the steps of the next requests, `seen` what reached the server: path, key and body."""

    def __init__(self):
        self.script, self.seen, self.over = [], [], threading.Event()
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer._lock:
                    outer.seen.append({**body, "path": self.path, "key": self.headers.get("Authorization")})
                    step = outer.script.pop(0) if len(outer.script) > 1 else outer.script[0]
                step(self, outer.over)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads, self._server.block_on_close = True, False
        self._server.handle_error = lambda *args: None  # clients hang up on purpose
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(poll_interval=0.01))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self):
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def dead_url():
    """Return the address of a port at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


def reply(body, status=200, **headers):
    def step(handler, over):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return step


def content(text, usage=(100, 20), finish="stop", **message):
    """A completion with this text, as a server sends it."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
    used = usage and {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return reply({"id": "x", "object": "chat.completion", "created": 1, "choices": [choice], "usage": used})


def says(answer, **how):
    return content(json.dumps(answer), **how)


def error(status, message="no", code=None, **headers):
    return reply({"error": {"message": message, "code": code}}, status, **headers)


def slow(handler, over):
    over.wait(3)


def drip(handler, over):
    """Send a byte now and then, so that no single read takes long."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    while not over.wait(0.03):
        handler.wfile.write(b" ")


def closed_midway(handler, over):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


no_choices = reply({"choices": [], "usage": None})
null_choices = reply({"choices": None})
no_json = reply(b"<html>gateway</html>")

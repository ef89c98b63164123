# SPDX-License-Identifier: Apache-2.0
"""A proxy before an S3 server that understands what passes: it counts requests, and spoils those that a test chooses.

    with S3FaultProxy(server.address) as proxy:
        proxy.on("PUT", "/log/", answer(503, "SlowDown"), times=2)      # the next two
        proxy.on("GET", "/pack/", cut_short())
        proxy.counts()

Signatures stay good, since the Host header passes as it came.
"""

import collections
import contextlib
import http.client
import http.server
import re
import socket
import threading
from typing import NamedTuple

from rig.kafka import HOST

STEP_BY_STEP = ("connection", "transfer-encoding", "content-length")  # between two hops alone


class Rule:
    def __init__(self, method, pattern, action, times):
        self.method = method
        self.pattern = re.compile(pattern)
        self.action = action
        self.left = times  # None: for ever
        self.hits = 0

    def takes(self, method, path):
        if self.left == 0 or method != self.method or not self.pattern.search(path):
            return False
        self.hits += 1
        self.left = None if self.left is None else self.left - 1
        return True


class Answer(NamedTuple):
    status: int
    reason: str
    headers: list
    body: bytes


# What can be done to a request. An action gets the exchange.

def answer(status, code="InternalError", message="made by the test", headers=()):
    """Answer for the server, which sees nothing of it."""
    def act(exchange):
        body = f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>TEST1</RequestId></Error>".encode()
        exchange.send(Answer(status, code, [("x-amz-request-id", "TEST1"), *headers], body))
    return act


def pass_on(exchange):
    exchange.send(exchange.forward())


def lose_answer():
    """The server does what is asked, and its answer is lost."""
    def act(exchange):
        exchange.forward()
        exchange.reset()
    return act


def done_but(status):
    """The server does what is asked, and something on the way says that it failed."""
    def act(exchange):
        exchange.forward()
        answer(status)(exchange)
    return act


def lose_request():
    def act(exchange):
        exchange.reset()
    return act


def cut_short(share=0.5):
    """The answer ends in the middle of its body."""
    def act(exchange):
        exchange.send(exchange.forward(), share)
    return act


def slow(seconds):
    """The answer takes its time."""
    def act(exchange):
        exchange.proxy.closing.wait(seconds)
        pass_on(exchange)
    return act


def call(function):
    """Do something at that moment, then go on as if nothing were."""
    def act(exchange):
        function()
        pass_on(exchange)
    return act


class Exchange:
    """One request on its way."""

    def __init__(self, proxy, handler, body):
        self.proxy = proxy
        self.handler = handler
        self.body = body

    def forward(self):
        """What the server answers."""
        with contextlib.closing(http.client.HTTPConnection(self.proxy.upstream, timeout=60)) as connection:
            connection.putrequest(self.handler.command, self.handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.handler.headers.items():
                if name.lower() != "connection":
                    connection.putheader(name, value)
            connection.endheaders(self.body)
            response = connection.getresponse()
            headers = [(name, value) for name, value in response.getheaders() if name.lower() not in STEP_BY_STEP]
            size = response.getheader("content-length")
            if self.handler.command == "HEAD" and size is not None:
                headers.append(("Content-Length", size))
            return Answer(response.status, response.reason, headers, response.read())

    def send(self, what, share=1.0):
        handler = self.handler
        handler.send_response_only(what.status, what.reason)
        for name, value in what.headers:
            handler.send_header(name, value)
        if handler.command != "HEAD":
            handler.send_header("Content-Length", str(len(what.body)))
        handler.end_headers()
        handler.wfile.write(what.body[:int(len(what.body) * share)] if handler.command != "HEAD" else b"")
        if share < 1:
            handler.wfile.flush()
            handler.close_connection = True

    def reset(self):
        self.handler.close_connection = True
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def serve(self):
        proxy = self.server.proxy
        exchange = Exchange(proxy, self, self.rfile.read(int(self.headers.get("content-length", 0))))
        rule = proxy.rule_for(self.command, self.path)
        proxy.note(self.command)  # before the answer: who has that may ask for the counts
        try:
            (rule.action if rule else pass_on)(exchange)
        except OSError:  # the server is down, or the client gave up
            exchange.reset()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve

    def log_message(self, *_):
        pass


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, *_):
        pass  # resets are what it is for


class S3FaultProxy:
    def __init__(self, upstream):
        self.upstream = upstream
        self.lock = threading.Lock()
        self.rules = []
        self.seen = collections.Counter()
        self.closing = threading.Event()
        self.listener = Listener((HOST, 0), Handler)
        self.listener.proxy = self
        self.address = f"{HOST}:{self.listener.server_address[1]}"
        self.endpoint = f"http://{self.address}"
        self.thread = threading.Thread(target=self.listener.serve_forever, args=(0.1,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.listener.shutdown()
        self.listener.server_close()

    def on(self, method, pattern, action, times=1):
        """Do this to the next requests of that method whose path and query match. The Rule counts its hits."""
        with self.lock:
            self.rules.append(Rule(method, pattern, action, times))
            return self.rules[-1]

    def clear(self):
        with self.lock:
            self.rules.clear()

    def rule_for(self, method, path):
        with self.lock:
            return next((rule for rule in self.rules if rule.takes(method, path)), None)

    def note(self, method):
        with self.lock:
            self.seen[method] += 1

    def counts(self):
        """{method: requests} since the last forget()."""
        with self.lock:
            return dict(self.seen)

    def forget(self):
        with self.lock:
            self.seen.clear()

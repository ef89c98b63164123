# SPDX-License-Identifier: Apache-2.0
"""AWS identities of a test: keys that live for seconds, from an endpoint as containers have it (ECS, EKS Pod Identity),
known to a SecureBroker."""

import datetime
import http.server
import json
import secrets
import threading
import time


class Identities:
    """Hands out new keys to each that asks, good for `life` seconds, and tells the broker of them.

    served: how many were handed out. refusing: the endpoint answers 403. forget(): the broker knows nobody any more.
    """

    def __init__(self, broker, life):
        self.broker = broker
        self.life = life
        self.refusing = False
        self.known = []
        self.served = 0
        self.lock = threading.Lock()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, body = owner.answer()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @property
    def env(self):
        """What a container's environment says of the endpoint."""
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{self.server.server_port}/keys"}

    def answer(self):
        with self.lock:
            if self.refusing:
                return 403, b"no"
            self.served += 1
            end = time.time() + self.life
            key, secret, token = self.new("ASIA", end)
        when = datetime.datetime.fromtimestamp(end, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        keys = {"AccessKeyId": key, "SecretAccessKey": secret, "Token": token, "Expiration": when}
        return 200, json.dumps(keys).encode()

    def new(self, prefix, end, session=True):
        """Keys of somebody new, whom the broker knows until then."""
        key = prefix + secrets.token_hex(8).upper()
        secret = secrets.token_urlsafe(30) + "/+"
        token = secrets.token_urlsafe(60) + "/+==" if session else ""
        self.known = [one for one in self.known if one[3] > time.time() * 1000]
        self.known.append((key, secret, token, int(end * 1000), "msk-role"))
        self.broker.set_iam(*self.known)
        return key, secret, token

    def forget(self):
        """Keys are rotated: none that was handed out is good any more."""
        with self.lock:
            self.known = []
            self.broker.set_iam()

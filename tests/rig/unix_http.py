# SPDX-License-Identifier: Apache-2.0
"""requests over a Unix socket: unix_session("/run/x.sock").get("http://tidemark/v1/status")."""

import socket

import requests
import urllib3.connection
import urllib3.connectionpool
from requests.adapters import HTTPAdapter


class UnixConnection(urllib3.connection.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if isinstance(self.timeout, (int, float)):
            self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self.path)
        except OSError as error:
            self.sock.close()
            raise urllib3.exceptions.NewConnectionError(self, f"{self.path}: {error}") from error


class UnixPool(urllib3.connectionpool.HTTPConnectionPool):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def _new_conn(self):
        self.num_connections += 1
        return UnixConnection(self.path, self.timeout.connect_timeout)


class UnixAdapter(HTTPAdapter):
    def __init__(self, path):
        super().__init__()
        self.pool = UnixPool(path)

    def get_connection_with_tls_context(self, *_args, **_kwargs):
        return self.pool

    def close(self):
        self.pool.close()
        super().close()


def unix_session(path):
    """A session whose every http:// URL goes to this socket, whatever its host."""
    session = requests.Session()
    session.trust_env = False  # no proxy of the environment
    session.mount("http://", UnixAdapter(str(path)))
    return session

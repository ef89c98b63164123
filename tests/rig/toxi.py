# SPDX-License-Identifier: Apache-2.0
"""A network that does its worst: toxiproxy between us and a real server.

    with Toxiproxy() as toxiproxy:
        proxy = toxiproxy.proxy(server.address)         # at proxy.address
        with proxy.latency(200):
            ...
        proxy.down()
"""

import contextlib
import itertools

import requests

from rig.kafka import HOST, free_ports
from rig.server import Server, ServerError, go_tool


class Proxy:
    """One way to a server. Each of the toxics is a context: it is over at its end."""

    def __init__(self, owner, name, upstream):
        self.owner = owner
        self.name = name
        self.port = free_ports(1)[0]
        self.address = f"{HOST}:{self.port}"
        self.numbers = itertools.count(1)
        owner.ask("POST", "/proxies", {"name": name, "listen": self.address, "upstream": upstream, "enabled": True})

    def down(self):
        """Connections are cut, and new ones refused."""
        self.owner.ask("POST", f"/proxies/{self.name}", {"enabled": False})

    def up(self):
        self.owner.ask("POST", f"/proxies/{self.name}", {"enabled": True})

    @contextlib.contextmanager
    def toxic(self, kind, stream="downstream", toxicity=1.0, **attributes):
        """stream: downstream is from the server to us. toxicity: the share of connections that get it."""
        name = f"{kind}-{next(self.numbers)}"
        self.owner.ask("POST", f"/proxies/{self.name}/toxics",
                       {"name": name, "type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes})
        try:
            yield
        finally:
            self.owner.ask("DELETE", f"/proxies/{self.name}/toxics/{name}")

    def latency(self, ms, jitter_ms=0, **options):
        return self.toxic("latency", latency=ms, jitter=jitter_ms, **options)

    def reset_peer(self, after_ms=0, **options):
        """Connections are reset (RST) that long after the first byte."""
        return self.toxic("reset_peer", timeout=after_ms, **options)

    def limit_data(self, size, **options):
        """Connections are closed after so many bytes."""
        return self.toxic("limit_data", bytes=size, **options)

    def bandwidth(self, kb_per_second, **options):
        return self.toxic("bandwidth", rate=kb_per_second, **options)

    def silence(self, **options):
        """Nothing comes through, and nothing is closed."""
        return self.toxic("timeout", timeout=0, **options)


class Toxiproxy(Server):
    name = "toxiproxy"

    def __init__(self):
        super().__init__(env={"LOG_LEVEL": "warn"})
        self.numbers = itertools.count(1)

    def command(self):
        return [go_tool("toxiproxy"), "-host", HOST, "-port", self.port]

    def answers(self):
        try:
            self.ask("GET", "/version")
            return True
        except requests.RequestException:
            return False

    def ask(self, method, path, body=None):
        with requests.Session() as session:
            session.trust_env = False
            response = session.request(method, f"http://{self.address}{path}", json=body, timeout=5)
        if response.status_code >= 300:
            raise ServerError(f"toxiproxy: {method} {path}: {response.status_code} {response.text}")
        return response

    def proxy(self, upstream):
        """A new way to a server at this address."""
        return Proxy(self, f"proxy-{next(self.numbers)}", upstream)

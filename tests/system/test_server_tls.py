# SPDX-License-Identifier: Apache-2.0
"""The API over TLS: who is let in with which certificate, and what a wrong one is told."""

import subprocess

import pytest
import requests

from rig.certificates import Authority
from rig.kafka import HOST, free_ports

ONCALL = "spiffe://acme.example/oncall"


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture
def secure(tidemarkd, ours):
    """secure(client_ca=None, scopes=None): a daemon whose `listen` has TLS; gives ask(method, path, cert=None, token=None)."""

    def start(client_ca=None, scopes=None):
        cert, key, _ = ours.issue("server", hosts=[HOST])
        tls = {"cert_file": str(cert), "key_file": str(key)}
        server = {"listen": f"{HOST}:{free_ports(1)[0]}", "tls": tls}
        if client_ca is not None:
            tls["client_ca_file"] = str(client_ca)
            server["client_scopes"] = scopes or {}
        daemon = tidemarkd({"server": server}, bootstrap=f"{HOST}:1")
        base = f"https://{server['listen']}"

        def ask(method, path, cert=None, token=None, **options):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            cert = (str(cert[0]), str(cert[1])) if cert else None
            return requests.request(method, base + path, cert=cert, headers=headers, verify=str(ours.ca_file),
                                    timeout=20, **options)

        ask.daemon = daemon
        ask.base = base
        return ask

    return start


def test_a_token_goes_over_tls_and_nothing_goes_without(secure):
    ask = secure()
    assert ask("GET", "/v1/jobs", token=ask.daemon.token).status_code == 200
    assert ask("GET", "/v1/jobs").status_code == 401
    with pytest.raises(requests.exceptions.SSLError):  # not our authority's
        requests.get(f"{ask.base}/livez", timeout=20)
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(f"{ask.base}/livez".replace("https:", "http:"), timeout=20)
    assert ask.daemon.api("GET", "/v1/jobs").status_code == 200  # the socket has none


def test_client_certificates_are_looked_at_on_every_request(secure, ours, tmp_path):
    stranger = Authority(tmp_path / "stranger", "stranger-ca").issue("oncall")
    ask = secure(client_ca=ours.ca_file, scopes={ONCALL: ["read", "operate"]})
    refused = {
        "a client certificate is needed": None,
        "no authority of client_ca_file stands for the client certificate": stranger,
        "the client certificate has expired": ours.issue("late", expired=True),
    }
    for why, cert in refused.items():
        for path in ("/v1/jobs", "/livez"):
            answer = ask("GET", path, cert=cert)
            assert (answer.status_code, answer.json()["detail"]) == (401, why)
            assert answer.json()["type"] == "/problems/invalid-certificate"
    assert ask("GET", "/v1/jobs", token=ask.daemon.token).status_code == 401  # a token does not stand for one
    assert 'tidemark_auth_failures_total{reason="certificate"}' in ask.daemon.api("GET", "/metrics").text


def test_the_name_in_a_certificate_gives_its_scopes(secure, ours):
    ask = secure(client_ca=ours.ca_file, scopes={ONCALL: ["read", "operate"], "ops": "operate"})
    oncall, reader = ours.issue("oncall", hosts=[ONCALL]), ours.issue("reader")
    missing = {"policy": "no-such-policy"}
    assert ask("GET", "/v1/jobs", cert=oncall).status_code == 200
    assert ask("POST", "/v1/backups", cert=oncall, json=missing).status_code == 404
    assert ask("GET", "/v1/jobs", cert=reader).status_code == 200
    denied = ask("POST", "/v1/backups", cert=reader, json=missing)
    assert denied.status_code == 403 and denied.json()["detail"].startswith("certificate:reader ")
    assert ask("GET", "/v1/jobs", cert=ours.issue("ops")).status_code == 403
    # A token beside the certificate says who asks.
    assert ask("POST", "/v1/backups", cert=reader, json=missing, token=ask.daemon.token).status_code == 404
    assert ask("GET", "/v1/jobs", cert=oncall, token="tm_wrong").status_code == 401


def test_a_key_of_another_certificate_stops_the_start(tidemarkd, ours):
    cert, _, _ = ours.issue("one")
    _, key, _ = ours.issue("two")
    daemon = tidemarkd({"server": {"tls": {"cert_file": str(cert), "key_file": str(key)}}}, bootstrap=f"{HOST}:1", start=False)
    done = subprocess.run([daemon.binary, "--config", daemon.config_path], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0 and "server.tls: cert_file and key_file:" in done.stderr

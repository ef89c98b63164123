# SPDX-License-Identifier: Apache-2.0
"""The API over TLS: who is let in with which certificate, and what a wrong one is told."""

import hashlib
import json
import ssl
import subprocess

import pytest
import requests
from cryptography import x509

from rig import records
from rig.certificates import Authority
from rig.kafka import HOST, free_ports

ONCALL = "spiffe://acme.example/oncall"


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture
def secure(tidemarkd, ours):
    """secure(client_ca=None, scopes=None): a daemon whose `listen` has TLS; gives ask(method, path, cert=None, token=None)."""

    def start(client_ca=None, scopes=None, **more):
        cert, key, _ = ours.issue("server", hosts=[HOST])
        tls = {"cert_file": str(cert), "key_file": str(key)}
        server = {"listen": f"{HOST}:{free_ports(1)[0]}", "tls": tls} | more
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


def renew(secure_files, fresh):
    for old, new in zip(secure_files, fresh):
        old.write_bytes(new.read_bytes())


def test_a_renewed_certificate_is_taken_by_a_reload(secure, ours, tmp_path):
    """By request; a pair that does not belong together changes nothing."""
    ask = secure()
    daemon = ask.daemon
    cert, key, _ = ours.issue("renewed", hosts=[HOST])
    files = [ours.folder / "server.cert.pem", ours.folder / "server.key.pem"]
    assert all(path.exists() for path in files), list(ours.folder.iterdir())
    assert daemon.api("POST", "/v1/config/reload", json={}).json() == {"changed": False, "changes": []}

    def served():
        pem = ssl.get_server_certificate((HOST, int(ask.base.rsplit(":", 1)[1])), timeout=20)
        return x509.load_pem_x509_certificate(pem.encode()).subject.rfc4514_string()

    before = files[1].read_bytes()
    assert served() == "CN=server"
    renew(files[:1], [cert])
    refused = daemon.api("POST", "/v1/config/reload", json={})
    assert refused.status_code == 422 and "cert_file and key_file" in refused.json()["detail"]
    assert served() == "CN=server" and daemon.api("GET", "/metrics").text.count("reload_successful 0") == 1
    renew(files, [cert, key])
    assert files[1].read_bytes() != before
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(f"{ask.base}/livez", verify=str(ours.ca_file), timeout=20).status_code == 200
        answer = daemon.api("POST", "/v1/config/reload", json={})
        assert answer.json()["changes"] == [{"change": "changed", "path": "server.tls"}]
        assert served() == "CN=renewed"
        assert session.get(f"{ask.base}/livez", verify=str(ours.ca_file), timeout=20).status_code == 200  # connects again
    assert ask("GET", "/v1/jobs", token=daemon.token).status_code == 200
    files[0].unlink()
    gone = daemon.api("POST", "/v1/config/reload", json={})
    assert gone.status_code == 422 and "\"cert_file\": " in gone.json()["detail"] and served() == "CN=renewed"
    daemon.stop()


def test_other_authorities_and_scopes_hold_for_the_next_request(secure, ours, tmp_path):
    oncall = ours.issue("oncall", hosts=[ONCALL])
    ask = secure(client_ca=ours.ca_file, scopes={ONCALL: ["read", "operate"]})
    daemon = ask.daemon
    missing = {"policy": "no-such-policy"}
    assert ask("POST", "/v1/backups", cert=oncall, json=missing).status_code == 404
    config = json.loads(daemon.config_path.read_text())
    config["server"]["client_scopes"] = {ONCALL: ["read"]}
    daemon.config_path.write_text(json.dumps(config))
    answer = daemon.api("POST", "/v1/config/reload", json={})
    assert answer.json()["changes"] == [{"change": "changed", "path": "server.client_scopes"}]
    assert ask("POST", "/v1/backups", cert=oncall, json=missing).status_code == 403
    other = Authority(tmp_path / "other", "other-ca")
    config["server"]["tls"]["client_ca_file"] = str(other.ca_file)
    daemon.config_path.write_text(json.dumps(config))
    answer = daemon.api("POST", "/v1/config/reload", json={})
    assert [one["path"] for one in answer.json()["changes"]] == ["server.tls.client_ca_file"]
    assert ask("GET", "/v1/jobs", cert=oncall).status_code == 401
    assert ask("GET", "/v1/jobs", cert=other.issue("reader")).status_code == 200


def test_a_watched_certificate_and_token_are_taken_when_their_files_change(secure, ours):
    """As a mounted Secret of Kubernetes does, without a word to the daemon."""
    ask = secure(watch_config=True)
    daemon = ask.daemon
    cert, key, _ = ours.issue("rotated", hosts=[HOST])
    renew([ours.folder / "server.cert.pem", ours.folder / "server.key.pem"], [cert, key])
    fresh = "tm_" + "5a" * 20
    daemon.tokens_path.write_text(f"fresh read sha256:{hashlib.sha256(fresh.encode()).hexdigest()}\n")

    def taken():
        pem = ssl.get_server_certificate((HOST, int(ask.base.rsplit(":", 1)[1])), timeout=20)
        return "CN=rotated" in x509.load_pem_x509_certificate(pem.encode()).subject.rfc4514_string()

    records.wait_until(taken, "the other certificate to be served", 40)
    records.wait_until(lambda: ask("GET", "/v1/jobs", token=fresh).status_code == 200, "the other token", 40)
    assert ask("GET", "/v1/jobs", token=daemon.token).status_code == 401

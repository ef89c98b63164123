# SPDX-License-Identifier: Apache-2.0
"""Who gets in over TCP, how often, and to what: limits by rate, refusals that are held back."""

import concurrent.futures
import hashlib
import time

import requests

QUICK = 0.5


def token_line(name, secret, scopes="read", more=""):
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return f"{name} {scopes} sha256:{digest}{' ' if more else ''}{more}\n"


def add_token(daemon, name, scopes="read", more=""):
    """A token of that name, in the daemon's file: its secret. Known from the next start or reload on."""
    secret = f"tm_{name}{'x' * 40}"
    daemon.tokens_path.write_text(daemon.tokens_path.read_text() + token_line(name, secret, scopes, more))
    return secret


def test_a_token_may_ask_so_often_and_no_other_pays_for_it(tidemarkd):
    daemon = tidemarkd({"server": {"rate_limit": 20}}, bootstrap="127.0.0.1:1", start=False)
    busy, calm = add_token(daemon, "busy"), add_token(daemon, "calm")
    daemon.start()
    begun = time.monotonic()
    answers = [daemon.tcp("GET", "/v1/policies", token=busy) for _ in range(120)]
    allowed = 40 + 20 * (time.monotonic() - begun) + 1
    passed = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(passed) + len(refused) == 120 and 40 <= len(passed) <= allowed, len(passed)
    problem = refused[0].json()
    assert refused[0].headers["Retry-After"] == "1" and problem["retry_after_seconds"] == 1
    assert problem["type"] == "/problems/rate-limited" and "token:busy" in problem["detail"], problem
    assert daemon.tcp("GET", "/v1/policies", token=calm).status_code == 200
    for _ in range(100):
        assert daemon.api("GET", "/v1/policies").status_code == 200  # the socket is not limited
    assert f'tidemark_auth_failures_total{{reason="rate"}} {len(refused)}' in daemon.api("GET", "/metrics").text
    time.sleep(1.1)  # what Retry-After says
    assert daemon.tcp("GET", "/v1/policies", token=busy).status_code == 200


def test_whoever_tries_many_tokens_gets_his_answers_late(tidemarkd):
    """Not so who has the right one; nor does the daemon stand still for it."""
    daemon = tidemarkd(bootstrap="127.0.0.1:1")

    def attempt(number):
        begun = time.monotonic()
        answer = requests.get(f"{daemon.url}/v1/status", headers={"Authorization": f"Bearer tm_{number}"}, timeout=30)
        assert answer.status_code == 401
        return time.monotonic() - begun

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        tries = [pool.submit(attempt, number) for number in range(40)]
        time.sleep(0.5)
        for _ in range(5):
            begun = time.monotonic()
            assert daemon.tcp("GET", "/v1/status").status_code == 200
            assert time.monotonic() - begun < QUICK
        took = sorted(one.result() for one in tries)
    assert took[0] < QUICK and sum(one >= 0.9 for one in took) >= 20, took
    assert 'tidemark_auth_failures_total{reason="invalid-token"} 40' in daemon.api("GET", "/metrics").text
    begun = time.monotonic()
    daemon.stop()
    assert time.monotonic() - begun < 5

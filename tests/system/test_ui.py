# SPDX-License-Identifier: Apache-2.0
"""The dashboard in a real browser: what it shows is what the API says, and a restore can be made with it alone."""

import pytest

from rig import jobs, records
from rig.browser import Browser
from rig.records import record

FILES = {"/ui": "text/html", "/ui/app.js": "text/javascript", "/ui/draw.js": "text/javascript", "/ui/style.css": "text/css",
         "/ui/icon.svg": "image/svg+xml"}


@pytest.fixture
def browse():
    """browse(daemon, *flags): the dashboard in a browser, signed in; the browser ends with the test."""
    opened = []

    def make(daemon, *flags, token=None):
        opened.append(Browser(*flags))
        page = opened[-1]
        page.driver.get(f"{daemon.url}/ui")
        page.wait(lambda: page.one("#sign-in").is_displayed(), "it to ask for a token")
        page.type("#token", daemon.token if token is None else token)
        page.press("#sign-in button")
        return page

    yield make
    for page in opened:
        page.close()


def test_its_files_need_no_token_and_take_nothing_from_elsewhere(tidemarkd):
    daemon = tidemarkd({"policies": []})
    for path, kind in FILES.items():
        answer = daemon.tcp("GET", path, token="")
        assert answer.status_code == 200 and answer.headers["Content-Type"].split(";")[0] == kind, path
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert answer.headers["X-Frame-Options"] == "DENY" and answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "") and "https://" not in answer.text, path
    missing = daemon.tcp("GET", "/ui/other.js", token="")
    assert missing.status_code == 404 and missing.json()["similar"] == ["/ui"]
    off = tidemarkd({"policies": [], "server": {"ui": False}})
    assert off.tcp("GET", "/ui").status_code == 404 and off.tcp("GET", "/ui/app.js").status_code == 404


def test_a_wrong_token_is_told_and_the_right_one_is_kept_in_the_tab(tidemarkd, browse):
    daemon = tidemarkd({"policies": []})
    page = browse(daemon, token="tm_wrong")
    page.wait(lambda: "not valid" in page.text("#sign-in-error"), "it to say that the token is wrong")
    assert not page.one("#content").is_displayed()
    page.type("#token", daemon.token)
    page.press("#sign-in button")
    page.wait(lambda: "No topic is backed up yet." in page.text("#verdict"), "the verdict")
    page.driver.refresh()
    page.wait(lambda: "No topic is backed up yet." in page.text("#verdict"), "the verdict, after a reload")
    page.press("#sign-out")
    page.driver.refresh()
    page.wait(lambda: page.one("#sign-in").is_displayed(), "it to ask again")
    assert page.complaints() == []


def test_what_it_shows_and_a_restore_by_it(bootstrap, new_topic, tidemarkd, browse):
    topic, bare = new_topic(), new_topic()
    records.produce(bootstrap, topic, [record(b"k%d" % n, b"<b>v</b>%d" % n) for n in range(40)])
    labelled = "<img src=x onerror=document.title='broken'>"
    daemon = tidemarkd({"policies": [jobs.policy(topic, rpo="1h"), jobs.policy(bare + "*", name="late", rpo="1s")]})
    point = daemon.backup("p")["result"]["recovery_point"]
    page = browse(daemon)
    page.wait(lambda: topic in page.text("#topic-rows"), "the topic's row")
    row = next(text for text in page.driver.execute_script(
        "return [...document.querySelectorAll('#topic-rows tr')].map(n => n.innerText)") if topic in text)
    status = next(one for one in daemon.get("/v1/status")["items"] if one.get("topic") == topic)
    assert status["state"] in row and "succeeded" in row and "of 60 min" in row.replace("1 h", "60 min"), row
    page.wait(lambda: page.all("#timeline-rows .tick"), "the timeline's points")
    assert page.one("#timeline-rows .tick").get_attribute("aria-label").startswith(point)
    page.wait(lambda: "local" in page.text("#vault-rows") and "is up" in page.text("#vault-rows"), "the vault")
    page.wait(lambda: "source" in page.text("#gap-rows"), "the topics that no policy selects")
    assert page.driver.execute_script("return document.querySelectorAll('#plot-runs rect.bar').length") >= 1

    page.driver.execute_script("document.querySelector('#timeline-rows .tick').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter'}))")
    assert page.one("#r-point").get_attribute("value") == point
    page.type("#r-topics", labelled)
    page.press("#restore-form button")
    page.wait(lambda: page.all("#plan .bad"), "what is wrong with the names")
    assert "a character that cannot be in a topic's name" in page.text("#plan") and page.driver.title == "Tidemark"
    page.type("#r-topics", topic)
    page.type("#r-suffix", ".by-hand")
    page.press("#restore-form button")
    page.wait(lambda: page.all("#r-confirm"), "the plan")
    assert f"{topic}.by-hand" in page.text("#plan") and "produce" in page.text("#plan")
    run = page.one("#plan form button")
    page.type("#r-confirm", "sourc")
    assert not run.is_enabled()
    page.type("#r-confirm", "source")
    assert run.is_enabled()
    page.press("#plan form button")
    page.wait(lambda: "Started as" in page.text("#plan"), "the restore to start")
    job = page.text("#plan a")
    assert daemon.wait_job(job)["result"]["proof"] == "identical"
    jobs.assert_restored(records.read_topic(bootstrap, topic), bootstrap, f"{topic}.by-hand")
    page.wait(lambda: "succeeded" in page.text(f"#{job}"), "its row to say so")
    page.driver.execute_script("document.querySelector(arguments[0]).click()", f"#{job} button")
    page.wait(lambda: "restore.ended" in page.text("#dialog pre"), "its log")
    assert page.complaints() == []


def test_a_breached_objective_is_the_first_thing_said(bootstrap, new_topic, tidemarkd, browse, own_broker):
    broker = own_broker()
    records.create_topic(broker.bootstrap, "orders")
    records.produce(broker.bootstrap, "orders", [record(b"k", b"v")])
    daemon = tidemarkd({"policies": [jobs.policy("orders", rpo="1s")]}, bootstrap=broker.bootstrap)
    daemon.backup("p")
    broker.stop()
    records.wait_until(lambda: daemon.get("/v1/status")["breached_count"] == 1, "the breach")
    page = browse(daemon, "--force-dark-mode")
    page.wait(lambda: "1 of 1 topics is past the objective; worst orders, " in page.text("#verdict"), "the verdict")
    assert page.one("#verdict").get_attribute("class") == "bad"


def test_other_origins_may_ask_only_where_they_are_named(tidemarkd):
    page = "https://ops.example"
    daemon = tidemarkd({"policies": [], "server": {"cors_origins": [page]}})
    asked = {"Origin": page, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = daemon.tcp("OPTIONS", "/v1/backups", token="", headers=asked)
    assert preflight.status_code == 204 and preflight.headers["Access-Control-Allow-Origin"] == page
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"] and "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
    answer = daemon.tcp("GET", "/v1/status", headers={"Origin": page})
    assert answer.headers["Access-Control-Allow-Origin"] == page and answer.headers["Vary"] == "Origin"
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    refused = daemon.tcp("GET", "/v1/status", token="", headers={"Origin": page})
    assert refused.status_code == 401 and refused.headers["Access-Control-Allow-Origin"] == page  # so that the page can read why
    for other in ("https://ops.example.evil", "http://ops.example", "null", page + "/"):
        assert daemon.tcp("OPTIONS", "/v1/backups", token="", headers=asked | {"Origin": other}).status_code == 401
        assert "Access-Control-Allow-Origin" not in daemon.tcp("GET", "/v1/status", headers={"Origin": other}).headers
    silent = tidemarkd({"policies": []})
    answer = silent.tcp("GET", "/v1/status", headers={"Origin": page})
    assert "Access-Control-Allow-Origin" not in answer.headers and "Vary" not in answer.headers

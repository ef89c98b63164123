# SPDX-License-Identifier: Apache-2.0
"""A real browser for the dashboard: Debian's chromium without a window, which reaches this machine alone."""

import os
import shutil
import tempfile

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run", "--disable-extensions",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
         "--window-size=1400,1000", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1")


class Browser:
    def __init__(self, *flags):
        for program in ("chromium", "chromedriver"):
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not here: run tests/rig/install test")
        self.folder = tempfile.mkdtemp(prefix="tm-web-")  # a home of its own, and a short name: sockets lie in it
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for flag in (*FLAGS, *flags, f"--user-data-dir={self.folder}/profile"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        home = {name: self.folder for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "TMPDIR")}
        service = webdriver.ChromeService(shutil.which("chromedriver"), env=os.environ | home)
        self.driver = webdriver.Chrome(options=options, service=service)

    def close(self):
        self.driver.quit()
        shutil.rmtree(self.folder, ignore_errors=True)

    def one(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def text(self, css):
        """As the page has it now, hidden or not; one question, so that nothing is redrawn in between."""
        return self.driver.execute_script("return [...document.querySelectorAll(arguments[0])].map(n => n.textContent).join(' | ')", css)

    def wait(self, what, why, timeout=20):
        return WebDriverWait(self.driver, timeout, 0.1).until(lambda _: what(), why)

    def type(self, css, text):
        field = self.one(css)
        field.clear()
        field.send_keys(text)

    def press(self, css):
        """By its own handler, wherever the page has been scrolled to."""
        self.driver.execute_script("document.querySelector(arguments[0]).click()", css)

    def complaints(self):
        """What the page's scripts and its content security policy have complained of; answers that refuse are asked for."""
        return [line["message"] for line in self.driver.get_log("browser") if "the server responded with a status of 4" not in line["message"]]

# SPDX-License-Identifier: Apache-2.0
"""What people read before they ask: --help, manual pages, completion. Each says what the others say."""

import pathlib
import re
import shutil
import subprocess

import pytest

from rig.daemon import build_dir
from test_cli import tidemark

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ("tidemark.1", "tidemarkd.8", "tidemark.yaml.5")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def rendered(name):
    """The page as it is read, without backspaces; nothing in it may be wrong."""
    if shutil.which("groff") is None:
        pytest.skip("groff is not here: run tests/rig/install test")
    done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-P-cbou", "-rLL=200n", build_dir() / "cli" / name],
                          capture_output=True, text=True, check=True)
    assert done.stderr == "", done.stderr
    return done.stdout.replace("\u2010", "-").replace("\u2212", "-")


def commands():
    listed = re.search(r"^commands:\n(.*?)\n\n", tidemark("--help").stdout, re.S | re.M).group(1)
    return [re.match(r"  ((?:[a-z-]+ )?[a-z-]+) ", line).group(1) for line in listed.splitlines()]


HELP = {words: tidemark(*words.split(), "--help").stdout for words in commands()}
EXPLAINED = {name for text in HELP.values() for name in OPTION.findall(text.partition("\nexamples:")[0])}


@pytest.mark.parametrize("words", HELP)
def test_every_command_explains_itself_with_two_examples(words):
    text = HELP[words]
    assert text.startswith(f"usage: tidemark {words}")
    examples = text.partition("\nexamples:\n")[2].replace("\\\n", "")
    assert len(re.findall(r"^  \S", examples, re.M)) >= 2 and f"tidemark {words}" in examples, text
    assert set(OPTION.findall(examples)) <= EXPLAINED


def test_manual_pages_have_all_that_help_has():
    page = rendered("tidemark.1")
    for words, text in HELP.items():
        missing = [line for line in text.splitlines() if " ".join(line.split()) not in " ".join(page.split())]
        assert not missing, (words, missing)
    done = subprocess.run([build_dir() / "daemon" / "tidemarkd", "--help"], capture_output=True, text=True, check=True)
    assert set(OPTION.findall(done.stdout)) <= set(OPTION.findall(rendered("tidemarkd.8")))


def test_the_configurations_page_has_every_option():
    page = rendered("tidemark.yaml.5")
    names = re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs" / "config.md").read_text(), re.M)
    assert len(names) > 50
    assert [name for name in names if not re.search(rf"^ +{re.escape(name)}\b", page, re.M)] == []


def test_exit_statuses_are_the_same_everywhere():
    text = " ".join(re.search(r"^exit status: (.*?)\n\n", tidemark("--help").stdout, re.S | re.M).group(1).split())
    said = {one.split()[0] for one in text.split("; ") if one[0].isdigit()}
    table = (ROOT / "docs" / "cli.md").read_text().partition("## Exit status")[2]
    documented = set(re.findall(r"^\| (\d+) \|", table, re.M))
    assert said == documented
    page = rendered("tidemark.1").partition("EXIT STATUS")[2]
    assert documented <= set(re.findall(r"^ +(\d+) ", page, re.M))


def completed(*words):
    """What bash offers for the last word."""
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tidemark; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", build_dir() / "cli" / "tidemark.bash", "tidemark", *words],
                          capture_output=True, text=True, check=True)
    assert done.stderr == "", done.stderr
    return set(done.stdout.split())


def test_bash_completes_commands_options_and_words():
    assert completed("") == {words.split()[0] for words in HELP} | {"--help", "--version"}
    assert completed("poi") == {"points"}
    assert completed("key", "r") == {"remove", "rotate"}
    assert completed("verify", "local", "--depth", "s") == {"scrub", "sample"}
    assert completed("verify", "local", "--depth", "") == {"catalog", "scrub", "sample", "full"}
    assert completed("restore", "latest", "--existing", "") == {"fail", "empty_only", "append", "purge"}
    assert completed("status", "-o", "j") == {"json"}
    assert completed("check-config", "x") == set()  # then bash offers files
    for words, text in HELP.items():
        offered = completed(*words.split(), "--")
        assert offered == set(OPTION.findall(text.partition("\nexamples:")[0])) | {"--help"}, words

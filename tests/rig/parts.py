# SPDX-License-Identifier: Apache-2.0
"""The parts of tests/run: each builds what it needs, runs, says what it ran and how long it took; their sum is the
closing line. A skipped test is a failure under CI=true."""

import collections
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
RIG = ROOT / "tests" / "rig"
BUILD_ROOT = pathlib.Path(os.environ.get("TM_BUILD_ROOT") or ROOT).resolve()
CI = os.environ.get("CI") == "true"
JOBS = os.cpu_count() or 1

CHECK_LINE = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$", re.MULTILINE)
COUNT_LINE = re.compile(r"^(\d+) passed, (\d+) failed$", re.MULTILINE)
PYTEST_LAST_LINE = re.compile(r"^=* ?(no tests ran|\d+ (passed|failed|skipped|error|deselected|warning)).* in [\d.:]+s.*$")
SHOWN_LINES = 200  # of a failing program's output


class Tally:
    """What a part counted."""

    def __init__(self, passed=0, failed=0, skips=()):
        self.passed = passed
        self.failed = failed
        self.skips = list(skips)  # the reason of each

    def __iadd__(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skips += other.skips
        return self

    def __str__(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {len(self.skips)} skipped" if self.skips else "")


class CannotRun(Exception):
    """A part that could not be run at all: one failure."""


# Processes: every one is in a session of its own and is ended with everything below it when we are ended.

running = set()
running_lock = threading.Lock()


class Finished:
    def __init__(self, status, output, seconds, timed_out=False):
        self.status = status
        self.output = output
        self.seconds = seconds
        self.timed_out = timed_out


def end(process, grace=10):
    """SIGTERM lets Check end the test it forked and pytest its brokers; what stays then gets SIGKILL."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        pass
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end_all():
    with running_lock:
        processes = list(running)
    for process in processes:
        if process.poll() is None:
            end(process, grace=30)


@contextlib.contextmanager
def started(command, **options):
    options = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "start_new_session": True,
               "text": True, "errors": "replace", "cwd": ROOT} | options
    process = subprocess.Popen([str(word) for word in command], **options)
    with running_lock:
        running.add(process)
    try:
        yield process
    finally:
        if process.poll() is None:
            end(process)
        with running_lock:
            running.discard(process)


def run(command, timeout=None, env=None, **options):
    """Run to the end; output is both streams. What it leaves behind when it is over time is ended too."""
    begun = time.monotonic()
    with started(command, stdout=subprocess.PIPE, env=os.environ | (env or {}), **options) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
            return Finished(process.returncode, output, time.monotonic() - begun)
        except subprocess.TimeoutExpired:
            end(process)
            output, _ = process.communicate()
            return Finished(process.returncode, output, time.monotonic() - begun, timed_out=True)


def need(command, what, **options):
    """Run what has to succeed; its output."""
    done = run(command, **options)
    if done.status != 0:
        show(done.output)
        raise CannotRun(f"{what} failed (status {done.status})")
    return done.output


def show(output):
    lines = output.rstrip().splitlines()
    if len(lines) > SHOWN_LINES:
        print(f"    ... {len(lines) - SHOWN_LINES} lines before these")
    for line in lines[-SHOWN_LINES:]:
        print(f"    {line}")
    sys.stdout.flush()


def say(text):
    print(text, flush=True)


# Builds

class Build:
    """A build folder, set up and built at most once a run."""

    def __init__(self, folder, options, compiler=None, slowness=1):
        self.path = BUILD_ROOT / folder
        self.options = {"buildtype": "debugoptimized", "fault_points": "true", "tests": "true"} | options
        self.compiler = compiler
        self.slowness = slowness  # how many times longer its programs may take
        self.outcome = None

    def ready(self):
        if self.outcome is None:
            try:
                self.make()
                self.outcome = "built"
            except CannotRun as error:
                self.outcome = str(error)
                raise
        elif self.outcome != "built":
            raise CannotRun(f"see above: {self.outcome}")
        return self.path

    def make(self):
        begun = time.monotonic()
        self.set_up()
        need(["ninja", "-C", self.path], f"building {self.path.name}")
        say(f"  built {self.path.name} in {time.monotonic() - begun:.0f} s")

    def set_up(self):
        # Its own output alone is the folder: what it says goes to stderr.
        librdkafka = subprocess.run([RIG / "deps"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                    check=False)
        if librdkafka.returncode != 0:
            raise CannotRun("librdkafka could not be had: tests/rig/deps failed")
        wanted = self.options | {"pkg_config_path": librdkafka.stdout.strip()}
        settings = [f"-D{name}={value}" for name, value in wanted.items()]
        if not (self.path / "build.ninja").exists():
            env = {"CC": self.compiler} if self.compiler else {}
            need(["meson", "setup", self.path, ROOT, *settings], f"meson setup {self.path.name}", env=env)
        elif any(self.current().get(name) != value for name, value in wanted.items()):
            need(["meson", "configure", self.path, *settings], f"meson configure {self.path.name}")

    def current(self):
        text = need(["meson", "introspect", "--buildoptions", self.path], "meson introspect")
        return {option["name"]: as_written(option["value"]) for option in json.loads(text)}

    def tests(self, suite):
        text = need(["meson", "introspect", "--tests", self.path], "meson introspect")
        return [test for test in json.loads(text)
                if suite in {name.rpartition(":")[2] for name in test["suite"]}]


def as_written(value):
    """An option's value as it is written behind -Dname=."""
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


BUILDS = {
    "plain": Build("build", {"b_sanitize": "none"}),
    "asan": Build("build-asan", {"b_sanitize": "address,undefined", "b_lundef": "false"}, slowness=4),
    "tsan": Build("build-tsan", {"b_sanitize": "thread", "b_lundef": "false"}, compiler="clang-14", slowness=10),
}

PROGRAM_ENV = {
    "ASAN_OPTIONS": "strict_string_checks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": f"second_deadlock_stack=1:suppressions={RIG / 'tsan.supp'}",
    "CK_DEFAULT_TIMEOUT": "30",
}


# Parts

def count_program(suite, done):
    """(tally, what was wrong with the program itself or None) of one test program that has ended."""
    if done.timed_out:
        return Tally(failed=1), f"ended after {done.seconds:.0f} s: over its time"
    found = CHECK_LINE.findall(done.output)
    if not found and suite == "fuzz":  # a replayer: its inputs either pass or it ends otherwise
        return (Tally(passed=1), None) if done.status == 0 else (Tally(failed=1), f"status {done.status}")
    if not found:
        return Tally(failed=1), f"no closing line of Check (status {done.status})"
    checks, failures, errors = (int(number) for number in found[-1])
    tally = Tally(checks - failures - errors, failures + errors)
    if tally.failed:
        return tally, f"{tally.failed} of {checks} checks failed"
    if done.status != 0:  # a leak that the sanitizer sees at the very end
        return Tally(tally.passed, 1), f"all checks passed but the status is {done.status}"
    return (tally, None) if checks else (Tally(failed=1), "it has no checks")


def run_programs(suite, build):
    """The test programs of a Meson suite, as many at a time as there are cores."""
    build.ready()
    tests = build.tests(suite)
    if not tests:
        raise CannotRun(f"no test program is in the suite {suite}")
    tally = Tally()
    env = PROGRAM_ENV | {"CK_TIMEOUT_MULTIPLIER": str(build.slowness)}

    def run_one(test):
        limit = (test.get("timeout") or 120) * build.slowness
        return run(test["cmd"], timeout=limit, env=env | test.get("env", {}), cwd=test.get("workdir") or build.path)

    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        futures = {pool.submit(run_one, test): test["name"] for test in tests}
        for future in concurrent.futures.as_completed(futures):
            done = future.result()
            counted, trouble = count_program(suite, done)
            tally += counted
            say(f"  {'FAILED' if trouble else 'ok':6} {futures[future]} ({counted}, {done.seconds:.1f} s)"
                + (f": {trouble}" if trouble else ""))
            if trouble:
                show(done.output)
    return tally


def part_layers(_arguments):
    tally = Tally()
    for script, options in (("check_layers.py", []), ("check_layers.py", ["--self-test"]), ("check_docs.py", []),
                            ("check_traps.py", [])):
        done = run([sys.executable, ROOT / "tests" / script, *options], timeout=120)
        found = COUNT_LINE.findall(done.output)
        if not found or (done.status != 0) != (int(found[-1][1]) > 0):
            found = [(0, 1)]
        tally += Tally(*(int(number) for number in found[-1]))
        if done.status != 0:
            show(COUNT_LINE.sub("", done.output))  # one closing line is enough
    return tally


def sources(*folders, suffixes=(".c", ".h")):
    """The C files of these folders, in order."""
    found = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in suffixes]
    return sorted(path for path in found if "corpus" not in path.parts)


CODE = ("api", "cli", "config", "daemon", "lib")


def part_format(_arguments):
    files = sources(*CODE, "tests")
    if not files:
        raise CannotRun("there is no C file")
    done = run(["clang-format-14", "--dry-run", "-Werror", *files], timeout=600)
    if done.status == 0:
        return Tally(passed=1)
    places = collections.defaultdict(list)
    for name, line in re.findall(r"^(.+?):(\d+):\d+: error: ", done.output, re.MULTILINE):
        places[name].append(line)
    for name, lines in places.items():
        say(f"  {os.path.relpath(name, ROOT)}: lines {', '.join(dict.fromkeys(lines))}")
    if not places:
        show(done.output)
    say("  mend it with: clang-format-14 -i FILE")
    return Tally(failed=1)


def part_tidy(_arguments):
    build = BUILDS["plain"].ready()
    commands = json.loads((build / "compile_commands.json").read_text())
    compiled = {(pathlib.Path(entry["directory"]) / entry["file"]).resolve() for entry in commands}
    files = [path for path in sources(*CODE, suffixes=(".c",)) if path in compiled]
    tally = Tally()
    # The commands are gcc's; clang need not know each of its warnings.
    options = ["-p", build, "--quiet", "--extra-arg=-Wno-unknown-warning-option"]
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        futures = {pool.submit(run, ["clang-tidy-14", *options, path], 600): path for path in files}
        for future in concurrent.futures.as_completed(futures):
            done = future.result()
            tally += Tally(passed=1) if done.status == 0 else Tally(failed=1)
            if done.status != 0:
                say(f"  FAILED {futures[future].relative_to(ROOT)}")
                show(done.output)
    return tally


def part_sanitize(_arguments):
    tally = Tally()
    for suite in ("unit", "mock", "fuzz"):
        tally += run_or_fail(lambda suite=suite: run_programs(suite, BUILDS["asan"]))
    return tally


def part_tsan(_arguments):
    tally = Tally()
    for suite in ("unit", "mock"):
        tally += run_or_fail(lambda suite=suite: run_programs(suite, BUILDS["tsan"]))
    return tally


def venv_python():
    made = subprocess.run([RIG / "venv.sh"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode != 0:
        raise CannotRun("the virtual environment could not be made: tests/rig/venv.sh failed")
    return made.stdout.strip()


def part_soak(arguments):
    """Twenty minutes, or as many as are named; its own closing line counts."""
    build = BUILDS["plain"].ready()
    command = [venv_python(), ROOT / "tests" / "soak" / "soak.py", *arguments]
    need([RIG / "go-tools", "toxiproxy"], "building toxiproxy")
    env = os.environ | {"TM_BUILD_DIR": str(build), "PYTHONDONTWRITEBYTECODE": "1"}
    found = None
    with started(command, stdout=subprocess.PIPE, env=env) as process:
        for line in process.stdout:
            found = COUNT_LINE.match(line) or found
            if not COUNT_LINE.match(line):
                say(f"  {line.rstrip()}")
        status = process.wait()
    if found is None or (status != 0) != (int(found[2]) > 0):
        raise CannotRun(f"the soak ended with {status}")
    return Tally(int(found[1]), int(found[2]))


def part_system(arguments):
    build = BUILDS["plain"].ready()
    python = venv_python()
    tools = run([RIG / "go-tools", "versitygw", "toxiproxy"])
    if tools.status != 0:  # the tests that need them are skipped with the reason
        show(tools.output)
    report = BUILD_ROOT / "build" / "system-tests.xml"
    report.unlink(missing_ok=True)
    command = [python, "-m", "pytest", "-v", "--tb=short", f"--junitxml={report}",
               "--durations=10", "-c", ROOT / "tests" / "system" / "pytest.ini", *arguments]
    if not any(str(argument).partition("::")[0].endswith(".py") for argument in arguments):
        command.append(ROOT / "tests" / "system")
    if not arguments:  # most of the time is waiting: whole files side by side, each process with brokers of its own
        command += ["--numprocesses", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    env = os.environ | PROGRAM_ENV | {"TM_BUILD_DIR": str(build), "PYTHONDONTWRITEBYTECODE": "1"}
    with started(command, stdout=subprocess.PIPE, env=env) as process:
        for line in process.stdout:
            if not PYTEST_LAST_LINE.match(line):  # ours comes in its place
                say(f"  {line.rstrip()}")
        status = process.wait()
    return count_junit(report, status)


def count_junit(report, status):
    if not report.exists():
        raise CannotRun(f"pytest ended with {status} and left no report")
    tally = Tally()
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            tally.failed += 1
        elif skipped is not None:
            tally.skips.append(f"{case.get('name')}: {skipped.get('message')}")
        else:
            tally.passed += 1
    if not (tally.passed or tally.failed or tally.skips):
        raise CannotRun("no system test was run")
    if status not in (0, 1) or (status == 1 and not tally.failed):
        say(f"  pytest ended with {status}")
        tally.failed += 1
    return tally


PARTS = {
    "layers": part_layers,
    "format": part_format,
    "tidy": part_tidy,
    "unit": lambda _: run_programs("unit", BUILDS["plain"]),
    "mock": lambda _: run_programs("mock", BUILDS["plain"]),
    "model": lambda _: run_programs("model", BUILDS["plain"]),
    "fuzz": lambda _: run_programs("fuzz", BUILDS["plain"]),
    "sanitize": part_sanitize,
    "tsan": part_tsan,
    "system": part_system,
    "soak": part_soak,
}
ALL = ("layers", "format", "unit", "mock", "model", "fuzz", "sanitize", "system")


def run_or_fail(part):
    try:
        return part()
    except CannotRun as error:
        say(f"  FAILED: {error}")
        return Tally(failed=1)


def parse(words):
    """The parts to run, in our order, and what pytest is given."""
    names = []
    for index, word in enumerate(words):
        if word == "all":
            names += ALL
        elif word in PARTS:
            names.append(word)
        elif {"system", "soak"} & set(names):
            return names, words[index:]
        else:
            sys.exit(f"tests/run: no part is called {word}; there are: all {' '.join(PARTS)}"
                     + (" (arguments of pytest come after system, minutes after soak)" if word.startswith("-") else ""))
    return names or list(ALL), []


def stop_on(number, _frame):
    say(f"tests/run: signal {number}: ending what was started")
    end_all()
    os._exit(128 + number)


def main():
    names, arguments = parse(sys.argv[1:])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop_on)
    sum_of_parts = Tally()
    lines = []
    for name in dict.fromkeys(names):
        say(f"== {name}")
        begun = time.monotonic()
        tally = run_or_fail(lambda name=name: PARTS[name](arguments))
        sum_of_parts += tally
        lines.append(f"{name:9} {tally} in {time.monotonic() - begun:.1f} s")
        say(f"== {lines[-1]}")
    say("")
    for line in lines:
        say(f"  {line}")
    for reason in sum_of_parts.skips:
        say(f"  skipped: {reason}")
    if sum_of_parts.skips and CI:
        say("  CI=true: a skipped test is a failure")
    say(str(sum_of_parts))
    failed = sum_of_parts.failed or (CI and sum_of_parts.skips)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

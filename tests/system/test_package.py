# SPDX-License-Identifier: Apache-2.0
"""The Debian package as an operator meets it: built from what is committed, looked at by lintian, installed, run, purged;
and the unit, by systemd's own measure."""

import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = ROOT / "systemd" / "tidemarkd.service"
EXPOSURE = 15  # tenths: systemd-analyze's "OK" ends far above
pytestmark = pytest.mark.timeout(1200)  # it compiles all of it


def run(*command, env=None, **options):
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True, check=False,
                          env=os.environ | (env or {}), **options)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The .deb, built in a copy of the files that git knows: the build leaves nothing in the checkout."""
    for program in ("dpkg-buildpackage", "lintian", "git"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not here: run tests/rig/install test")
    tree = tmp_path_factory.mktemp("package") / "tidemark"
    tree.mkdir()
    names = run("git", "ls-files", "-z", cwd=ROOT).split("\0")
    for name in filter(None, names):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    run("dpkg-buildpackage", "-b", "-us", "-uc", cwd=tree, env={"DEB_BUILD_OPTIONS": f"parallel={os.cpu_count()}"})
    shutil.rmtree(tree)
    return next(path for path in tree.parent.glob("tidemark_*.deb"))


def test_lintian_finds_no_error(package):
    assert "E:" not in run("lintian", "--allow-root", "--fail-on", "error", package)


def test_the_package_is_installed_run_and_purged(package, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can install a package")
    if subprocess.run(["dpkg-query", "-W", "tidemark"], capture_output=True, check=False).returncode == 0:
        pytest.skip("tidemark is installed here already: the test would remove it")
    state = pathlib.Path("/var/lib/tidemark")
    existed = state.exists()
    run("dpkg", "-i", package)
    try:
        assert run("tidemark", "version").split()[1] == run("tidemarkd", "--version").split()[1]
        listed = run("dpkg", "-L", "tidemark")
        for path in ("man/man1/tidemark.1.gz", "man/man5/tidemark.yaml.5.gz", "man/man8/tidemarkd.8.gz",
                     "bash-completion/completions/tidemark.bash"):
            assert f"/usr/share/{path}\n" in listed
        assert (pathlib.Path("/etc/tidemark/secrets").stat().st_mode & 0o777) == 0o700
        run("getent", "passwd", "tidemark")
        credentials = {"TIDEMARK_CREDENTIALS_DIRECTORY": "/etc/tidemark/secrets"}
        run("tidemark", "check-config", env=credentials)  # /etc/tidemark/tidemark.yaml as shipped
        run_once(tmp_path, credentials)
        kept = state / "vault-of-somebody"
        kept.mkdir(parents=True)
        run("dpkg", "--purge", "tidemark")
        assert kept.exists(), "a purge must never take what may be a vault"
        kept.rmdir()
        assert not pathlib.Path("/etc/tidemark").exists() and shutil.which("tidemarkd") is None
    finally:
        subprocess.run(["dpkg", "--purge", "tidemark"], capture_output=True, check=False)
        subprocess.run(["userdel", "tidemark"], capture_output=True, check=False)
        if not existed:
            shutil.rmtree(state, ignore_errors=True)


def run_once(tmp_path, env):
    """The daemon of the package starts with its configuration and ends when it is told to."""
    socket = tmp_path / "api.sock"
    config = tmp_path / "tidemark.yaml"
    config.write_text(f"version: 1\nserver: {{socket: {socket}, listen: \"\", metrics_listen: \"\"}}\nstate: {{dir: {tmp_path}/state}}\n")
    with subprocess.Popen(["tidemarkd", "--config", str(config)], env=os.environ | env, text=True,
                          stderr=subprocess.PIPE) as daemon:
        line = next(line for line in daemon.stderr if "daemon.started" in line)
        assert line and socket.exists()
        daemon.terminate()
        assert daemon.wait(10) == 0


def test_the_unit_is_right_and_exposes_little():
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here: run tests/rig/install test")
    run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", UNIT)

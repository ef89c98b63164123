# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of tidemark.yaml: what an editor refuses by it the daemon refuses too, and the other way round for names,
words and ranges."""

import json
import pathlib
import subprocess

import jsonschema_rs
import pytest
import yaml

from rig.daemon import build_dir

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((build_dir() / "config" / "tidemark.schema.json").read_text())
VALID = jsonschema_rs.validator_for(SCHEMA)


def named(value):
    """PyYAML follows YAML 1.1, in which the key `on` is true; the daemon takes keys for texts."""
    if isinstance(value, dict):
        return {"on" if key is True else key: named(one) for key, one in value.items()}
    return [named(one) for one in value] if isinstance(value, list) else value


def whole(**sections):
    return {"version": 1, "clusters": [{"name": "c", "bootstrap": "k:9092"}],
            "vaults": [{"name": "v", "type": "disk", "path": "/v", "key_file": "${credential:k}"}],
            "policies": [{"name": "p", "cluster": "c", "vault": "v", "topics": {"include": ["a"]}, "schedule": "@daily"}]} | sections


def policy(**more):
    return whole(policies=[whole()["policies"][0] | more])


def daemon_takes(document, tmp_path):
    path = tmp_path / "tidemark.yaml"
    path.write_text(yaml.safe_dump(document))
    done = subprocess.run([build_dir() / "cli" / "tidemark", "check-config", "--no-secrets", path], capture_output=True, text=True)
    return done.returncode == 0, done.stderr + done.stdout


@pytest.mark.parametrize("path", [ROOT / "examples" / "tidemark.yaml", *sorted((ROOT / "examples" / "kubernetes").glob("*.yaml"))],
                         ids=lambda path: path.name)
def test_the_examples_are_valid(path):
    found = 0
    for document in yaml.safe_load_all(path.read_text()):
        if "version" in document:
            VALID.validate(named(document))
            found += 1
        for text in (document.get("data") or {}).values():
            VALID.validate(named(yaml.safe_load(text)))
            found += 1
    assert found == 1


def test_every_option_is_in_it():
    listed = subprocess.run([build_dir() / "config" / "tidemark-config-docs", "reference"], capture_output=True, text=True).stdout

    def paths(schema, before=""):
        for name, value in schema.get("properties", {}).items():
            yield before + name
            yield from paths(value, before + name + ".")
            yield from paths(value.get("items", {}), before + name + "[].")

    known = set(paths(SCHEMA))
    assert len(known) > 90
    for path in known:
        assert path.split(".")[-1].rstrip("[]") in listed, path


@pytest.mark.parametrize("document", [
    whole(), policy(rpo="15m", timeout=0), policy(limits={"workers": 3, "read_bytes_per_second": "5MiB"}), policy(window="22:00-06:00"),
    policy(topics={"include": "a"}), policy(retention={"keep_last": 3}), whole(log={"level": "debug"}), whole(jobs={"max_running": 2}),
    whole(metrics={"max_topics": 0}), whole(server={"watch_config": True}),
])
def test_both_take_it(document, tmp_path):
    VALID.validate(document)
    taken, told = daemon_takes(document, tmp_path)
    assert taken, told


@pytest.mark.parametrize("document", [
    whole(version=2), whole(polices=[]), policy(shedule=""), policy(rpo="15"), policy(rpo=[]), policy(overlap="wait"), policy(retention={"keep_lst": 3}),
    policy(topics={}), policy(limits={"workers": -1}), policy(lag_group="perhaps"), whole(log={"level": "loud"}), whole(jobs={"max_running": 0}),
    whole(workers={"memory": "1 MB"}), whole(clusters=[{"name": "c"}]), whole(clusters={"name": "c"}), whole(server=[]), whole(verify=[{"vault": "v"}]),
    whole(server={"client_scopes": {"a": ["root"]}}), whole(metrics={"max_topics": -1}),
], ids=str)
def test_both_refuse_it(document, tmp_path):
    assert not VALID.is_valid(document)
    assert not daemon_takes(document, tmp_path)[0]


def resolved(document, tmp_path):
    path = tmp_path / "resolved.yaml"
    path.write_text(yaml.safe_dump(document))
    path.chmod(0o600)  # secrets stand in it
    done = subprocess.run([build_dir() / "cli" / "tidemark", "check-config", "--no-secrets", "--resolve", path], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("document", [
    whole(), named(yaml.safe_load((ROOT / "examples" / "tidemark.yaml").read_text())),
    whole(vaults=[{"name": "v", "type": "s3", "bucket": "b", "passphrase": "secret words of the vault", "compression": "none",
                   "secret_access_key": "planted-secret", "access_key_id": "planted-id", "credentials": "static"}],
          clusters=[{"name": "c", "bootstrap": ["k:9092", "l:9092"], "rdkafka": {"sasl.password": "planted-secret"}}],
          hooks=[{"name": "h", "url": "https://hooks.example/planted-secret", "secret": "planted-secret", "on": ["backup.failed"]}])],
    ids=["smallest", "example", "secrets"])
def test_what_is_resolved_is_a_configuration_of_the_same_meaning(document, tmp_path):
    """Every option with its value, secrets hidden; read again, with what is hidden put back, it is the same."""
    first = resolved(document, tmp_path)
    assert "planted-secret" not in json.dumps(first) and "secret words" not in json.dumps(first)
    again = json.loads(json.dumps(first))
    for section in ("clusters", "hooks", "vaults"):
        for one, original in zip(again.get(section, []), document.get(section, [])):
            one |= {key: original[key] for key, value in list(one.items())
                    if key in original and "[redacted]" in json.dumps(value)}
    VALID.validate(again)
    assert resolved(again, tmp_path) == first
    if document == whole():
        assert first["policies"][0]["timeout"] and first["server"]["max_body"] == "1MiB", "defaults are filled in"

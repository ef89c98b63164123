# SPDX-License-Identifier: Apache-2.0
"""What lies under examples/ for Prometheus, Grafana, Kubernetes, ECS and Docker: checked by the tools that will read it, and
against what the programs themselves say."""

import json
import pathlib
import re
import shlex
import subprocess
import sys

import yaml

from rig.daemon import build_dir
from test_cli import tidemark

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
RULES = EXAMPLES / "prometheus" / "tidemark.rules.yml"
METRIC = re.compile(r"\b(?:tidemark|process)_[a-z_]+")


def exported():
    """Every name that a scrape can have."""
    names = set()
    for name, kind in re.findall(r'^X\(\w+, "(\w+)", (\w+),', (ROOT / "lib/base/metrics.def").read_text(), re.MULTILINE):
        names.add(name)
        if kind.startswith("histogram"):
            names |= {f"{name}_{part}" for part in ("bucket", "sum", "count")}
    return names


def run(*command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def rules():
    group, = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


# For each alert: what fires it, and what is just not enough. A value is one a minute.

POLICY = 'instance="i",job="tidemark",kafka_cluster="prod",policy="p"'
TOPIC = POLICY + ',topic="a"'
VAULT = 'instance="i",job="tidemark",vault="main"'
HOUR = {f"tidemark_schedule_expected_interval_seconds{{{POLICY}}}": "300x100"}
UP = {'up{instance="i",job="tidemark"}': "1x100"}
ALERTS = {
    "TidemarkDown": ({'up{instance="i",job="tidemark"}': "0x100"}, UP),
    "TidemarkRpoBreached": (
        {f"tidemark_topic_exposure_seconds{{{TOPIC}}}": "0+60x100",
         f"tidemark_policy_rpo_objective_seconds{{{POLICY}}}": "3000x100"},
        {f"tidemark_topic_exposure_seconds{{{TOPIC}}}": "0+60x100",
         f"tidemark_policy_rpo_objective_seconds{{{POLICY}}}": "0x100"}),  # no objective
    "TidemarkBackupMissed": (
        HOUR | {f"tidemark_backup_last_success_timestamp_seconds{{{POLICY}}}": "0x100"},
        HOUR | {f"tidemark_backup_last_success_timestamp_seconds{{{POLICY}}}": "0x100",
                f"tidemark_policy_paused{{{POLICY}}}": "1x100"}),
    "TidemarkBackupNever": (
        {f'tidemark_policy_info{{{POLICY},mode="scheduled"}}': "1x100"},
        {f'tidemark_policy_info{{{POLICY},mode="scheduled"}}': "1x100",
         f"tidemark_backup_last_success_timestamp_seconds{{{POLICY}}}": "0+60x100"}),
    "TidemarkBackupFailing": (
        {f'tidemark_backup_runs_total{{{POLICY},result="failure"}}': "0x50 1x50"},
        {f'tidemark_backup_runs_total{{{POLICY},result="success"}}': "0+1x100",
         f'tidemark_backup_runs_total{{{POLICY},result="failure"}}': "3x100"}),
    "TidemarkCoverageGap": ({f"tidemark_topic_coverage_gap_offsets{{{TOPIC}}}": "0x60 17x40"},
                            {f"tidemark_topic_coverage_gap_offsets{{{TOPIC}}}": "0x100"}),
    "TidemarkRetentionRace": (HOUR | {f"tidemark_topic_retention_headroom_seconds{{{TOPIC}}}": "500x100"},
                              HOUR | {f"tidemark_topic_retention_headroom_seconds{{{TOPIC}}}": "86400x100"}),
    "TidemarkVaultDown": ({f'tidemark_vault_up{{{VAULT},backend="s3"}}': "0x100"},
                          {f'tidemark_vault_up{{{VAULT},backend="s3"}}': "1x100"}),
    "TidemarkVaultRolledBack": ({f"tidemark_vault_rolled_back{{{VAULT}}}": "1x100"},
                                {f"tidemark_vault_rolled_back{{{VAULT}}}": "0x100"}),
    "TidemarkVaultFillingUp": (
        {f"tidemark_vault_free_bytes{{{VAULT}}}": "140-1x100", f"tidemark_vault_capacity_bytes{{{VAULT}}}": "1000x100"},
        {f"tidemark_vault_free_bytes{{{VAULT}}}": "140x100", f"tidemark_vault_capacity_bytes{{{VAULT}}}": "1000x100"}),
    "TidemarkVerifyFault": ({f'tidemark_verify_faults_total{{{VAULT},kind="pack"}}': "0x80 1x20"},
                            {f'tidemark_verify_faults_total{{{VAULT},kind="pack"}}': "2x100"}),
    "TidemarkVerifyStale": ({f'tidemark_verify_last_success_timestamp_seconds{{{VAULT},depth="full"}}': "-1300000x100"},
                            {f'tidemark_verify_last_success_timestamp_seconds{{{VAULT},depth="full"}}': "0x100"}),
    "TidemarkDrillStale": ({f"tidemark_drill_last_success_timestamp_seconds{{{POLICY}}}": "-3100000x100"},
                           {f"tidemark_drill_last_success_timestamp_seconds{{{POLICY}}}": "0x100"}),
    "TidemarkDrillFailed": ({f'tidemark_drill_runs_total{{{POLICY},result="failure"}}': "0x80 1x20"},
                            {f'tidemark_drill_runs_total{{{POLICY},result="success"}}': "0+1x100",
                             f'tidemark_drill_runs_total{{{POLICY},result="failure"}}': "0x100"}),
    "TidemarkConfigReloadRefused": ({'tidemark_config_last_reload_successful{instance="i"}': "0x100"},
                                    {'tidemark_config_last_reload_successful{instance="i"}': "1x100"}),
    "TidemarkTopicsUnprotected": ({'tidemark_topics_unprotected{kafka_cluster="c"}': "3x100"},
                                  {'tidemark_topics_unprotected{kafka_cluster="c"}': "0x100"}),
    "TidemarkLoopBlocked": (
        {'tidemark_event_loop_blocked_seconds_count{instance="i",job="tidemark"}': "0+100x100",
         'tidemark_event_loop_blocked_seconds_bucket{instance="i",job="tidemark",le="0.25"}': "0+99x100"},
        {'tidemark_event_loop_blocked_seconds_count{instance="i",job="tidemark"}': "0+100x100",
         'tidemark_event_loop_blocked_seconds_bucket{instance="i",job="tidemark",le="0.25"}': "0+100x100"}),
}


def case(alert, series, fires):
    series = series if alert == "TidemarkDown" else series | UP
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{
            "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
            "eval_time": "95m", "exp_samples": [{"labels": "{}", "value": int(fires)}]}],
    }


def test_every_alert_fires_when_it_should_and_is_silent_when_not(tmp_path):
    assert set(ALERTS) == set(rules())
    tests = [case(alert, series, fires) for alert, both in ALERTS.items() for series, fires in zip(both, (True, False))]
    path = tmp_path / "rules.test.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    run("promtool", "check", "rules", RULES)
    run("promtool", "test", "rules", path)


def test_rules_name_what_is_exported_and_what_to_do():
    known = exported()
    text = (ROOT / "docs" / "runbook.md").read_text()
    anchors = {re.sub(r"[^a-z0-9-]", "", heading.lower().replace(" ", "-"))
               for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    for alert, rule in rules().items():
        assert set(METRIC.findall(rule["expr"])) <= known, alert
        assert {"summary", "description", "runbook_url"} <= set(rule["annotations"]), alert
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert page == "docs/runbook.md" and anchor == alert.lower() and anchor in anchors, alert
    assert set(METRIC.findall(text)) - known == set()


def expressions(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, str) and (key == "expr" or (key == "query" and "(" in value)):
                yield value
            yield from expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value)


def test_the_dashboard_shows_only_what_is_exported():
    board = json.loads((EXAMPLES / "grafana" / "tidemark.json").read_text())
    found = list(expressions(board))
    assert len(found) > 15
    for expr in found:
        names = set(METRIC.findall(expr))
        assert names and names <= exported(), expr
    places = [panel["gridPos"] for panel in board["panels"]]
    assert len({panel["id"] for panel in board["panels"]}) == len(places)
    assert all(place["x"] + place["w"] <= 24 for place in places)


# Kubernetes, ECS, Docker

MANIFESTS = sorted((EXAMPLES / "kubernetes").rglob("*.yaml"))


def documents():
    return [(path, document) for path in MANIFESTS for document in yaml.safe_load_all(path.read_text())]


def test_manifests_are_valid_for_kubernetes():
    plain = [path for path in MANIFESTS if "monitoring" not in path.parts and path.name != "kustomization.yaml"]
    assert len(plain) >= 2
    run(pathlib.Path(sys.executable).with_name("kubernetes-validate"), "--strict", "-k", "1.31", *plain)


def test_the_operator_gets_the_same_rules():
    resource = yaml.safe_load((EXAMPLES / "kubernetes" / "monitoring" / "prometheusrule.yaml").read_text())
    assert resource["kind"] == "PrometheusRule" and resource["spec"] == yaml.safe_load(RULES.read_text())
    monitor = yaml.safe_load((EXAMPLES / "kubernetes" / "monitoring" / "servicemonitor.yaml").read_text())
    services = [document for _, document in documents() if document["kind"] == "Service"]
    assert all(monitor["spec"]["selector"]["matchLabels"].items() <= one["metadata"]["labels"].items() for one in services)
    ports = {port["name"] for one in services for port in one["spec"]["ports"]}
    assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= ports


def pods():
    for path, document in documents():
        if document["kind"] == "StatefulSet":
            yield path, document, document["spec"]["template"]["spec"]


def daemons():
    """Containers that run tidemarkd, with the pod they are in."""
    for path, document, pod in pods():
        for container in pod.get("initContainers", []) + pod["containers"]:
            if container["name"] == "tidemarkd":
                yield path, document, pod, container


def test_pods_are_confined_and_ask_the_right_questions():
    found = list(daemons())
    assert len(found) == 2
    for path, _, pod, container in found:
        assert pod["automountServiceAccountToken"] is False, path
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] and context["runAsNonRoot"] and not context["allowPrivilegeEscalation"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        ports = {port["name"] for port in container["ports"]}
        for probe, route in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
            asked = container[probe]["httpGet"]
            assert asked["path"] == route and asked["port"] in ports, (path, probe)
        volumes = {volume["name"] for volume in pod["volumes"]}
        volumes |= {claim["metadata"]["name"] for _, document, other, _ in found if other is pod
                    for claim in document["spec"].get("volumeClaimTemplates", [])}
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes, path
        assert "/var/lib/tidemark" in {mount["mountPath"] for mount in container["volumeMounts"]}


def options_of_the_daemon():
    return set(re.findall(r"--[a-z-]+", run(build_dir() / "daemon" / "tidemarkd", "--help")))


def test_containers_use_options_that_there_are():
    words = [word for *_, container in daemons() for word in container["args"]]
    task = json.loads((EXAMPLES / "ecs" / "task-definition.json").read_text())
    words += [word for container in task["containerDefinitions"] for word in container["command"]]
    dockerfile = (EXAMPLES / "docker" / "Dockerfile").read_text()
    words += [word for line in re.findall(r'^CMD (\[.*\])$', dockerfile, re.MULTILINE) for word in json.loads(line)]
    used = {word for word in words if word.startswith("--")}
    assert used and used <= options_of_the_daemon()


def configurations():
    return [(path, document["data"]["tidemark.yaml"]) for path, document in documents()
            if document["kind"] == "ConfigMap"]


def test_configurations_in_manifests_are_accepted(tmp_path, monkeypatch):
    found = configurations()
    assert len(found) == 2
    monkeypatch.setenv("TIDEMARK_CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "tokens").write_text(f"prometheus read sha256:{'0' * 64}\n")
    for name in ("vault-key", "kafka-password"):
        (tmp_path / name).write_bytes(b"k" * 32)
    for path in tmp_path.iterdir():
        path.chmod(0o600)
    for number, (path, text) in enumerate(found):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        file.chmod(0o600)
        done = tidemark("check-config", file, status=None)
        assert done.returncode == 0 and "error" not in done.stderr, f"{path}: {done.stderr}{done.stdout}"


def test_the_task_definition_is_one_of_fargates_sizes():
    task = json.loads((EXAMPLES / "ecs" / "task-definition.json").read_text())
    sizes = {"256": range(512, 2049), "512": range(1024, 4097), "1024": range(2048, 8193)}
    assert int(task["memory"]) in sizes[task["cpu"]] and task["networkMode"] == "awsvpc"
    container, = task["containerDefinitions"]
    assert container["readonlyRootFilesystem"] is True and container["user"] == "65532:65532"
    mounted = {mount["sourceVolume"] for mount in container["mountPoints"]}
    assert mounted <= {volume["name"] for volume in task["volumes"]}
    check = container["healthCheck"]["command"]
    assert check[0] == "CMD" and check[1].endswith("tidemark") and "--live" in check


def test_the_images_health_check_is_a_command_that_there_is():
    text = (EXAMPLES / "docker" / "Dockerfile").read_text()
    command = json.loads(re.search(r"^HEALTHCHECK .*CMD (\[.*\])$", text, re.MULTILINE).group(1))
    assert command[0] == "/usr/bin/tidemark" and "--live" in tidemark("status", "--help").stdout
    assert shlex.join(command[1:]).startswith("status --live")
    assert re.search(r"^USER 65532:65532$", text, re.MULTILINE)

"""The files of docs/deploying: the tools accept them, they name what there is, and the backup can be loaded."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.core.subscribers import Subscriber
from gateway.server.health import health_routes
from gateway.server.metrics import Metrics
from gateway.service.http_messages import Message, Response
from gateway.settings import Settings, table
from tests.command_line import Run
from tests.deploying import DEPLOYING, verify_units

COMMANDS = Path(sys.executable).parent


def test_the_units_are_valid() -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze")
    assert verify_units() == ""


@pytest.mark.parametrize("file", sorted(DEPLOYING.iterdir()), ids=lambda file: file.name)
def test_every_setting_that_a_file_names_exists(file: Path) -> None:
    named = set(re.findall(r"\bGATEWAY_[A-Z0-9_]*[A-Z0-9]", file.read_text()))
    assert named <= {name for name, *_ in table()}


@pytest.mark.parametrize("file", sorted(DEPLOYING.iterdir()), ids=lambda file: file.name)
def test_every_file_is_documented(file: Path) -> None:
    assert f"(deploying/{file.name})" in (DEPLOYING.parent / "deploying.md").read_text()


def test_kubernetes_asks_addresses_that_there_are_and_waits_for_requests_in_flight() -> None:
    deployment, service, budget = yaml.safe_load_all((DEPLOYING / "kubernetes.yaml").read_text())
    pod = deployment["spec"]["template"]
    [container] = pod["spec"]["containers"]
    paths = {container[probe]["httpGet"]["path"] for probe in ("readinessProbe", "livenessProbe")}
    assert paths == {route.path for route in health_routes()}
    assert pod["spec"]["terminationGracePeriodSeconds"] > Settings().shutdown_seconds
    labels = pod["metadata"]["labels"]
    selectors = (deployment["spec"]["selector"], budget["spec"]["selector"])
    assert [labels, *(each["matchLabels"] for each in selectors)] == [service["spec"]["selector"]] * 3
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["containerPort"] == Settings().port


def test_the_backup_has_everything_and_old_ones_are_removed(run: Run, url: str, tmp_path: Path) -> None:
    assert run("database create --id 1 --name one").exit_code == 0
    row = b'{"email":"ann@example.com"}'
    (tmp_path / "people.ndjson").write_bytes(row)
    assert run("import", str(tmp_path / "people.ndjson")).exit_code == 0
    folder = tmp_path / "backups"
    folder.mkdir()
    old = folder / "profiles-20200101T000000Z.ndjson.gz"
    old.write_bytes(b"")
    os.utime(old, (0, 0))
    environment = {**os.environ, "GATEWAY_STORE": url, "PATH": f"{COMMANDS}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([DEPLOYING / "backup.sh", folder, "30"], env=environment, check=True, capture_output=True)
    dump, secret = sorted(folder.iterdir())
    assert (dump.suffixes, secret.suffix) == ([".ndjson", ".gz"], ".secret")
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    assert secret.read_bytes() == (tmp_path / "gateway.db.secret").read_bytes()
    restored = f"sqlite:///{tmp_path}/restored.db"
    load = f"gunzip --stdout {dump} | profile-gateway load --store {restored} -"
    subprocess.run(["bash", "-c", load], env=environment, check=True, capture_output=True)
    exports = [
        subprocess.run(
            ["profile-gateway", "export", "--store", store, "-"], env=environment, check=True, capture_output=True
        ).stdout
        for store in (url, restored)
    ]
    assert exports[0] == exports[1] == b'{"email":"ann@example.com"}\n'


# The dashboard

DASHBOARD: dict[str, Any] = json.loads((DEPLOYING / "grafana-dashboard.json").read_text())


def samples() -> dict[str, set[str]]:
    """Return the names of the labels of each sample that the gateway exposes."""
    metrics = Metrics()
    metrics.responded("altcraft", "/api", Message("POST", {}, b""), Response(200, {}, b""), 0.0, 0.1)
    metrics.opened()
    metrics.rejected(503)
    metrics.sent("webhook", "delivered", 1)
    metrics.lagged(Subscriber(1, "id", "webhook", 0, {}, "", 0), 0)
    return {
        sample.name: set(sample.labels) for family in metrics._registry.collect() for sample in family.samples
    }  # the same names in the text format


def expressions() -> list[str]:
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return panels + [each["query"]["query"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]


@pytest.mark.parametrize("expression", expressions())
def test_every_expression_of_the_dashboard_names_metrics_and_labels_that_there_are(expression: str) -> None:
    known = samples()
    of_prometheus = {"job", "instance"}
    named = re.findall(r"\b(gateway_\w+)", expression)
    assert named
    assert set(named) <= known.keys()
    labels = set(re.findall(r'(\w+)(?:=~|!~|!=|=)"', expression))
    for group in re.findall(r"by \(([^)]*)\)", expression):
        labels |= {label.strip() for label in group.split(",")}
    assert labels <= set.union(*(known[name] for name in named)) | of_prometheus


def test_every_metric_is_on_the_dashboard() -> None:
    text = " ".join(expressions())
    missing = [family.name for family in Metrics()._registry.collect() if not re.search(rf"\b{family.name}", text)]
    assert missing == []


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))

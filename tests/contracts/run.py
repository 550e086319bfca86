"""Public tools over the contract and a running gateway: `python -m tests.contracts.run [EXAMPLES] [SEED]`.

schemathesis with all its checks, in an environment of its own under `.contracts/`, and Redocly's linter where there is
npm. Exits with 1 where either finds anything. EXAMPLES are those that are drawn for each call (by default 100); beside
them every bound and type of the contract is tried, which is most of some 100,000 requests. A SEED repeats a run.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.sdks.environments import KEY, serving

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
HOME = ROOT / ".contracts"
SCHEMATHESIS = "schemathesis==4.32.5"
REDOCLY = "@redocly/cli@2"
PHASES = "examples,coverage,fuzzing,stateful"


def main(examples: str = "100", seed: str = "") -> int:
    os.environ |= {"GATEWAY_RATE_LIMITS": "0", "GATEWAY_ACCESS_LOG": "0"}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as url:
        found = [fuzzed(url, examples, seed)]
    if shutil.which("npm"):
        found.append(linted())
    else:
        print("there is no npm: the linter is left out")
    return 0 if all(found) else 1


def fuzzed(url: str, examples: str, seed: str) -> bool:
    """Whether schemathesis finds nothing; its hooks read XML with the gateway's own codec."""
    if not (HOME / "made").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", HOME], check=True)
        free = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
        subprocess.run([HOME / "bin" / "pip", "install", "-qq", SCHEMATHESIS, "--editable", ROOT], env=free, check=True)
        (HOME / "made").touch()
    command = [HOME / "bin" / "schemathesis", "--config-file", HERE / "schemathesis.toml", "run", f"{url}/openapi.json"]
    # One worker: with two, CPython 3.11 loses count of a recursion that both are in.
    options = ["--header", f"Authorization: Bearer {KEY}", "--checks", "all", "--phases", PHASES, "--workers", "1"]
    drawn = ["--max-examples", examples, "--continue-on-failure", *(["--seed", seed] if seed else [])]
    return subprocess.run([*command, *options, *drawn], cwd=HERE, check=False).returncode == 0


def linted() -> bool:
    """Whether the linter of Redocly finds nothing."""
    HOME.mkdir(exist_ok=True)
    subprocess.run([Path(sys.executable).parent / "profile-gateway", "contracts", HOME / "written"], check=True)
    command = ["npx", "--yes", REDOCLY, "lint", "--config", HERE / "redocly.yaml", HOME / "written" / "openapi.json"]
    return subprocess.run(command, cwd=HOME, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""A stranger's repository, three cases, the built wheel: green by pytest and by `check`, then red with a diff."""

import json
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("packaging")

TOKEN = "abcdefghijklmnqrstuvwxyz"
OLLY = {"id": "65f1a0c2d4e8b7a19c3f0001", "document": {"email": "olly@example.com", "given_name": "Olly"}}
ANY_ID = {"$pattern": "^[0-9a-f]{24}$"}
CASES = {
    "imports-a-profile": {
        "case.json": {"method": "POST", "path": "/api/v1.1/profiles/import", "status": 200},
        "request.json": {"token": TOKEN, "db_id": 1, "email": "a@example.com", "data": {"email": "a@example.com"}},
        "response.json": {"error": 0, "error_text": {"$type": "string"}, "profile_id": ANY_ID},
        "after.json": [{"id": f"{0xA1:024x}", "document": {"email": "a@example.com"}}],
    },
    "reads-a-profile": {
        "case.json": {"method": "POST", "path": "/api/v1.1/profiles/get", "status": 404},
        "request.json": {"token": TOKEN, "db_id": 1, "email": "nobody@example.com"},
        "response.json": {"error": 404, "error_text": {"$any": True}},
    },
    "renames-a-profile": {
        "case.json": {"method": "POST", "path": "/api/v1.1/profiles/update", "status": 200},
        "before.json": [OLLY],
        "request.json": {"token": TOKEN, "db_id": 1, "email": "olly@example.com", "data": {"_fname": "Molly"}},
        "response.json": {"error": 0, "error_text": "Successful operation", "profile_id": OLLY["id"]},
        "after.json": [{"id": OLLY["id"], "document": {"email": "olly@example.com", "given_name": "Molly"}}],
    },
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name, files in CASES.items():
        (tmp_path / "cases" / name).mkdir(parents=True)
        for file, content in files.items():
            (tmp_path / "cases" / name / file).write_text(json.dumps(content))
    (tmp_path / "pytest.ini").write_text("[pytest]\ngateway_cases = cases\n")
    (tmp_path / "test_own.py").write_text("def test_own(gateway_url): assert gateway_url[:4] == 'http'\n")
    return tmp_path


def run(python: Path, command: str, where: Path) -> tuple[int, str]:
    done = subprocess.run([python, "-m", *command.split()], cwd=where, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize("command", ["pytest -p no:cacheprovider -v", "gateway check cases"])
def test_is_green_and_then_red_where_one_value_differs(elsewhere: Path, repository: Path, command: str) -> None:
    python = elsewhere / "bin" / "python"
    passed = ["7 passed" if "pytest" in command else "6 passed"]
    status, printed = run(python, command, repository)
    assert (status, re.findall(r"\d+ (?:passed|failed)", printed)) == (0, passed)
    changed = repository / "cases" / "renames-a-profile" / "response.json"
    changed.write_text(changed.read_text().replace("0,", "5,"))
    status, printed = run(python, command, repository)
    assert status == 1
    assert "renames-a-profile[json]" in printed
    assert "renames-a-profile[xml]" in printed
    assert printed.count("answer /error: expected 5, got 0") >= 2


@pytest.mark.parametrize("where", ["cases", "tests/cases"])
def test_cases_are_run_wherever_the_repository_has_its_tests(elsewhere: Path, repository: Path, where: str) -> None:
    (repository / "tests").mkdir()
    (repository / "test_own.py").rename(repository / "tests" / "test_own.py")
    (repository / "cases").rename(repository / where)
    (repository / "pytest.ini").write_text(f"[pytest]\ntestpaths = tests\ngateway_cases = {where}\n")
    python = elsewhere / "bin" / "python"
    for asked, passed in (("", "7 passed"), (" tests/test_own.py", "1 passed")):
        status, printed = run(python, f"pytest -p no:cacheprovider -q{asked}", repository)
        assert (status, re.findall(r"\d+ passed", printed)) == (0, [passed])


def test_a_repository_without_cases_is_not_disturbed(elsewhere: Path, tmp_path: Path) -> None:
    (tmp_path / "case.json").write_text('{"not": "ours"}')
    (tmp_path / "test_own.py").write_text(
        "import sys\ndef test_own(): assert not {'gateway', 'httpx', 'lxml'} & sys.modules.keys()\n"
    )
    status, printed = run(elsewhere / "bin" / "python", "pytest -p no:cacheprovider", tmp_path)
    assert (status, re.findall(r"\d+ \w+ in", printed)) == (0, ["1 passed in"])


@pytest.fixture
def repository_with_own_gateway(repository: Path) -> Path:
    """A repository whose tests import a package `gateway` of its own, without settings of the plugin."""
    (repository / "gateway").mkdir()
    (repository / "gateway" / "__init__.py").write_text("OWN = True\n")
    (repository / "conftest.py").touch()
    (repository / "test_own.py").write_text("import gateway\ndef test_own(): assert gateway.OWN\n")
    (repository / "pytest.ini").rename(repository / "with-cases.ini")
    (repository / "pytest.ini").write_text("[pytest]\n")
    return repository


@pytest.mark.parametrize("command", ["python -m pytest", "pytest"])
def test_a_package_of_the_same_name_is_not_disturbed(
    elsewhere: Path, repository_with_own_gateway: Path, command: str
) -> None:
    arguments = [*_command(elsewhere, command), "-p", "no:cacheprovider"]
    done = subprocess.run(arguments, cwd=repository_with_own_gateway, capture_output=True, text=True, check=False)
    assert (done.returncode, re.findall(r"\d+ \w+ in", done.stdout)) == (0, ["1 passed in"]), done.stdout + done.stderr


@pytest.mark.parametrize("command", ["python -m pytest", "pytest"])
def test_cases_beside_a_package_of_the_same_name_lead_to_the_command(
    elsewhere: Path, repository_with_own_gateway: Path, command: str
) -> None:
    arguments = [*_command(elsewhere, command), "-c", "with-cases.ini"]
    done = subprocess.run(arguments, cwd=repository_with_own_gateway, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert (
        f"the package `gateway` at {repository_with_own_gateway}/gateway is not that of Profile Gateway" in done.stderr
    )
    assert "profile-gateway check" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_checks_cases_beside_a_package_of_the_same_name(
    elsewhere: Path, repository_with_own_gateway: Path
) -> None:
    arguments = [elsewhere / "bin" / "profile-gateway", "check", "cases"]
    done = subprocess.run(arguments, cwd=repository_with_own_gateway, capture_output=True, text=True, check=False)
    assert (done.returncode, re.findall(r"\d+ passed", done.stdout)) == (0, ["6 passed"]), done.stderr


def _command(elsewhere: Path, command: str) -> list[str | Path]:
    """The command with the interpreter of the environment. Its libraries are borrowed, and with them their scripts."""
    if command == "pytest":  # the script does not add the working folder to the path
        return [
            elsewhere / "bin" / "python",
            "-c",
            "import sys; sys.path.pop(0); import pytest; sys.exit(pytest.main())",
        ]
    return [elsewhere / "bin" / "python", "-m", "pytest"]


def test_a_folder_that_is_not_there_is_named(elsewhere: Path, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\ngateway_cases = case\n")
    command = [elsewhere / "bin" / "python", "-m", "pytest"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "gateway_cases: there is no folder" in done.stderr) == (4, True)

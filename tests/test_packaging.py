"""Checkout → sdist → wheel → an environment elsewhere: the schemas come along, and nothing needs the checkout."""

import re
import tarfile
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from tests.sdks.environments import serving
from tests.wheel import ROOT, build, run

SCHEMAS = {
    f"gateway/{path.relative_to(ROOT)}": path.read_bytes() for path in (ROOT / "schemas").rglob("*") if path.is_file()
}

pytestmark = pytest.mark.xdist_group("packaging")  # one worker builds for all of these tests


def contents_of_wheel(folder: Path) -> dict[str, bytes]:
    [path] = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_there_are_schemas_to_carry() -> None:
    assert "gateway/schemas/update.schema.json" in SCHEMAS


def test_the_wheel_made_from_the_sdist_carries_the_schemas(dist: Path) -> None:
    assert SCHEMAS.items() <= contents_of_wheel(dist).items()


def test_the_wheel_made_from_the_checkout_carries_the_schemas(tmp_path: Path) -> None:
    assert SCHEMAS.items() <= contents_of_wheel(build(tmp_path, "--wheel")).items()


def test_the_wheel_holds_the_package_and_nothing_else(dist: Path) -> None:
    tops = {name.partition("/")[0] for name in contents_of_wheel(dist)}
    assert tops == {"gateway", f"profile_gateway-{version('profile-gateway')}.dist-info"}


def test_the_sdist_carries_the_schemas_as_files(dist: Path) -> None:
    [path] = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        files = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert files > SCHEMAS.keys()


def test_an_installed_gateway_reads_its_own_schemas(elsewhere: Path) -> None:
    code = """if True:
        from importlib.resources import files
        import gateway
        print(gateway.__file__)
        for path in (files("gateway") / "schemas").rglob("*.json"):
            path.read_bytes()
            print(path.relative_to(files("gateway").parent))
    """
    where, *found = run(elsewhere / "bin" / "python", "-c", code, cwd=elsewhere).splitlines()
    assert where.startswith(str(elsewhere))
    assert set(found) == SCHEMAS.keys()


def test_an_installed_gateway_has_its_command(elsewhere: Path) -> None:
    assert version("profile-gateway") in run(elsewhere / "bin" / "profile-gateway", "--version", cwd=elsewhere)


def test_an_installed_gateway_serves_its_contracts_and_their_page(elsewhere: Path, tmp_path: Path) -> None:
    with serving(tmp_path, elsewhere / "bin") as url, httpx.Client(base_url=url) as client:
        page = client.get("/docs")
        assert page.status_code == 200
        linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert "docs/swagger-ui-bundle.js" in linked
        for path in (*linked, "openapi.json", "schemas/AltcraftUpdate.xsd"):
            reply = client.get(f"/{path}")
            assert (reply.status_code, bool(reply.content)) == (200, True), path


def test_every_dependency_is_pinned_and_what_is_pinned_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    normal = {re.sub("[-_.]+", "-", name).lower() for name in pins}
    assert {re.split("[^A-Za-z0-9-]", name)[0] for name in named} <= normal
    assert {name: version(name) for name in pins} == pins

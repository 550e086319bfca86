"""Checkout → sdist → wheel → an environment elsewhere: the schemas come along, and nothing needs the checkout."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from gateway.openapi.viewer import viewer_files
from gateway.optional_dependencies import OTLP_EXPORTER
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


def test_the_wheel_contains_the_package_and_nothing_else(dist: Path) -> None:
    tops = {name.partition("/")[0] for name in contents_of_wheel(dist)}
    assert tops == {"gateway", "pytest_profile_gateway.py", f"profile_gateway-{version('profile-gateway')}.dist-info"}


def test_the_wheel_is_typed(dist: Path) -> None:
    assert "gateway/py.typed" in contents_of_wheel(dist)


def test_the_sdist_carries_the_schemas_as_files(dist: Path) -> None:
    [path] = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        files = {member.name.partition("/")[2] for member in archive if member.isfile()}
    parts = ("schemas/update.schema.json", "docs/glossary.md", "gateway/py.typed", "pytest_profile_gateway.py")
    assert files >= {*parts, *(name.removeprefix("gateway/") for name in SCHEMAS)}


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
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = configuration["project"]
    extras = [name for extra, names in project["optional-dependencies"].items() if extra != "all" for name in names]
    named = [*project["dependencies"], *extras, *configuration["dependency-groups"]["dev"]]
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    normal = {re.sub("[-_.]+", "-", name).lower() for name in pins}
    assert {re.split("[^A-Za-z0-9-]", name)[0] for name in named} <= normal
    assert {name: version(name) for name in pins} == pins


# --- extras ---

LIBRARIES = {
    "postgresql": "psycopg",
    "metrics": "prometheus_client",
    "geoip": "maxminddb",
    "docs": "swagger_ui_bundle",
    "console": "jinja2",
    "webhooks": "cryptography",
    "tracing": OTLP_EXPORTER,
    "jwt": "jwt",
    "graphql": "graphql",
}

WITHOUT = """if True:
    import sys
    sys.modules[sys.argv.pop(1)] = None  # importing it raises ModuleNotFoundError
    from gateway.cli.main import main
    main()
"""


def test_the_extra_all_has_every_other_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras.keys() == {*LIBRARIES, "all"}
    assert extras["all"] == [f"profile-gateway[{','.join(sorted(LIBRARIES))}]"]


@pytest.mark.parametrize(
    ("extra", "command", "environment"),
    [
        ("postgresql", "database list --store postgresql://localhost/none", {}),
        ("metrics", "serve --port 0", {"GATEWAY_METRICS_TOKEN": "secret"}),
        ("tracing", "serve --port 0", {"GATEWAY_TRACING": "true"}),
        ("geoip", "serve --port 0", {"GATEWAY_GEOIP": "city.mmdb"}),
    ],
)
def test_a_missing_extra_is_named(tmp_path: Path, extra: str, command: str, environment: dict[str, str]) -> None:
    arguments = [sys.executable, "-c", WITHOUT, LIBRARIES[extra], *command.split()]
    settings = {**os.environ, "GATEWAY_STORE": f"sqlite:///{tmp_path}/gateway.db", **environment}
    done = subprocess.run(arguments, env=settings, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"Error: this needs an extra: pip install 'profile-gateway[{extra}]'\n"


def test_without_its_extra_the_reference_page_explains_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "swagger_ui_bundle", None)
    files = viewer_files()
    assert files.keys() == {"docs"}
    assert b"pip install &#x27;profile-gateway[docs]&#x27;" in files["docs"]


@pytest.mark.parametrize("library", LIBRARIES.values())
def test_the_base_serves_without_the_libraries_of_extras(tmp_path: Path, library: str) -> None:
    code = "import sys; sys.modules[sys.argv[1]] = None; import gateway.server.app as app; app.create(app.Settings())"
    run(sys.executable, "-c", code, library, cwd=tmp_path)

"""The published contracts, held to the calls, to every conversation of `fixtures/`, and to others' validators."""

import json
import re
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jsonschema_rs
import pytest
from click.testing import CliRunner
from lxml import etree
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.applications import Starlette

from gateway.api.calls import CALLS
from gateway.cli.main import main
from gateway.core.numbers import UnrepresentableNumber
from gateway.dialects import load_dialects
from gateway.dialects.klaviyo.fields import WRITE_ONLY_FIELDS
from gateway.dialects.protocol import Call
from gateway.media import Bounds, codec_for
from gateway.media.charsets import to_utf8
from gateway.openapi.files import MOVED, contracts, schema, site
from gateway.server.app import create
from gateway.service.bootstrap import bootstrap
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.protocol import Store
from gateway.testkit.server_thread import ServerThread
from tests.cases import Case, cases
from tests.examples import FILE, rendered

DIALECTS = {dialect.name: dialect for dialect in load_dialects({})}
PUBLISHED = contracts(list(DIALECTS.values()))
DOCUMENT = json.loads(PUBLISHED["openapi.json"])
SCHEMAS = DOCUMENT["components"]["schemas"]
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
BEYOND = {
    "altcraft/adds-a-batch-whatever-matching-says[xml]": "the call does not have the parameter, and ignores it",
    "altcraft/adds-a-profile-that-shares-a-phone[xml]": "the call does not have the parameter, and ignores it",
    "altcraft/lists-another-database-for-its-own-token[xml]": "the call does not have the parameter, and ignores it",
    "altcraft/updates-a-batch-by-each-elements-own-email-not-one-beside-the-batch[xml]": "so is one beside a batch",
    "altcraft/updates-and-ignores-unknown-top-level-members[xml]": "an unknown parameter is ignored",
    "altcraft/leaves-out-all-subscriptions-where-all-are-invalid[json]": "what is wrong is left out",
    "altcraft/leaves-out-invalid-subscriptions[json]": "what is wrong is left out",
    "altcraft/leaves-out-invalid-subscriptions[xml]": "what is wrong is left out",
    "klaviyo/imports-the-profiles-that-are-right[json]": "a bad element fails alone",
    "klaviyo/rehearses-a-job[json]": "a bad element fails alone",
    "altcraft/imports-and-starts-a-batch-but-for-the-bad-element[json]": "a bad element fails alone",
    "altcraft/adds-a-batch-but-for-the-decimal-that-no-float-keeps[json]": "a bad element fails alone",
    "altcraft/imports-a-batch-but-for-the-integer-past-64-bits[json]": "a bad element fails alone",
    "altcraft/leaves-out-a-subscription-with-a-number-past-64-bits[json]": "what is wrong is left out",
    "altcraft/updates-a-batch-but-for-the-element-that-is-no-object[json]": "a bad element fails alone",
    "altcraft/updates-a-batch-but-for-the-element-that-is-no-object[xml]": "a bad element fails alone",
    "courier/posts-preferences-of-which-some-have-other-types[json]": "a bad topic fails alone",
}
"""What the gateway accepts beyond the contract."""

ROOMY = Bounds(nodes=1_000_000)


def operation_of(case: Case) -> dict[str, Any] | None:
    """The operation that a case calls; None where it calls none."""
    path = urlsplit(case.about["path"]).path.rstrip("/")
    for name, operation in OPERATIONS.items():
        method, _, template = name.partition(" ")
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if method == case.about["method"] and re.fullmatch(pattern, path):
            return operation
    return None


USUAL = [case for case in cases(*DIALECTS, "crossing") if "altcraft_always_200" not in case.about.get("settings", {})]
CALLING = [(case, operation) for case in USUAL if (operation := operation_of(case))]
ACCEPTED = [(case, operation) for case, operation in CALLING if case.about["status"] < 300 and case.request]


@cache
def validator(reference: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for({"$ref": reference, "components": DOCUMENT["components"]})


@cache
def xml_schema(path: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.fromstring(PUBLISHED[path]))


def request_faults(case: Case, operation: dict[str, Any]) -> list[str]:
    charset = codec_for(case.headers["content-type"])[1] or declared_in(case.request)
    return faults(to_utf8(case.request, charset), operation["requestBody"]["content"], case.media)


def declared_in(body: bytes) -> str | None:
    found = re.match(rb"""<\?xml[^>]*\sencoding=["']([^"']+)""", body)
    return found[1].decode() if found else None


def faults(body: bytes, content: dict[str, Any], media: str) -> list[str]:
    """What is wrong with a body in UTF-8, by the contract of its media type."""
    body_schema = next(value for name, value in content.items() if name.endswith(media))["schema"]
    references = (
        body_schema["x-xsd"] if media == "xml" else [each["$ref"] for each in body_schema.get("anyOf", [body_schema])]
    )
    found = [(faults_in_xml if media == "xml" else faults_in_json)(body, each) for each in references]
    return min(found, key=len)


def faults_in_json(body: bytes, reference: str) -> list[str]:
    marks: list[UnrepresentableNumber] = []
    tree = codec_for("application/json")[0].decode(body, None, ROOMY, marks)
    if marks:
        return [mark.detail for mark in marks]
    return [f"{error.instance_path} {error.message}" for error in validator(reference).iter_errors(tree)]


def faults_in_xml(body: bytes, path: str) -> list[str]:
    checked = xml_schema(path)
    checked.validate(etree.fromstring(body, etree.XMLParser(encoding="utf-8")))
    return [str(error) for error in checked.error_log]


# --- the conversations ---


def test_every_accepted_request_is_valid_by_the_contract() -> None:
    found = {case.name: request_faults(case, operation) for case, operation in ACCEPTED}
    assert len(found) > 300
    assert {name: wrong for name, wrong in found.items() if wrong and name not in BEYOND} == {}
    assert [name for name in BEYOND if not found[name]] == []


def test_every_response_is_valid_by_the_contract() -> None:
    found = {}
    for case, operation in CALLING:
        response = resolved(operation["responses"][str(case.about["status"])])
        assert bool(case.response) == ("content" in response), case.name
        if case.response:
            media, body = case.expected
            found[case.name] = faults(body, response["content"], media)
    assert len(found) > 500
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def resolved(response: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in response:
        return response
    found: dict[str, Any] = DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return found


# --- the calls ---


def test_every_call_is_described_and_nothing_else_is() -> None:
    for name, dialect in DIALECTS.items():
        described = schema(f"{name}.openapi")["calls"]
        assert described.keys() == {f"{call.method} {call.path}" for call in dialect.calls}


def test_a_call_that_is_not_described_cannot_be_published() -> None:
    dialect = load_dialects({})[0]
    call = dialect.calls[0]
    more = Call(call.method, f"{call.path}/more", call.operation, call.right, call.parse, call.render)
    dialect.calls = (*dialect.calls, more)
    with pytest.raises(KeyError, match="profiles/update/more"):
        contracts([dialect])


def test_every_part_of_a_description_is_there_and_used() -> None:
    used = set(re.findall(r"#/components/(\w+/\w+)", json.dumps(DOCUMENT)))
    defined = {f"{kind}/{name}" for kind, all_of_it in DOCUMENT["components"].items() for name in all_of_it}
    assert used - defined == set()
    assert {each for each in defined - used if not each.startswith("securitySchemes/")} == {"schemas/AltcraftFunction"}


def test_names_of_operations_are_unique() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    rows = [row for name in DIALECTS for row in schema(f"{name}.openapi")["calls"].values() if row["replies"]]
    assert len(names) == len(set(names)) == len(rows) + len(CALLS)


def test_every_operation_can_succeed() -> None:
    assert [name for name, each in OPERATIONS.items() if not any(status < "3" for status in each["responses"])] == []


def test_every_call_of_the_gateways_own_api_is_described_with_its_parameters() -> None:
    own = {name: operation for name, operation in OPERATIONS.items() if operation["tags"] == ["gateway"]}
    assert own.keys() == {f"{call.method} {call.path}" for call in CALLS}
    for name, operation in own.items():
        in_path = [parameter(each)["name"] for each in operation["parameters"] if parameter(each)["in"] == "path"]
        assert in_path == re.findall(r"\{(\w+)\}", name)


def parameter(reference: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["components"]["parameters"][reference["$ref"].rpartition("/")[2]]
    return found


@pytest.mark.parametrize("name", DIALECTS)
def test_every_field_of_a_dialect_is_in_its_request_and_response(name: str) -> None:
    written, shown, hidden = {
        "altcraft": ("AltcraftData", "AltcraftProfile", ()),
        "courier": ("CourierProfile", "CourierProfile", ()),
        "klaviyo": ("KlaviyoAttributes", "KlaviyoShown", WRITE_ONLY_FIELDS),
    }[name]
    for field in DIALECTS[name].fields:
        assert field in members(SCHEMAS[written]), field
        assert (field in members(SCHEMAS[shown])) is (field not in hidden), field


def members(schema: dict[str, Any]) -> set[str]:
    """The members of an object; those of an object inside it have its name and a dot before theirs."""
    found = set(schema.get("properties", ()))
    for name, member in schema.get("properties", {}).items():
        inner = SCHEMAS[member["$ref"].rpartition("/")[2]] if member.get("$ref", "").count("/") == 3 else member
        found |= {f"{name}.{each}" for each in inner.get("properties", ())}
    return found


def test_a_setting_that_answers_200_to_refusals_is_in_the_contract() -> None:
    document = json.loads(contracts(load_dialects({"altcraft_always_200": True}))["openapi.json"])
    responses = document["paths"]["/api/v1.1/profiles/add"]["post"]["responses"]
    assert responses.keys() == {"200"}
    schemas = re.findall("Altcraft\\w+", json.dumps(responses["200"]["content"]["application/json"]))
    assert schemas == ["AltcraftWritten", "AltcraftRefusal"]


# --- other people's validators ---


def test_the_document_is_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_xml_schema_is_one() -> None:
    paths = [path for path in PUBLISHED if path.endswith(".xsd")]
    assert {f"schemas/{name}.xsd" for name in ("AltcraftUpdate", "AltcraftWritten", "KlaviyoProfile")} <= set(paths)
    for path in paths:
        xml_schema(path)


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("AltcraftWritten", "<xml><error>0</error><error_text>Successful operation</error_text></xml>"),
        ("AltcraftWritten", "<XML/>"),
        ("AltcraftUpdate", "<xml><db_id>one</db_id></xml>"),
        ("AltcraftUpdate", "<xml><matching>name</matching></xml>"),
        ("AltcraftUpdate", "<xml><data><_fname><action>incr</action></_fname></data></xml>"),
        ("AltcraftUpdate", "<xml><data><subscriptions><colour>red</colour></subscriptions></data></xml>"),
        ("AltcraftUpdate", "<xml><data><_fname array='yes'>Ann</_fname></data></xml>"),
        ("AltcraftUpdate", "<xml><data>text</data></xml>"),
        ("KlaviyoProfileCreate", "<xml><data><attributes><colour>red</colour></attributes></data></xml>"),
    ],
)
def test_an_xml_schema_refuses_what_the_contract_does_not_define(path: str, document: str) -> None:
    assert not xml_schema(f"schemas/{path}.xsd").validate(etree.fromstring(document))


@pytest.mark.parametrize(
    "own",
    [
        "<colour>red</colour>",
        "<car><make>BMW</make></car>",
        "<tags array='true'/>",
        "<my_x0020_field>1</my_x0020_field>",
    ],
)
def test_an_xml_schema_accepts_own_fields_of_the_database(own: str) -> None:
    document = etree.fromstring(f"<xml><db_id> 1 </db_id><data><_fname>Ann</_fname>{own}</data></xml>")
    xml_schema("schemas/AltcraftUpdate.xsd").assertValid(document)


# --- where they are ---


@pytest.mark.parametrize("media_type", ["application/json", "application/xml"])
def test_the_first_example_succeeds_on_a_new_store(host: ServerThread, media_type: str) -> None:
    """Its token comes from the header, as the button Authorize sends it."""
    store = host.run(open_store("memory:", create=True))
    secret = host.run(bootstrap(store, Settings(), now=0))

    async def opened(_url: str) -> Store:
        return store

    path, methods = next(iter(DOCUMENT["paths"].items()))
    example = methods["post"]["requestBody"]["content"][media_type]["example"]
    body = example if isinstance(example, str) else json.dumps(example)
    headers = {"authorization": f"Bearer {secret}", "content-type": media_type}
    with host.serving(create(Settings(), open_store=opened)), httpx.Client(base_url=host.url) as client:
        assert path.endswith("/import")
        assert client.post(path, content=body, headers=headers).status_code == 200


def test_examples_are_those_of_the_fixtures() -> None:
    assert FILE.read_text() == rendered(), "run `make docs`"


def test_they_are_the_same_each_time() -> None:
    assert contracts(load_dialects({})) == PUBLISHED


def test_the_command_writes_what_is_served(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["contracts", str(tmp_path / "made")])
    assert (done.exit_code, done.output) == (0, f"{len(PUBLISHED)} files written to {tmp_path / 'made'}\n")
    written = {str(file.relative_to(tmp_path / "made")): file.read_bytes() for file in (tmp_path / "made").rglob("*.*")}
    assert written == PUBLISHED


def test_the_command_names_the_folder_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "schemas").write_text("a file in the way")
    done = CliRunner().invoke(main, ["contracts", str(tmp_path)])
    assert done.exit_code == 1
    assert str(tmp_path / "schemas") in done.output


def empty_gateway() -> Starlette:
    return create(Settings(store="memory:"), open_store=partial(open_store, create=True))


def test_every_file_is_served_with_its_type_and_a_policy(host: ServerThread) -> None:
    with (
        host.serving(empty_gateway()),
        httpx.Client(base_url=host.url) as client,
    ):
        for path, body in site(list(DIALECTS.values())).items():
            reply = client.get(f"/{path}")
            assert (reply.status_code, reply.content) == (200, body), path
            assert reply.headers["content-security-policy"].startswith("default-src 'none'")
        assert client.get("/openapi.json").headers["content-type"] == "application/json"
        assert client.get("/schemas/AltcraftUpdate.xsd").headers["content-type"] == "application/xml"
        assert client.get("/schemas/update.schema.json").headers["content-type"] == "application/schema+json"
        assert client.get("/docs").headers["content-type"] == "text/html; charset=utf-8"
        assert client.head("/openapi.json").status_code == 200
        assert client.get("/schemas/none.xsd").status_code == 404
        assert client.post("/openapi.json").status_code == 405


def test_a_moved_file_redirects_to_its_new_address(host: ServerThread) -> None:
    with (
        host.serving(empty_gateway()),
        httpx.Client(base_url=host.url) as client,
    ):
        for old, new in MOVED.items():
            reply = client.get(f"/{old}")
            assert (reply.status_code, reply.headers["location"]) == (308, f"../{new}")
            assert client.get(reply.headers["location"]).status_code == 200


def test_the_page_asks_no_other_host() -> None:
    page = site(list(DIALECTS.values()))
    assert re.findall(rb"""(?:src|href|url)\s*[=:]\s*["']?(?:https?:)?//""", page["docs"] + page["docs/start.js"]) == []

"""Public corpora against the codecs and the negotiation. Skipped by name where `../shared/corpora` is absent.

Where the gateway reads a row otherwise than the corpus, the row stands in `hostile/verdicts.json` with its reason.
"""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from gateway.core.faults import Refusal
from gateway.media import json as json_codec
from gateway.media import negotiate
from gateway.media import xml as xml_codec
from gateway.media.negotiation import elements, media_type, preference

CORPORA = Path(__file__).parents[2] / "shared" / "corpora"

VERDICTS = json.loads((Path(__file__).parent / "hostile" / "verdicts.json").read_text())
NARROWER = ("the root element is", "has the attribute", "is in a namespace", "has text among")


def rows(corpus: str) -> list[Any]:
    """The rows of a corpus as parameters, or one that is skipped where the corpus is not there."""
    file = CORPORA / f"{corpus}.jsonl"
    if not file.exists():
        return [pytest.param(None, marks=pytest.mark.skip(f"{corpus}.jsonl is not there"), id=corpus)]
    with file.open(encoding="utf-8") as lines:
        return [pytest.param(row, id=row["id"]) for row in map(json.loads, lines)]


def refused(codec: Any, body: bytes) -> str:
    """The detail of the refusal, or an empty text where the body was read."""
    try:
        codec.decode(body)
    except Refusal as refusal:
        return refusal.faults[0].detail
    return ""


@pytest.mark.parametrize("row", rows("json_bodies"))
def test_json_bodies(row: dict[str, Any]) -> None:
    expected = "reject" if row["id"] in VERDICTS["json_bodies"] else row["expect"]
    assert bool(refused(json_codec, b64decode(row["b64"]))) == (expected == "reject")


@pytest.mark.parametrize("row", rows("xml_bodies") + rows("xml_attacks"))
def test_xml_bodies(row: dict[str, Any]) -> None:
    """No row has the root `<xml>`: a well-formed one is refused for that, or for another rule of our narrower shape."""
    detail = refused(xml_codec, b64decode(row["b64"]))
    narrower = any(reason in detail for reason in NARROWER)
    assert detail
    assert narrower == (row["expect"] != "reject")


@pytest.mark.parametrize("row", rows("strings"))
def test_strings_are_read_back(row: dict[str, Any]) -> None:
    text = row["text"]
    assert json_codec.decode(json_codec.encode({"a": text})) == {"a": text}
    carried = "".join(each for each in text if each in "\t\n\r" or (each >= " " and each not in "\ufffe\uffff"))
    assert xml_codec.decode(xml_codec.encode({"a": text})) == {"a": carried}


@pytest.mark.parametrize("row", rows("media_types"))
def test_media_types(row: dict[str, Any]) -> None:
    if other := VERDICTS["media_types"].get(row["id"]):
        pytest.skip(other["reason"])
    if "quality" in row["id"]:
        (offer, accept), quality = row["case"]
        assert preference(read(offer), [read(each) for each in elements(accept)])[0] == quality
    elif "parse" in row["id"].removeprefix("mimeparse"):
        assert_parsed(*row["case"])
    else:
        assert_chosen(*asked(row))


def read(text: str) -> Any:
    found = media_type(text)
    assert found is not None
    return found


def assert_parsed(text: str, expected: list[Any] | None) -> None:
    found = media_type(text)
    if expected is None:
        assert found is None
        return
    kind, subtype, parameters = expected
    quality = float(parameters.pop("q", 1))
    assert (found.name, found.parameters, found.quality) == (f"{kind}/{subtype}", parameters, quality)  # type: ignore[union-attr]


def asked(row: dict[str, Any]) -> tuple[str | None, list[str], str, str]:
    """Accept, offers, the one preferred in a tie (mimeparse's is the last, negotiator's the first), and the chosen."""
    if "case" in row:
        (offers, accept), chosen, _ = row["case"]
        return accept, offers, offers[-1], chosen
    return row["accept"], row["offers"], row["offers"][0], row["output"]


def assert_chosen(accept: str | None, offers: list[str], preferred: str, chosen: str | None) -> None:
    if chosen:
        assert negotiate(accept, offers, preferred) == chosen
    else:
        assert negotiate(accept, offers, "none/none") == "none/none"

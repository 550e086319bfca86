"""The law of replay: mended and replayed, a refused request leaves what it would have left without its fault."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from gateway.media import json, xml
from gateway.service.mending import BodyChange
from tests.test_refused import ALTCRAFT, TOKEN, Gateway, gateway

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn", "Co")), min_size=1, max_size=8)
DATA = st.fixed_dictionaries(
    {},
    optional={
        "_fname": TEXTS,
        "_lname": st.none() | TEXTS,
        "note": TEXTS,
        "count": st.integers(-(2**63), 2**63 - 1) | st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: value / 3),
        "list": st.lists(TEXTS, max_size=3),
        "nested": st.dictionaries(st.sampled_from(["a", "b c", "ä"]), TEXTS, min_size=1),
        "tags": TEXTS.map(lambda text: {"action": "add", "value": [text]}),
    },
)
FAULTS = st.sampled_from([("_bdate", "never", "2000-01-31"), ("_ip", "1.2.3", "1.2.3.4")])


class Sample(Struct, frozen=True):
    """The data of an update, the member that is wrong at first with its wrong and its right value, the media type."""

    data: dict[str, Any]
    fault: tuple[str, str, str]
    media: str

    def body(self, mail: str, value: str) -> tuple[bytes, dict[str, str]]:
        match = {"token": TOKEN, "db_id": 1, "matching": "email", "email": mail}
        codec = json if self.media == "json" else xml
        body = codec.encode_exactly({**match, "data": {**self.data, "email": mail, self.fault[0]: value}})
        return body, {"content-type": codec.media_type}


SAMPLES = st.builds(Sample, DATA, FAULTS, st.sampled_from(["json", "xml"]))


async def replay_all(samples: list[Sample]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with gateway(Path(folder), rate_limits=0) as given:
            for number, sample in enumerate(samples):
                member, wrong, right = sample.fault
                await send(given, 400, *sample.body(f"mended{number}@example.com", wrong))
                await send(given, 200, *sample.body(f"right{number}@example.com", right))
            refused = reversed(await given.kept(len(samples)))
            for sample, request in zip(samples, refused, strict=True):
                member, _, right = sample.fault
                done = await given.replays.run(given.pipeline(), request, [BodyChange(f"/data/{member}", right)])
                assert done.is_accepted, done.response.body
            for number in range(len(samples)):
                mended, expected = [await document(given, f"{name}{number}") for name in ("mended", "right")]
                assert mended == expected


async def send(given: Gateway, status: int, content: bytes, headers: dict[str, str]) -> None:
    response = await given.client.post(f"{ALTCRAFT}/import", content=content, headers=headers)
    assert response.status_code == status, response.text


async def document(given: Gateway, name: str) -> tuple[Any, int]:
    """Return the document of a person without the address, and its version."""
    [found] = await given.store.find(1, [("email", f"{name}@example.com")])
    return {**found.document, "email": ""}, found.version


@example([Sample({"count": 5.0}, ("_ip", "1.2.3", "1.2.3.4"), "xml")])  # its type is decimal, and its value an integer
@given(st.lists(SAMPLES, min_size=1, max_size=8))
@settings(max_examples=8, deadline=None, phases=(Phase.explicit, Phase.generate))
def test_mended_and_replayed_it_is_as_if_it_was_never_refused(samples: list[Sample]) -> None:
    asyncio.run(replay_all(samples))

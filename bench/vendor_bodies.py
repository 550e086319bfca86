"""Requests in Courier's and Klaviyo's formats, rendered before they are sent. Each update changes what is stored."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bench.bodies import TOKEN, post, twice

KLAVIYO = {"Authorization": f"Klaviyo-API-Key {TOKEN}", "revision": "2025-10-15"}
KLAVIYO_CLIENT = {"revision": "2025-10-15"}
COURIER = {"Authorization": f"Bearer {TOKEN}"}
ADDRESS = {
    "formatted": "1 Main St, Springfield",
    "street_address": "1 Main St",
    "locality": "Springfield",
    "region": "IL",
    "postal_code": "01234",
    "country": "US",
}
LOCATION = {
    "address1": "89 E 42nd St",
    "city": "New York",
    "country": "United States",
    "region": "NY",
    "zip": "10017",
    "timezone": "America/New_York",
    "ip": "127.0.0.1",
}


def courier_posts(numbers: Sequence[int]) -> Iterator[bytes]:
    """Requests that create profiles, or update them, in turn."""
    for value, number in twice(numbers):
        body = json.dumps({"profile": _courier(number, value)})
        yield post(f"/profiles/user-{number:06}", "json", body, COURIER)


def courier_gets(numbers: Iterable[int]) -> Iterator[bytes]:
    """Requests that read these profiles in turn."""
    for number in numbers:
        yield (
            f"GET /profiles/user-{number:06} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: {COURIER['Authorization']}\r\n\r\n"
        ).encode()


def klaviyo_imports(numbers: Sequence[int]) -> Iterator[bytes]:
    """Requests to profile-import that create profiles, or update them, in turn."""
    for value, number in twice(numbers):
        yield post("/api/profile-import", "json", _klaviyo(f"k{number:06}", f"+7495{number:07}", value), KLAVIYO)


def klaviyo_client_profiles(numbers: Sequence[int]) -> Iterator[bytes]:
    """Requests of browsers that create profiles, or update them, in turn."""
    for value, number in twice(numbers):
        body = _klaviyo(f"c{number:06}", f"+7499{number:07}", value)
        yield post("/client/profiles?company_id=demo", "json", body, KLAVIYO_CLIENT)


def _courier(number: int, value: int) -> dict[str, Any]:
    return {
        "given_name": "John",
        "family_name": "Doe",
        "email": f"u{number:06}@example.com",
        "phone_number": f"+7812{number:07}",
        "locale": "en-US",
        "birthdate": "1980-02-29",
        "address": ADDRESS,
        "custom": {"plan": f"plan_{value}", "seats": "3"},
        "slack": {"access_token": "xoxb-1", "channel": "C1"},
    }


def _klaviyo(name: str, phone: str, value: int) -> str:
    attributes = {
        "email": f"{name}@example.com",
        "phone_number": phone,
        "external_id": name,
        "first_name": "Sarah",
        "last_name": "Mason",
        "organization": "Example Corporation",
        "locale": "en-US",
        "title": "Regional Manager",
        "image": "https://images.example/sarah.jpg",
        "location": LOCATION,
        "properties": {"pseudonym": "Dr. Octopus", "plan": f"plan_{value}"},
    }
    return json.dumps({"data": {"type": "profile", "attributes": attributes}})

"""Geolocation with a small MaxMind-format file."""

from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from gateway.dialects.altcraft.fields import LOCATED_FIELDS
from gateway.service.geolocation import Geolocator

MOSCOW = {
    "country": {"iso_code": "RU"},
    "city": {"names": {"en": "Moscow", "ru": "Москва"}},
    "subdivisions": [{"iso_code": "MOW", "names": {"en": "Moscow Oblast"}}],
    "location": {"latitude": 55.75, "longitude": 37.5, "time_zone": "Europe/Moscow"},
}
COUNTRY_ALONE = {"country": {"iso_code": "DE"}}


@pytest.fixture(scope="module")
def locator(tmp_path_factory: pytest.TempPathFactory) -> Geolocator:
    return Geolocator(str(written(tmp_path_factory.mktemp("geo") / "both.mmdb", 6)))


def written(file: Path, version: int) -> Path:
    writer = MMDBWriter(version, ipv4_compatible=version == 6, database_type="City", float_type="f64")
    writer.insert_network(IPSet(["94.231.119.0/24"]), MOSCOW)
    writer.insert_network(IPSet(["78.46.0.0/16"]), COUNTRY_ALONE)
    if version == 6:
        writer.insert_network(IPSet(["2a02:6b8::/32"]), MOSCOW)
    writer.to_db_file(str(file))
    return file


def filled(locator: Geolocator, profile: dict[str, Any]) -> dict[str, Any]:
    return locator.locate({"profile": profile}, LOCATED_FIELDS)["profile"]


@pytest.mark.parametrize("address", ["94.231.119.122", "2a02:6b8::1"])
def test_the_current_address_fills_all_fields(locator: Geolocator, address: str) -> None:
    assert filled(locator, {"ip": address}) == {
        "ip": address,
        "address": {"country": "RU", "region": "Moscow Oblast", "locality": "Moscow"},
        "zoneinfo": "Europe/Moscow",
        "latitude": 55.75,
        "longitude": 37.5,
    }


def test_the_registration_address_fills_its_own_fields(locator: Geolocator) -> None:
    assert filled(locator, {"altcraft": {"_regip": "94.231.119.122"}}) == {
        "altcraft": {"_regip": "94.231.119.122", "_regcountry": "RU", "_regcity": "Moscow"}
    }


def test_only_omitted_fields_are_filled(locator: Geolocator) -> None:
    profile = {
        "ip": "94.231.119.122",
        "zoneinfo": "Asia/Omsk",
        "address": {"locality": None},
        "latitude": 1,
        "longitude": 2,
    }
    assert filled(locator, profile) == {
        **profile,
        "address": {"country": "RU", "region": "Moscow Oblast", "locality": None},
    }


def test_fields_without_data_are_not_filled(locator: Geolocator) -> None:
    assert filled(locator, {"ip": "78.46.1.1"}) == {"ip": "78.46.1.1", "address": {"country": "DE"}}


@pytest.mark.parametrize("address", ["192.168.0.179", "127.0.0.1", "8.8.8.8", "fe80::1", None])
def test_a_private_unknown_or_cleared_address_fills_nothing(locator: Geolocator, address: str | None) -> None:
    assert filled(locator, {"ip": address, "altcraft": {"_regip": address}}) == {
        "ip": address,
        "altcraft": {"_regip": address},
    }


def test_an_ipv6_address_fills_nothing_from_an_ipv4_file(tmp_path: Path) -> None:
    assert filled(Geolocator(str(written(tmp_path / "four.mmdb", 4))), {"ip": "2a02:6b8::1"}) == {"ip": "2a02:6b8::1"}


def test_without_a_file_nothing_is_filled() -> None:
    assert filled(Geolocator(None), {"ip": "94.231.119.122"}) == {"ip": "94.231.119.122"}


def test_another_kind_of_file_is_rejected_by_name(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("no database")
    with pytest.raises(ValueError, match=r"other\.txt is no MaxMind-format file"):
        Geolocator(str(tmp_path / "other.txt"))

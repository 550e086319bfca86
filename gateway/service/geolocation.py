"""Geolocation: fills fields that an update omits from a MaxMind-format file."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import maxminddb

from gateway.core.model import Update

Path: TypeAlias = tuple[str, ...]
"""A path in the canonical profile."""

RegionRecord: TypeAlias = Mapping[str, Any]
"""The record of an address in the file; empty where there is none."""


class Geolocator:
    """Finds the places of IP addresses. Without a file it finds none."""

    def __init__(self, file: str | None) -> None:
        """Open the file. Raises `ValueError` if it is not in the MaxMind format."""
        try:
            self._reader = maxminddb.open_database(file) if file else None
        except (OSError, maxminddb.InvalidDatabaseError) as error:
            raise ValueError(f"{file} is no MaxMind-format file: {error}") from error

    def locate(self, update: Update) -> Update:
        """Return the update with the places of its own addresses, in fields that it omits.

        The registration address fills the registration's country and city. The current address fills country, region,
        city, time zone and coordinates. A private, unknown or removed address fills nothing.
        """
        if self._reader is None:
            return update
        profile = update.get("profile", {})
        registration = _record(self._reader, _get(profile, ("altcraft", "_regip")))
        current = _record(self._reader, _get(profile, ("ip",)))
        for path, value in {**_registration_fields(registration), **_current_fields(current)}.items():
            if value is not None:
                profile = _fill(profile, path, value)
        return {**update, "profile": profile}


def _record(reader: maxminddb.Reader, address: Any) -> RegionRecord:
    if not isinstance(address, str):
        return {}
    try:
        found = reader.get(address)
    except ValueError:  # an IPv6 address, in a file of IPv4 addresses
        return {}
    return found if isinstance(found, dict) else {}


def _registration_fields(record: RegionRecord) -> Mapping[Path, Any]:
    return {
        ("altcraft", "_regcountry"): _get(record, ("country", "iso_code")),
        ("altcraft", "_regcity"): _get(record, ("city", "names", "en")),
    }


def _current_fields(record: RegionRecord) -> Mapping[Path, Any]:
    subdivisions = record.get("subdivisions") or [{}]
    return {
        ("address", "country"): _get(record, ("country", "iso_code")),
        ("address", "region"): _get(subdivisions[0], ("names", "en")),
        ("address", "locality"): _get(record, ("city", "names", "en")),
        ("zoneinfo",): _get(record, ("location", "time_zone")),
        ("latitude",): _get(record, ("location", "latitude")),
        ("longitude",): _get(record, ("location", "longitude")),
    }


def _get(value: Any, path: Path) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _fill(profile: Mapping[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """Return the merge patch with the value if it omits the field; a null in it is kept."""
    name, *rest = path
    inner = _fill(profile.get(name) or {}, tuple(rest), value) if rest else value
    return {**profile, name: inner} if rest or name not in profile else dict(profile)

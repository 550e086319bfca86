"""Where an address is: fills what an update leaves out from a MaxMind-format file. It refuses nothing."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import maxminddb

from gateway.core.model import Update

Place: TypeAlias = Mapping[tuple[str, ...], Any]
"""Canonical path to value."""


class Geolocator:
    """Knows where addresses are. Without a file it knows of none."""

    def __init__(self, file: str | None) -> None:
        """Opens the file. Raises `ValueError` where it cannot be read as such a file."""
        try:
            self._reader = maxminddb.open_database(file) if file else None
        except (OSError, maxminddb.InvalidDatabaseError) as error:
            raise ValueError(f"{file} is no MaxMind-format file: {error}") from error

    def located(self, update: Update) -> Update:
        """The update with what its own addresses tell, wherever it says nothing itself.

        The registration address fills the registration's country and city; the current one country, region, city, time
        zone and coordinates. A private, unknown or cleared address fills nothing.
        """
        if self._reader is None:
            return update
        profile = update.get("profile", {})
        registered = _record(self._reader, _at(profile, ("altcraft", "_regip")))
        current = _record(self._reader, _at(profile, ("ip",)))
        for path, value in {**_registration(registered), **_location(current)}.items():
            if value is not None:
                profile = _filled(profile, path, value)
        return {**update, "profile": profile}


def _record(reader: maxminddb.Reader, address: Any) -> Mapping[str, Any]:
    if not isinstance(address, str):
        return {}
    try:
        found = reader.get(address)
    except ValueError:  # an IPv6 address, in a file that has IPv4 alone
        return {}
    return found if isinstance(found, dict) else {}


def _registration(record: Mapping[str, Any]) -> Place:
    return {
        ("altcraft", "_regcountry"): _at(record, ("country", "iso_code")),
        ("altcraft", "_regcity"): _at(record, ("city", "names", "en")),
    }


def _location(record: Mapping[str, Any]) -> Place:
    subdivisions = record.get("subdivisions") or [{}]
    return {
        ("address", "country"): _at(record, ("country", "iso_code")),
        ("address", "region"): _at(subdivisions[0], ("names", "en")),
        ("address", "locality"): _at(record, ("city", "names", "en")),
        ("zoneinfo",): _at(record, ("location", "time_zone")),
        ("latitude",): _at(record, ("location", "latitude")),
        ("longitude",): _at(record, ("location", "longitude")),
    }


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _filled(profile: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The merge patch with a value where it says nothing; what it clears stays cleared."""
    name, *rest = path
    inner = _filled(profile.get(name) or {}, tuple(rest), value) if rest else value
    return {**profile, name: inner} if rest or name not in profile else dict(profile)

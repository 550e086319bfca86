"""Geolocation: fills the fields of an update from its IP addresses, by a MaxMind-format file."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gateway.core.model import Update
from gateway.core.pointer import value_at
from gateway.dialects.protocol import LocatedFields
from gateway.optional_dependencies import require_extra

if TYPE_CHECKING:
    from maxminddb import Reader


class Geolocator:
    """Locates IP addresses. Without a file it locates none."""

    def __init__(self, file: str | None) -> None:
        """Open the file. Raises `ValueError` where it is not such a file, `MissingExtra` without its library."""
        self._reader = _open(file) if file else None

    def locate(self, update: Update, fields: LocatedFields) -> Update:
        """Return the update with the `fields` of its addresses filled, except those that it writes itself.

        A private, unknown or cleared address fills nothing.
        """
        if self._reader is None:
            return update
        profile = update.get("profile", {})
        for address, places in fields.items():
            location = _location(_record(self._reader, value_at(profile, address)))
            for fact, place in places.items():
                if location[fact] is not None:
                    profile = _fill(profile, place, location[fact])
        return {**update, "profile": profile}


def _open(file: str) -> "Reader":
    require_extra("maxminddb", "geoip")
    import maxminddb

    try:
        return maxminddb.open_database(file)
    except (OSError, maxminddb.InvalidDatabaseError) as error:
        raise ValueError(f"{file} is no MaxMind-format file: {error}") from error


def _record(reader: "Reader", address: Any) -> Mapping[str, Any]:
    if not isinstance(address, str):
        return {}
    try:
        found = reader.get(address)
    except ValueError:  # an IPv6 address, in a file that has IPv4 alone
        return {}
    return found if isinstance(found, dict) else {}


def _location(record: Mapping[str, Any]) -> Mapping[str, Any]:
    subdivisions = record.get("subdivisions") or [{}]
    return {
        "country": value_at(record, ("country", "iso_code")),
        "region": value_at(subdivisions[0], ("names", "en")),
        "city": value_at(record, ("city", "names", "en")),
        "time_zone": value_at(record, ("location", "time_zone")),
        "latitude": value_at(record, ("location", "latitude")),
        "longitude": value_at(record, ("location", "longitude")),
    }


def _fill(profile: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Set a value in a merge patch where the patch neither writes nor clears it."""
    name, *rest = path
    inner = _fill(profile.get(name) or {}, tuple(rest), value) if rest else value
    return {**profile, name: inner} if rest or name not in profile else dict(profile)

"""PyPI tap-klaviyo, unchanged but for its table of addresses: discover, read all, and print the streams."""

import io
import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
import tap_klaviyo

URL, KEY = os.environ["KLAVIYO_URL"], os.environ["KLAVIYO_KEY"]
HEADERS = {"Authorization": f"Klaviyo-API-Key {KEY}", "revision": "2024-10-15"}
VENDOR = "https://a.klaviyo.com"
EMAIL = "tap@example.com"


def suppress() -> None:
    """Suppress a profile, so that the tap has something to read."""
    profile = {"type": "profile", "attributes": {"email": EMAIL}}
    job = {"type": "profile-suppression-bulk-create-job", "attributes": {"profiles": {"data": [profile]}}}
    url = f"{URL}/api/profile-suppression-bulk-create-jobs"
    requests.post(url, json={"data": job}, headers=HEADERS, timeout=30).raise_for_status()


def run(*arguments: str) -> str:
    sys.argv = ["tap-klaviyo", *arguments]
    out = io.StringIO()
    with redirect_stdout(out):
        tap_klaviyo.main()
    return out.getvalue()


def main() -> None:
    suppress()
    tap_klaviyo.ENDPOINTS = {name: url.replace(VENDOR, URL) for name, url in tap_klaviyo.ENDPOINTS.items()}
    with TemporaryDirectory() as folder:
        config, catalog_file = Path(folder, "config.json"), Path(folder, "catalog.json")
        config.write_text(json.dumps({"api_key": KEY, "start_date": "2020-01-01T00:00:00Z"}))
        catalog = json.loads(run("--config", str(config), "--discover"))
        for stream in catalog["streams"]:
            stream["metadata"][0]["metadata"]["selected"] = True
        catalog_file.write_text(json.dumps(catalog))
        lines = run("--config", str(config), "--catalog", str(catalog_file)).splitlines()
    messages = [json.loads(line) for line in lines]
    profiles = [each["record"]["id"] for each in messages if each["type"] == "RECORD" and EMAIL in json.dumps(each)]
    assert len(profiles) == 1, profiles
    print("discover", *(stream["stream"] for stream in catalog["streams"]))


main()

"""Environment → settings: every variable is parsed, validated and documented."""

from pathlib import Path

import pytest

from gateway.settings import Settings, table

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"

OTHER = {
    "GATEWAY_HOST": ("0.0.0.0", "0.0.0.0"),
    "GATEWAY_PORT": ("0", 0),
    "GATEWAY_STORE": ("postgresql://db/gateway", "postgresql://db/gateway"),
    "GATEWAY_WORKERS": ("4", 4),
    "GATEWAY_WEBHOOK_PRIVATE": ("true", True),
    "GATEWAY_BOOTSTRAP_TOKEN": ("s3cret", "s3cret"),
    "GATEWAY_BOOTSTRAP_COMPANY_ID": ("acme", "acme"),
    "GATEWAY_BOOTSTRAP_FIELDS": ("fields.json", "fields.json"),
    "GATEWAY_GEOIP": ("/srv/city.mmdb", "/srv/city.mmdb"),
    "GATEWAY_RELOAD_FILE": ("/etc/reloaded.env", "/etc/reloaded.env"),
    "GATEWAY_SECRET_FILE": ("/srv/secret", "/srv/secret"),
    "GATEWAY_TRUSTED_PROXIES": ("10.0.0.0/8", "10.0.0.0/8"),
    "GATEWAY_KEEP_CHANGES_DAYS": ("1", 1),
    "GATEWAY_TOMBSTONE_DAYS": ("2", 2),
    "GATEWAY_ERASE_ON_DELETE": ("true", True),
    "GATEWAY_MAX_BODY": ("100", 100),
    "GATEWAY_MAX_BATCH_BODY": ("1000", 1000),
    "GATEWAY_MAX_BATCH": ("10", 10),
    "GATEWAY_MAX_DEPTH": ("8", 8),
    "GATEWAY_MAX_NODES": ("50", 50),
    "GATEWAY_ALTCRAFT_ALWAYS_200": ("true", True),
    "GATEWAY_COURIER_MAX_BODY": ("5", 5),
    "GATEWAY_KLAVIYO_LENIENT_REVISION": ("true", True),
    "GATEWAY_RATE_LIMITS": ("2.5", 2.5),
    "GATEWAY_LOG_LEVEL": ("debug", "debug"),
    "GATEWAY_TOKEN_RATE": ("500/second", "500/second"),
    "GATEWAY_MAX_NAME": ("64", 64),
    "GATEWAY_MAX_TEXT": ("1000", 1000),
    "GATEWAY_KEEP_REFUSED_DAYS": ("3", 3),
    "GATEWAY_KEEP_REFUSED_BYTES": ("99", 99),
    "GATEWAY_MAX_ITEMS": ("100", 100),
    "GATEWAY_MAX_COMPRESSION": ("20", 20),
    "GATEWAY_MAX_HELD_BODIES": ("99", 99),
    "GATEWAY_MAX_REQUESTS": ("3", 3),
    "GATEWAY_ACCESS_LOG": ("false", False),
    "GATEWAY_CONSOLE": ("true", True),
    "GATEWAY_TRACING": ("true", True),
    "GATEWAY_METRICS_TOKEN": ("s3cret", "s3cret"),
    "GATEWAY_MAX_CONNECTIONS": ("7", 7),
    "GATEWAY_MAX_PIPELINED": ("2", 2),
    "GATEWAY_MAX_HEADERS": ("20", 20),
    "GATEWAY_MAX_HEADER_BYTES": ("4096", 4096),
    "GATEWAY_KEEP_ALIVE_SECONDS": ("20", 20),
    "GATEWAY_HEADER_SECONDS": ("2.5", 2.5),
    "GATEWAY_BODY_SECONDS": ("5", 5.0),
    "GATEWAY_MIN_BODY_RATE": ("0", 0),
    "GATEWAY_SHUTDOWN_SECONDS": ("5", 5),
}
"""For each variable a text other than its default, and the value of it."""


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environment({"PATH": "/bin"}) == Settings()


@pytest.mark.parametrize("name", [name for name, _, _ in table()])
def test_each_variable_sets_its_own_field(name: str) -> None:
    text, meaning = OTHER[name]
    settings = Settings.from_environment({name: text})
    field = name.removeprefix("GATEWAY_").lower()
    assert getattr(settings, field) == meaning != getattr(Settings(), field)


def test_a_flag_wins_over_the_environment_and_an_absent_flag_does_not() -> None:
    settings = Settings.from_environment({"GATEWAY_PORT": "1", "GATEWAY_HOST": "::1"}, port="2", host=None)
    assert (settings.port, settings.host) == (2, "::1")


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.from_environment({"GATEWAY_BOOTSTRAP_TOKEN": "", "GATEWAY_PORT": ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("GATEWAY_PORT", "http", "`int`"),
        ("GATEWAY_PORT", "65536", "<= 65535"),
        ("GATEWAY_PORT", "-1", ">= 0"),
        ("GATEWAY_WORKERS", "0", ">= 1"),
        ("GATEWAY_KEEP_CHANGES_DAYS", "0", ">= 1"),
        ("GATEWAY_ALTCRAFT_ALWAYS_200", "yes", "`bool`"),
        ("GATEWAY_LOG_LEVEL", "loud", "critical, error, warning, info or debug"),
        ("GATEWAY_BOOTSTRAP_TOKEN", "two words", "visible ASCII"),
        ("GATEWAY_BOOTSTRAP_TOKEN", "trailing\n", "visible ASCII"),
        ("GATEWAY_BOOTSTRAP_TOKEN", "ключ", "visible ASCII"),
    ],
)
def test_an_invalid_value_is_rejected_with_name_and_reason(name: str, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: ") as refusal:
        Settings.from_environment({name: text})
    assert reason in str(refusal.value)


def test_a_rejected_token_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="GATEWAY_BOOTSTRAP_TOKEN") as refusal:
        Settings.from_environment({"GATEWAY_BOOTSTRAP_TOKEN": "hunter2 and more"})
    assert "hunter2" not in str(refusal.value)


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(ValueError, match=r"GATEWAY_PORT: .*; GATEWAY_WORKERS: "):
        Settings.from_environment({"GATEWAY_PORT": "x", "GATEWAY_WORKERS": "x"})


@pytest.mark.parametrize("name", ["GATEWAY_PROT", "GATEWAY_port", "GATEWAY_"])
def test_an_unknown_variable_is_rejected_with_the_nearest_name(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: .* did you mean GATEWAY_\w+\?$"):
        Settings.from_environment({name: "8080"})


def test_a_misspelled_name_gets_the_right_one() -> None:
    with pytest.raises(ValueError, match=r"did you mean GATEWAY_PORT\?"):
        Settings.from_environment({"GATEWAY_PROT": "8080"})


def test_variables_of_the_tests_are_not_settings() -> None:
    assert Settings.from_environment({"GATEWAY_TEST_POSTGRESQL": "postgresql://localhost"}) == Settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings().port = 1  # type: ignore[misc]


def test_the_table_has_the_defaults() -> None:
    for name, default, description in table():
        assert Settings.from_environment({name: default}) == Settings()
        assert description


def test_the_documentation_names_every_setting() -> None:
    text = PAGE.read_text()
    assert [name for name, _, _ in table() if name not in text] == []

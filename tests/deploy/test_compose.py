"""The compose file starts what the pages say, with commands and settings that there are."""

import re
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from tests.support.commands import parse

from vivavoce.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
NAME = re.compile(r"\bVIVA_[A-Z][A-Z0-9_]*[A-Z0-9]\b")
INTERPOLATED = re.compile(r"\$\{(\w+)(?::\?[^}]*)?\}")
CLIENTS_S = 10
"""How long a server lets clients finish, beside its grace."""
SECONDS = {"s": 1, "m": 60}


def compose() -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8")))


SERVICES: dict[str, Any] = compose()["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "vivavoce"]


def example() -> dict[str, str]:
    """The file of settings, with its optional ones."""
    lines = (DEPLOY / ".env.example").read_text("utf-8").splitlines()
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", "\n".join(lines), re.MULTILINE))


def environment(service: str, given: dict[str, str]) -> dict[str, str]:
    """What a container gets, with the variables that it names filled in."""
    written: dict[str, str] = SERVICES[service]["environment"]
    filled = {name: INTERPOLATED.sub(lambda found: given[found[1]], str(value)) for name, value in written.items()}
    return {**given, **filled}


def seconds(duration: str) -> int:
    return int(duration[:-1]) * SECONDS[duration[-1]]


def test_it_is_a_server_two_workers_and_a_database() -> None:
    assert SERVICES.keys() == {"server", "worker", "postgres"}
    assert SERVICES["worker"]["deploy"]["replicas"] == 2
    assert OURS == ["server", "worker"]
    # Both: an image that only the one builds would be looked for in a registry for the other.
    for built in (SERVICES[name]["build"] for name in OURS):
        assert (DEPLOY / built["context"] / built["dockerfile"]).resolve() == DEPLOY / "Dockerfile"


def test_the_commands_are_commands_of_ours() -> None:
    assert parse(SERVICES["server"]["command"])["works"] is False
    # The image's health check asks at the port that the image names.
    assert parse(SERVICES["worker"]["command"])["port"] == 8080
    assert "VIVA_PORT=8080" in (DEPLOY / "Dockerfile").read_text("utf-8")


@pytest.mark.parametrize("service", OURS)
def test_the_settings_are_settings_of_ours(service: str) -> None:
    given = {"POSTGRES_PASSWORD": "0123abcd", "VIVA_SECRET_KEY": "long and random"}
    chosen = environment(service, given)
    settings = Settings.model_validate(
        {name.removeprefix("VIVA_").lower(): value for name, value in chosen.items() if name.startswith("VIVA_")}
    )
    assert settings.file is None
    password = SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"]
    database = SERVICES["postgres"]["environment"]
    assert INTERPOLATED.sub(lambda found: given[found[1]], password) == "0123abcd"
    assert (
        settings.url == f"postgresql+psycopg://{database['POSTGRES_USER']}:0123abcd@postgres/{database['POSTGRES_DB']}"
    )


@pytest.mark.parametrize("service", OURS)
def test_whoever_is_told_to_stop_has_the_time(service: str) -> None:
    patience = seconds(SERVICES[service]["stop_grace_period"])
    assert patience > Settings.model_fields["grace_seconds"].default + CLIENTS_S


@pytest.mark.parametrize("service", OURS)
def test_a_container_may_do_little_and_comes_back(service: str) -> None:
    told = SERVICES[service]
    assert told["read_only"] is True
    assert told["cap_drop"] == ["ALL"]
    assert told["restart"] == "unless-stopped"
    assert told["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert SERVICES["postgres"]["healthcheck"]["test"][0] == "CMD"


def test_only_this_machine_reaches_it() -> None:
    assert [port for service in SERVICES.values() for port in service.get("ports", ())] == ["127.0.0.1:8080:8080"]


def test_the_database_is_kept() -> None:
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql/data"]
    assert "postgres" in compose()["volumes"]


def test_what_has_to_be_set_is_in_the_example_and_empty() -> None:
    needed = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text("utf-8")))
    assert needed == {"POSTGRES_PASSWORD", "VIVA_SECRET_KEY"}
    assert {name: example()[name] for name in needed} == dict.fromkeys(needed, "")


def test_no_secret_is_committed() -> None:
    assert ".env" in (DEPLOY / ".gitignore").read_text("utf-8").split()
    assert not [
        word
        for line in (DEPLOY / "Dockerfile").read_text("utf-8").splitlines()
        for word in NAME.findall(line)
        if "KEY" in word
    ]


def test_every_setting_that_is_named_exists() -> None:
    known = {f"VIVA_{name.upper()}" for name in Settings.model_fields}
    files = [path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert len(files) > 5
    unknown = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for name in NAME.findall(path.read_text("utf-8"))
        if name not in known
    }
    assert unknown == set()

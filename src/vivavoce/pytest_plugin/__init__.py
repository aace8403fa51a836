"""The pytest plugin: suites of files as tests, and the fixture ``viva`` (docs/reference/pytest.md).

Every project loads it in which this is installed. Whatever takes time is imported when it is used: so nothing becomes
slower, and nothing of this package escapes a measurement of coverage.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vivavoce.pytest_plugin.fixture import Viva
    from vivavoce.pytest_plugin.station import Stations

__all__ = ["pytest_addoption", "pytest_collect_file", "pytest_configure", "pytest_unconfigure", "viva"]

ENDINGS = (".viva.yaml", ".viva.yml", ".viva.json")
_stations = pytest.StashKey["Stations"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the plugin."""
    group = parser.getgroup("viva", "examinations of AI assistants")
    group.addoption(
        "--viva-server",
        default=os.environ.get("VIVA_SERVER") or None,
        metavar="URL",
        help="Examine on this server instead of one that is started for the session. [VIVA_SERVER]",
    )
    group.addoption(
        "--viva-api-key",
        default=None,
        metavar="KEY",
        help="The key for that server. [VIVA_API_KEY]",
    )
    group.addoption(
        "--viva-repeats",
        default=None,
        type=int,
        metavar="N",
        help="How often each test of a suite file is run; it passes where all of its runs do.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known that tests of suite files have."""
    config.addinivalue_line("markers", "viva: a test of a suite file, which examines an assistant")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Files with suites are collected wherever they are found."""
    if not file_path.name.endswith(ENDINGS):
        return None
    from vivavoce.pytest_plugin.items import SuiteFile

    return SuiteFile.from_parent(parent, path=file_path)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the server, if one was started."""
    if (stations := config.stash.get(_stations, None)) is not None:
        stations.close()


def stations_of(config: pytest.Config) -> "Stations":
    """The one server of a session, which is started when it is first needed."""
    from vivavoce.pytest_plugin.station import Stations

    if _stations not in config.stash:
        config.stash[_stations] = Stations(
            config.getoption("--viva-server"), config.getoption("--viva-api-key") or os.environ.get("VIVA_API_KEY")
        )
    return config.stash[_stations]


@pytest.fixture
def viva(request: pytest.FixtureRequest) -> "Viva":
    """Examines assistants: ``await viva.examine(target, scenario=…, criteria=[…])``, or ``viva.examine_sync``."""
    from vivavoce.pytest_plugin.fixture import Viva

    return Viva(stations_of(request.config), request.node.nodeid)

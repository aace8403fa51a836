"""Commands that are tried in this process leave its logging as it is: other tests look at what is logged."""

import pytest


@pytest.fixture(autouse=True)
def logging_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def configure(_form: str, _level: str = "info") -> None: ...

    monkeypatch.setattr("vivavoce.cli.logs.configure", configure)

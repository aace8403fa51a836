from typing import Any

import pytest
from pydantic import ValidationError
from telnyx.types import IntegrationSecret

from vivavoce.api.telnyx.wire.secrets import SecretCreate, dump_secret, refusal, value_of
from vivavoce.core.secret import Secret

BEARER = {"identifier": "key", "type": "bearer", "token": "sesame"}
BASIC = {"identifier": "key", "type": "basic", "username": "ann", "password": "sesame:open"}


def test_rule_5_17_values():
    assert value_of(SecretCreate.model_validate({**BEARER, "username": "ignored"})) == "sesame"
    assert value_of(SecretCreate.model_validate({**BASIC, "token": "ignored"})) == "ann:sesame:open"


BAD: list[tuple[dict[str, Any], str]] = [
    ({**BEARER, "identifier": ""}, "identifier"),
    ({**BEARER, "identifier": "x" * 256}, "identifier"),
    ({**BEARER, "type": "oauth"}, "type"),
    ({**BEARER, "token": ""}, "token"),
    ({**BEARER, "token": None}, "token"),
    ({**BEARER, "token": "sesame\x00"}, "token"),
    ({**BEARER, "type": "basic"}, "password"),
    ({**BEARER, "type": "basic", "password": "sesame"}, "username"),
    ({**BASIC, "type": "bearer"}, "token"),
    ({**BASIC, "username": "an:n"}, "username"),
]


@pytest.mark.parametrize(("body", "name"), BAD)
def test_rule_5_17_a_refusal_names_the_field_and_repeats_no_value(body: dict[str, Any], name: str):
    with pytest.raises(ValidationError) as caught:
        SecretCreate.model_validate(body)
    assert name in [error["loc"][0] for error in caught.value.errors()]
    located = [{**error, "loc": ("body", *error["loc"])} for error in caught.value.errors()]
    answer = refusal(422, located)
    assert f"/{name}" in [one["source"]["pointer"] for one in answer["errors"]]
    assert all(one["detail"] and one["code"] and one["title"] for one in answer["errors"])
    assert "sesame" not in str(answer)
    assert "sesame" not in str(caught.value)


def test_a_body_does_not_show_its_values():
    for body in (BEARER, BASIC):
        assert "sesame" not in repr(SecretCreate.model_validate(body))


def test_a_secret():
    wire = dump_secret(Secret("s", "key", "bearer", 1, 2))
    assert wire == {
        "id": "s",
        "record_type": "integration_secret",
        "identifier": "key",
        "created_at": "1970-01-01T00:00:00.001Z",
        "updated_at": "1970-01-01T00:00:00.002Z",
    }
    assert IntegrationSecret.model_validate(wire).identifier == "key"


def test_a_place_in_text_that_is_no_json_is_no_field():
    [error] = refusal(422, [{"loc": ("body", 17), "msg": "JSON decode error", "type": "json_invalid"}])["errors"]
    assert error["source"]["pointer"] == ""
    [error] = refusal(400, [{"loc": ("query", "page[size]"), "msg": "x", "type": "y"}])["errors"]
    assert (error["source"]["pointer"], error["title"]) == ("/query/page[size]", "Bad Request")

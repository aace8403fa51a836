"""Integration secrets on the wire (contract, section 5.17). A value comes in and never goes out."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vivavoce.api.shape import fault, omitted, refuse, storable
from vivavoce.api.telnyx.errors import MAX_ITEMS, errors_body, problem
from vivavoce.api.telnyx.wire.times import iso
from vivavoce.core.secret import Secret

MAX_IDENTIFIER = 255
MAX_VALUE = 65_536

Value = Annotated[str, Field(min_length=1, max_length=MAX_VALUE, repr=False)]

_NEEDED = {"bearer": ("token",), "basic": ("username", "password")}
_NEEDS: dict[str, Any] = {
    "oneOf": [{"properties": {"type": {"const": kind}}, "required": list(fields)} for kind, fields in _NEEDED.items()]
}


class SecretCreate(BaseModel, frozen=True, extra="ignore"):
    """A new secret: a token, or a user's name and password."""

    model_config = ConfigDict(json_schema_extra=_NEEDS, hide_input_in_errors=True)

    identifier: str = Field(min_length=1, max_length=MAX_IDENTIFIER)
    type: Literal["bearer", "basic"]
    token: Value = omitted()
    username: Value = omitted()
    password: Value = omitted()

    _storable = model_validator(mode="before")(storable)

    @model_validator(mode="after")
    def _complete(self) -> "SecretCreate":
        faults = [
            fault("missing", f"Field required for a secret of type {self.type}", None, (name,))
            for name in _NEEDED[self.type]
            if name not in self.model_fields_set
        ]
        if self.type == "basic" and "username" in self.model_fields_set and ":" in self.username:
            faults.append(fault("value_error", "Input should not contain a colon (RFC 7617)", None, ("username",)))
        if faults:
            raise refuse(*faults)
        return self


def value_of(body: SecretCreate) -> str:
    """What is to be sealed: the token, or ``user:password``."""
    return body.token if body.type == "bearer" else f"{body.username}:{body.password}"


def dump_secret(secret: Secret) -> dict[str, Any]:
    """The response object of a secret."""
    return {
        "id": secret.id,
        "record_type": "integration_secret",
        "identifier": secret.identifier,
        "created_at": iso(secret.created_at),
        "updated_at": iso(secret.updated_at),
    }


def refusal(status: int, faults: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The errors of a ``RequestValidationError`` in this resource's own family (contract, section 1.4), which repeats
    nothing of what was sent."""
    return errors_body(
        *(problem(status, str(one["msg"]), pointer=_pointer(one), code="10015") for one in faults[:MAX_ITEMS])
    )


def _pointer(one: Mapping[str, Any]) -> str:
    if one["type"] == "json_invalid":  # what follows is a place in the text
        return ""
    return "".join(f"/{part}" for part in one["loc"] if part != "body")

"""Better instructions on the wire (contract, section 5.7)."""

from pydantic import BaseModel, model_validator

from vivavoce.api.shape import omitted, storable


class Enhance(BaseModel, frozen=True, extra="ignore"):
    """What is to be improved, and how; both may be left out."""

    instructions: str | None = omitted()
    enhancement_prompt: str | None = omitted()

    _storable = model_validator(mode="before")(storable)

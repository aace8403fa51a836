"""The shape of a suite and of an assistant, as a file says them and as the server's own API takes them."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Strict,
    Tag,
    TypeAdapter,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from vivavoce.core.assistant import Attached, Opener, Templating
from vivavoce.core.flow import Flow
from vivavoce.core.mind import Endpoint, Mind
from vivavoce.core.passage import Recall
from vivavoce.core.scenario import Medium
from vivavoce.core.server import OwnServer
from vivavoce.core.tool import Tool
from vivavoce.examination.checks.grammar import read_claims

NOT_COMPUTABLE = (
    "this is no statement that can be computed: docs/reference/checks.md shows those that can, "
    "and anything else belongs under 'criteria'"
)
NO_BRIEF = "'scenario' is missing: the tester needs it, unless all turns are words and the last is hang_up"
MOST_TESTS = 5000


def _whole(value: object) -> object:
    """JSON knows one kind of number: 30.0 is the integer 30."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _addressable(name: str) -> str:
    """A suite has an address, in which its name stands, and behind it what is wanted of the suite."""
    if name in (".", ".."):
        raise PydanticCustomError("no_address", "dots alone are no name of a suite")
    if name.startswith("/") or name.endswith("/"):
        raise PydanticCustomError("no_address", "the name of a suite should neither begin nor end with a slash")
    if name.endswith(("/history", "/cancel")):
        raise PydanticCustomError("no_address", "the name of a suite should not end with /history or /cancel")
    return name


Flag = Annotated[bool, Strict()]
Name = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"\S")]
SuiteName = Annotated[
    str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$"), AfterValidator(_addressable)
]
Id = Annotated[str, Field(min_length=1, max_length=256)]
Words = Annotated[str, Field(min_length=1, max_length=200_000)]
Line = Annotated[str, Field(min_length=1, max_length=20_000, pattern=r"\S")]
Address = Annotated[str, Field(min_length=1, max_length=2048, description="A URL, a number, or an assistant's id.")]
Whole = BeforeValidator(_whole)  # behind the bounds, or the JSON Schema would not say them
Seconds = Annotated[int, Strict(), Field(ge=1, le=86_400), Whole]
Minutes = Annotated[int, Strict(), Field(ge=1, le=100_000), Whole]
Turns = Annotated[int, Strict(), Field(ge=1, le=1000, description="How often the caller speaks at most."), Whole]
Utterances = Annotated[int, Strict(), Field(ge=1, le=10_000, description="How many messages both say at most."), Whole]
Repeats = Annotated[int, Strict(), Field(ge=1, le=1000, description="How often a batch runs the test."), Whole]
ModelName = Annotated[str, Field(min_length=1, max_length=256)]

FREE, HANG_UP = "free", "hang_up"
_LIMITS = ("turn_limit", "utterance_limit")
"""Each of a script's turns takes one of either: with fewer the script could not be played to its end."""


class Say(BaseModel, frozen=True, extra="forbid"):
    """Words that would be a word of the format if they stood alone: `say: free`."""

    say: Line


class Free(BaseModel, frozen=True, extra="forbid"):
    """At this turn the tester's model speaks freely. The word `free` is the same."""

    free: Literal[True]


class HangUp(BaseModel, frozen=True, extra="forbid"):
    """The caller hangs up here; only as the last turn. The word `hang_up` is the same."""

    hang_up: Literal[True]


def _kind_of_turn(value: object) -> str:
    if not isinstance(value, Mapping):
        return "words" if not isinstance(value, BaseModel) else type(value).__name__
    keys = cast("Mapping[str, object]", value)
    return "Free" if FREE in keys else "HangUp" if HANG_UP in keys else "Say"


Turn = Annotated[
    Annotated[Line, Tag("words")]
    | Annotated[Say, Tag("Say")]
    | Annotated[Free, Tag("Free")]
    | Annotated[HangUp, Tag("HangUp")],
    Discriminator(_kind_of_turn),
]


class Named(BaseModel, frozen=True, extra="forbid"):
    """A criterion with a name of its own."""

    name: Name
    text: Line


def _kind_of_criterion(value: object) -> str:
    if isinstance(value, Named):
        return "named"
    if not isinstance(value, Mapping):
        return "text"
    keys = cast("Mapping[str, object]", value)
    return "pair" if len(keys) == 1 and not keys.keys() & Named.model_fields.keys() else "named"


def _computable(text: str) -> str:
    if read_claims(text) is None:
        raise PydanticCustomError("not_computable", NOT_COMPUTABLE)
    return text


class NamedCheck(BaseModel, frozen=True, extra="forbid"):
    """A check with a name of its own."""

    name: Name
    text: Annotated[Line, AfterValidator(_computable)]


_Pair = Field(min_length=1, max_length=1, description="Its name, and what must hold.")
Criterion = Annotated[
    Annotated[Line, Tag("text")]
    | Annotated[Named, Tag("named")]
    | Annotated[Annotated[dict[Name, Line], _Pair], Tag("pair")],
    Discriminator(_kind_of_criterion),
]
Check = Annotated[
    Annotated[Line, AfterValidator(_computable), Tag("text")]
    | Annotated[NamedCheck, Tag("named")]
    | Annotated[Annotated[dict[Name, Annotated[Line, AfterValidator(_computable)]], _Pair], Tag("pair")],
    Discriminator(lambda value: "named" if isinstance(value, NamedCheck) else _kind_of_criterion(value)),
]


def _text(value: object) -> object:
    """What a tool answers is text; an object stands for its JSON."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return value


class Mock(BaseModel, frozen=True, extra="forbid"):
    """What a tool answers instead of being called; the first that fits does."""

    tool: Name
    output: Annotated[
        str,
        BeforeValidator(_text, json_schema_input_type=str | dict[str, Any] | list[Any]),
        Field(max_length=200_000, description="Text, or an object that stands for its JSON."),
    ]
    arguments: Annotated[
        dict[str, Any] | None, Field(description="Only calls with these arguments; others may be there too.")
    ] = None
    ok: Annotated[Flag, Field(description="False is a tool that failed.")] = True


class Reference(BaseModel, frozen=True, extra="forbid"):
    """An assistant that the server has, by its id or by its name."""

    id: Id | None = None
    name: Name | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.id is None) == (self.name is None):
            raise PydanticCustomError("either", "either 'id' or 'name' should be given")
        return self


class Assistant(BaseModel, frozen=True, extra="forbid"):
    """An assistant. Those that stand under the names of the core are complete: what is left out is not set."""

    name: Name
    instructions: Annotated[str, Field(max_length=1_000_000, description="Templates with `{{variables}}`.")] = ""
    description: Annotated[str, Field(max_length=20_000)] | None = None
    tags: Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=100)] = []
    greeting: Annotated[
        str | None,
        Field(max_length=20_000, description="Empty waits for the caller; left out, the model or the flow begins."),
    ] = None
    model: ModelName | None = None
    temperature: Annotated[float, Strict(), Field(ge=0, le=2)] | None = None
    key: Annotated[Id | None, Field(description="The name of the stored secret that pays for the model.")] = None
    endpoint: Annotated[Endpoint | None, Field(description="An OpenAI-compatible endpoint instead of a model.")] = None
    fallback: Mind | None = None
    variables: dict[str, Any] = {}
    tools: Annotated[list[Annotated[Tool, Field(discriminator="kind")]], Field(max_length=1000)] = []
    flow: Flow | None = None
    shared_tools: Annotated[list[Id], Field(description="Ids of tools in the shared library.")] = []
    servers: Annotated[list[Attached], Field(description="MCP servers that are attached.")] = []
    integrations: list[Attached] = []
    own_servers: list[OwnServer] = []
    recall: Recall | None = None
    opener: Annotated[Opener | None, Field(description="Who is asked for variables at the start.")] = None
    insight_group: Id | None = None
    insight_model: ModelName | None = None
    keeps: Annotated[Flag, Field(description="False keeps no history after a conversation.")] = True
    reports: Flag = False
    idle_minutes: Minutes | None = None
    templating: Templating = Templating()
    extra: Annotated[dict[str, Any], Field(description="Settings of a vendor's API, as that API writes them.")] = {}


def _kind_of_assistant(value: object) -> str:
    if isinstance(value, Reference | Assistant):
        return type(value).__name__
    if not isinstance(value, Mapping):
        return "name"
    keys = cast("Mapping[str, object]", value).keys()
    return "Reference" if keys and keys <= Reference.model_fields.keys() else "Assistant"


Whom = Annotated[
    Annotated[Name, Tag("name")] | Annotated[Reference, Tag("Reference")] | Annotated[Assistant, Tag("Assistant")],
    Discriminator(_kind_of_assistant),
]


class Common(BaseModel, frozen=True, extra="forbid"):
    """What a test can say for itself, and a suite for all of its tests."""

    assistant: Annotated[
        Whom | None, Field(description="Who is examined: a name, `id:` or `name:`, or the whole assistant.")
    ] = None
    destination: Annotated[Address | None, Field(description="Who is examined, where it is elsewhere.")] = None
    medium: Medium | None = None
    persona: Annotated[Words | None, Field(description="Who the caller is, whatever they want.")] = None
    variables: Annotated[dict[str, Any], Field(description="Variables of the conversation.")] = {}
    mocks: Annotated[list[Mock], Field(max_length=1000, description="What tools answer.")] = []
    max_duration_seconds: Seconds | None = None
    turn_limit: Turns | None = None
    utterance_limit: Utterances | None = None
    tester_model: ModelName | None = None
    repeats: Repeats | None = None

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.assistant is not None and self.destination is not None:
            raise PydanticCustomError("either", "either 'assistant' or 'destination' should be given, not both")
        return self


class Test(Common, frozen=True, extra="forbid"):
    """One test."""

    __test__ = False  # its name makes pytest look at it

    name: Name
    description: Annotated[str, Field(max_length=20_000)] | None = None
    scenario: Annotated[Words | None, Field(description="What the caller wants: the tester's brief.")] = None
    turns: Annotated[
        list[Turn],
        Field(max_length=1000, description="What the caller says, word for word; `free` where the model speaks."),
    ] = []
    criteria: Annotated[list[Criterion], Field(max_length=1000, description="What a judge decides.")] = []
    checks: Annotated[list[Check], Field(max_length=1000, description="What is computed from the record.")] = []

    @model_validator(mode="after")
    def _playable(self) -> Self:
        kinds = [word_of(turn) for turn in self.turns]
        for place, kind in enumerate(kinds[:-1]):
            if kind == HANG_UP:
                raise refuse((("turns", place), "the caller can hang up at the last turn only"))
        ends = bool(kinds) and kinds[-1] == HANG_UP
        if self.scenario is None and not (ends and FREE not in kinds):
            raise refuse(((), NO_BRIEF))
        short = [name for name in _LIMITS if (limit := getattr(self, name)) is not None and limit < len(kinds)]
        if short:
            message = f"it should be {len(kinds)} at least: there are so many turns"
            raise refuse(*(((name,), message) for name in short))
        return self


class Suite(Common, frozen=True, extra="forbid"):
    """Tests that belong together. What stands beside `tests` holds for all of them that do not say otherwise."""

    suite: SuiteName
    tests: Annotated[list[Test], Field(min_length=1, max_length=MOST_TESTS)]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        faults = [*self._unaimed(), *self._cut_short()]
        if faults:
            raise refuse(*faults)
        return self

    def _unaimed(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        if self.assistant is not None or self.destination is not None:
            return
        for place, one in enumerate(self.tests):
            if one.assistant is None and one.destination is None:
                yield ("tests", place), "it says neither 'assistant' nor 'destination', and neither does the suite"

    def _cut_short(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        for name in _LIMITS:
            mine = [one for one in self.tests if getattr(one, name) is None]
            longest = max(mine, key=lambda one: len(one.turns), default=None)
            limit = getattr(self, name)
            if limit is not None and longest is not None and limit < len(longest.turns):
                many = len(longest.turns)
                yield (name,), f"it should be {many} at least: the test {longest.name!r} has so many turns"


class OneTest(Test, frozen=True, extra="forbid"):
    """A test by itself, with the suite that it is in, if it is in one."""

    id: Annotated[Id | None, Field(description="The server's; it is given back, and cannot be chosen.")] = None
    suite: SuiteName | None = None

    @model_validator(mode="after")
    def _aimed(self) -> Self:
        if self.assistant is None and self.destination is None:
            raise PydanticCustomError("either", "either 'assistant' or 'destination' should be given")
        return self


_SUITE_NAMES: TypeAdapter[str] = TypeAdapter(SuiteName)


def nameable(name: str) -> bool:
    """Whether a document can be of a suite with this name; other APIs know more names."""
    try:
        _SUITE_NAMES.validate_python(name)
    except ValidationError:
        return False
    return True


def word_of(turn: str | Say | Free | HangUp) -> str | None:
    """``FREE`` or ``HANG_UP`` where the turn is that, None where it is words."""
    if isinstance(turn, str):
        return turn if turn in (FREE, HANG_UP) else None
    return FREE if isinstance(turn, Free) else HANG_UP if isinstance(turn, HangUp) else None


def refuse(*faults: tuple[tuple[str | int, ...], str]) -> ValidationError:
    """A validation error with a message for each place, to be raised inside a validator."""
    # Without a context the message is no template: braces in it stay.
    details = [
        InitErrorDetails(type=PydanticCustomError("refused", cast("Any", message)), loc=loc, input=None)
        for loc, message in faults
    ]
    return ValidationError.from_exception_data("document", details)

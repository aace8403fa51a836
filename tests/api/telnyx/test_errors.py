import json
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.api.telnyx.errors import (
    RESPONSES,
    Problem,
    Refused,
    bad_request,
    errors_body,
    fallback,
    not_found,
    problem,
    validation_body,
)
from vivavoce.api.telnyx.wire.assistant import AssistantCreate

CODES = {
    400: "10015",
    401: "10009",
    403: "10010",
    404: "10005",
    409: "10036",
    413: "10007",
    422: "10027",
    429: "10011",
    500: "10007",
    503: "10016",
}


@pytest.mark.parametrize(("status", "code"), CODES.items())
def test_codes_of_the_contract(status: int, code: str):
    made = problem(status, "why")
    assert (made.status, made.code, made.detail) == (status, code, "why")
    assert made.title


def test_bodies():
    one = problem(409, "busy", pointer="/header/Idempotency-Key")
    other = problem(422, "twice", code="10012")
    assert errors_body(one, other) == {
        "errors": [
            {
                "code": "10036",
                "title": "Conflict",
                "detail": "busy",
                "source": {"pointer": "/header/Idempotency-Key"},
            },
            {"code": "10012", "title": "Unprocessable Entity", "detail": "twice"},
        ]
    }


def test_the_frameworks_own_refusals():
    assert fallback(404) == Problem(404, "404", "Not Found", "Not Found")
    assert fallback(405, "no") == Problem(405, "405", "Method Not Allowed", "no")
    assert problem(415, "no").code == "415"


def test_refusals_are_raised():
    refused = bad_request("no", pointer="/tools")
    assert isinstance(refused, Refused)
    assert str(refused) == "no"
    assert refused.problem == Problem(400, "10015", "Bad Request", "no", "/tools")
    assert not_found("gone").problem.code == "10005"


def test_text_of_a_problem_can_always_be_sent():
    body = errors_body(problem(400, "bad \ud800" + "x" * 999))
    assert len(json.dumps(body, ensure_ascii=False).encode()) < 400


ANY_TEXT = st.text(st.characters())
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.binary() | st.builds(object),
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner) | st.tuples(inner),
)
errors: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "loc": st.lists(st.integers() | ANY_TEXT).map(tuple),
        "msg": ANY_TEXT,
        "type": st.text(),
    },
    optional={"input": anything, "ctx": st.dictionaries(st.text(), anything), "url": st.just("https://x.example")},
)


@given(st.lists(errors, max_size=5))
def test_a_validation_body_is_always_json(found: list[dict[str, Any]]):
    body = validation_body(found)
    text = json.dumps(body, ensure_ascii=False, allow_nan=False)
    text.encode()
    for item, error in zip(body["detail"], found, strict=True):
        assert set(item) <= {"loc", "msg", "type", "input", "ctx"}
        assert len(item["loc"]) == len(error["loc"])
        if "input" in item:
            assert len(json.dumps(item["input"], ensure_ascii=False)) <= 200


def test_what_a_validation_error_repeats():
    error: dict[str, Any] = {"loc": ("body", "a", 0), "msg": "Field required", "type": "missing", "url": "u"}
    assert validation_body([{**error, "input": None}]) == {
        "detail": [{"loc": ["body", "a", 0], "msg": "Field required", "type": "missing", "input": None}]
    }
    assert "input" not in validation_body([{**error, "input": "x" * 199}])["detail"][0]
    assert validation_body([{**error, "input": "x" * 198}])["detail"][0]["input"] == "x" * 198
    context = {"error": ValueError("no"), "ge": 1, "nan": float("nan"), "half": 0.5, "none": None}
    assert validation_body([{**error, "ctx": context}])["detail"][0]["ctx"] == {
        "error": "no",
        "ge": 1,
        "nan": "nan",
        "half": 0.5,
        "none": None,
    }
    assert len(validation_body([error] * 500)["detail"]) == 100


def app() -> FastAPI:
    made = FastAPI()

    def create(body: AssistantCreate) -> dict[str, Any]:
        return {"name": body.name}

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return JSONResponse(validation_body(error.errors()), 422)

    made.post("/ai/assistants", responses=RESPONSES)(create)
    made.add_exception_handler(RequestValidationError, invalid)
    return made


def test_bodies_in_fastapi():
    client = TestClient(app())
    assert client.post("/ai/assistants", json={"name": "a", "instructions": "b"}).json() == {"name": "a"}
    missing = client.post("/ai/assistants", json={"name": "a"})
    assert missing.status_code == 422
    assert missing.json()["detail"] == [
        {"loc": ["body", "instructions"], "msg": "Field required", "type": "missing", "input": {"name": "a"}}
    ]
    for text in ("a\\u0000b", "\\ud800"):
        answer = client.post(
            "/ai/assistants",
            content='{"name": "%s", "instructions": "b"}' % text,  # noqa: UP031  # braces
            headers={"content-type": "application/json"},
        )
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["body", "name"]
    flow = {"start_node_id": "b", "nodes": [{"id": "a", "instructions": "i"}]}
    wrong = client.post("/ai/assistants", json={"name": "a", "instructions": "b", "conversation_flow": flow})
    assert [item["loc"] for item in wrong.json()["detail"]] == [["body", "conversation_flow"]]


def test_every_refusal_is_documented():
    documented = app().openapi()
    responses = documented["paths"]["/ai/assistants"]["post"]["responses"]
    assert {"200", *map(str, (*CODES, 405, 408, 415))} == set(responses)
    schema = responses["422"]["content"]["application/json"]["schema"]
    assert {part["$ref"].rsplit("/", 1)[1] for part in schema["anyOf"]} == {"ErrorsBody", "ValidationBody"}
    for status in CODES:
        if status != 422:
            assert responses[str(status)]["content"]["application/json"]["schema"]["$ref"].endswith("ErrorsBody")
    assert "null" not in json.dumps(documented["components"]["schemas"]["TelephonySettings"])

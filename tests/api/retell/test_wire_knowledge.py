"""Forms as all generations of clients write them, and answers."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.api.retell.errors import Refused
from vivavoce.api.retell.wire.knowledge import Parts, Upload, dump_library, read_library, read_sources
from vivavoce.core.knowledge import Library, Source, Standing
from vivavoce.services.libraries import Given

NAME = ("knowledge_base_name", "Manuals")
TEXTS = (("Returns", "Send them back."), ("Hours", "Nine to six."))
URLS = ("https://shop.example/a?b=[c]", "https://shop.example/b")
OBJECTS = [{"title": title, "text": text} for title, text in TEXTS]
FILES = (("a.md", b"# A"), ("b.txt", b"B"))

IN_JSON: Parts = [
    ("knowledge_base_texts", json.dumps(OBJECTS)),
    ("knowledge_base_urls", json.dumps(URLS)),
    *(("knowledge_base_files", Upload(name, data)) for name, data in FILES),
]
REPEATED: Parts = [
    *(("knowledge_base_texts", json.dumps(one)) for one in OBJECTS),
    *(("knowledge_base_urls", url) for url in URLS),
    *(("knowledge_base_files", Upload(name, data)) for name, data in FILES),
]
WITH_BRACKETS: Parts = [
    *((f"knowledge_base_texts[][{field}]", text[field]) for text in OBJECTS for field in ("title", "text")),
    *(("knowledge_base_urls[]", url) for url in URLS),
    *(("knowledge_base_files[]", Upload(name, data)) for name, data in FILES),
]
FIELD_BY_FIELD: Parts = [
    *(("knowledge_base_texts[][text]", text["text"]) for text in OBJECTS),
    *(("knowledge_base_texts[][title]", text["title"]) for text in OBJECTS),
    *(("knowledge_base_urls[]", json.dumps(url)) for url in URLS),
    *(("knowledge_base_files[]", Upload(name, data)) for name, data in FILES),
]
WITH_NUMBERS: Parts = [
    *(
        (f"knowledge_base_texts[{place}][{field}]", text[field])
        for field in ("title", "text")
        for place, text in enumerate(OBJECTS)
    ),
    *((f"knowledge_base_urls[{place}]", url) for place, url in enumerate(URLS)),
    *((f"knowledge_base_files[{place}]", Upload(name, data)) for place, (name, data) in enumerate(FILES)),
]


@pytest.mark.parametrize("parts", [IN_JSON, REPEATED, WITH_BRACKETS, FIELD_BY_FIELD, WITH_NUMBERS])
def test_section_12_every_way_to_write_the_lists_says_the_same(parts: Parts) -> None:
    assert read_sources(parts) == Given(TEXTS, FILES, URLS)


def test_section_12_a_name_is_enough_and_the_rest_has_defaults() -> None:
    assert read_library([NAME]) == (Library("", "Manuals", 0, 0), Given())
    library, taken = read_library(
        [
            NAME,
            *IN_JSON,
            ("enable_auto_refresh", "true"),
            ("max_chunk_size", "1000"),
            ("min_chunk_size", "100"),
            ("newer", "x"),
            ("other_file", Upload("x.txt", b"x")),
        ]
    )
    assert library == Library("", "Manuals", 0, 0, longest=1000, shortest=100, refreshes=True)
    assert taken == Given(TEXTS, FILES, URLS)


def test_a_file_without_a_name_gets_one() -> None:
    assert read_sources([("knowledge_base_files", Upload("", b"x"))]).files == (("upload", b"x"),)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([], "knowledge_base_name: Field required"),
        ([("knowledge_base_name", "x" * 40)], "knowledge_base_name: String should have at most 39 characters"),
        ([("knowledge_base_name", "")], "knowledge_base_name: String should have at least 1 character"),
        ([("knowledge_base_name", "  ")], "knowledge_base_name: Value error, Input should not be blank"),
        ([("knowledge_base_name", "a\x00")], "knowledge_base_name: "),
        ([("knowledge_base_name", Upload("a", b"a"))], "knowledge_base_name: Field required"),
        ([NAME, ("max_chunk_size", "many")], "max_chunk_size: "),
        ([NAME, ("max_chunk_size", "300"), ("min_chunk_size", "300")], "min_chunk_size: Input should be less than max"),
        ([NAME, ("enable_auto_refresh", "perhaps")], "enable_auto_refresh: "),
        ([NAME, ("knowledge_base_texts", "words")], "knowledge_base_texts.0: "),
        ([NAME, ("knowledge_base_texts", '[{"title": "a"}]')], "knowledge_base_texts.0.text: Field required"),
        ([NAME, ("knowledge_base_texts", '{"title": "a", "text": ""}')], "knowledge_base_texts.0.text: "),
        ([NAME, ("knowledge_base_texts", '[{"title": "a", "text": "\\ud800"}]')], "knowledge_base_texts.0.text: "),
        ([NAME, ("knowledge_base_texts[][title]", "a")], "knowledge_base_texts.0.text: Field required"),
        ([NAME, ("knowledge_base_texts", "[" * 100_000)], "knowledge_base_texts.0: "),
        ([NAME, ("knowledge_base_texts", "[" + "9" * 5000 + "]")], "knowledge_base_texts.0: "),
        ([NAME, ("knowledge_base_urls", "[1]")], "knowledge_base_urls.0: "),
    ],
)
def test_section_1_what_is_wrong_with_a_form_is_a_400(parts: Parts, said: str) -> None:
    with pytest.raises(Refused) as refused:
        read_library(parts)
    assert refused.value.status == 400
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


ODD = st.from_regex(r"knowledge_base_(texts|urls)(\[[a-z0-9]?\]){0,3}", fullmatch=True)


@given(st.lists(st.tuples(ODD, st.text())))
def test_no_form_is_too_odd_to_be_answered(parts: list[tuple[str, str]]) -> None:
    try:
        found = read_sources(parts)
    except Refused as refused:
        found = refused
    assert isinstance(found, Given) or found.status == 400


ID = "01890a5d-ac96-774b-bcce-b302099a8057"
SHOWN = ID.replace("-", "")


def test_section_12_an_answer_names_every_source_and_its_kind() -> None:
    sources = (
        Source(ID, "text", "Returns", 5, 1),
        Source(ID, "file", "a.md", 3, 1),
        Source(ID, "page", "https://shop.example", fault="The page is gone."),
    )
    body = dump_library(Library(ID, "Manuals", 1, 2, Standing.BROKEN, sources, 1000, 100, True, 3))
    assert body == {
        "knowledge_base_id": f"knowledge_base_{SHOWN}",
        "knowledge_base_name": "Manuals",
        "status": "error",
        "knowledge_base_sources": [
            {"source_id": f"source_{SHOWN}", "type": "text", "title": "Returns", "content_url": ""},
            {
                "source_id": f"source_{SHOWN}",
                "type": "document",
                "filename": "a.md",
                "file_url": "",
                "file_size": 3,
            },
            {
                "source_id": f"source_{SHOWN}",
                "type": "url",
                "url": "https://shop.example",
                "error_message": "The page is gone.",
            },
        ],
        "max_chunk_size": 1000,
        "min_chunk_size": 100,
        "enable_auto_refresh": True,
        "user_modified_timestamp": 2,
        "last_refreshed_timestamp": 3,
    }


@pytest.mark.parametrize(
    ("standing", "status"),
    [
        (Standing.TAKING_IN, "in_progress"),
        (Standing.READY, "complete"),
        (Standing.BROKEN, "error"),
        (Standing.REFRESHING, "refreshing_in_progress"),
    ],
)
def test_section_12_every_standing_has_its_status(standing: Standing, status: str) -> None:
    body: dict[str, Any] = dump_library(Library(ID, "n", 1, 1, standing, (Source(ID, "page", "https://a.example"),)))
    assert body["status"] == status
    assert "last_refreshed_timestamp" not in body
    assert "error_message" not in body["knowledge_base_sources"][0]

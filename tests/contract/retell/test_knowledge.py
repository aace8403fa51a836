"""Knowledge bases (contract, section 12), with the vendor's Python SDK."""

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import retell
from tests.support.raw import JSON, send
from tests.support.retell_sdk import PATIENCE_S, connected
from tests.support.server import Server

TEXT = {"title": "Returns", "text": "You may send shoes back within thirty days."}
PAGE = b"<html><head><title>no</title></head><body><p>Vouchers never expire.</p></body></html>"
SCRIPT = 'on hear "shoes" or "vouchers": say "One moment."'


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # the name that the library calls
        found = self.path == "/vouchers"
        self.send_response(200 if found else 404)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE if found else b"")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing is told."""


@contextmanager
def a_site() -> Generator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def client(live_server: Server) -> Iterator[Any]:
    with connected(live_server) as client:
        yield client


def message(failure: retell.APIStatusError) -> str:
    body: Any = failure.body
    assert body["status"] == "error"
    return body["message"]


def settled(client: Any, base: Any) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while base.status in ("in_progress", "refreshing_in_progress"):
        assert time.monotonic() < deadline, base
        time.sleep(0.05)
        base = client.knowledge_base.retrieve(base.knowledge_base_id)
    return base


def shown(base: Any) -> list[tuple[str, str]]:
    names = {"text": "title", "document": "filename", "url": "url"}
    return [(one.type, getattr(one, names[one.type])) for one in base.knowledge_base_sources]


def retrieved(client: Any, words: str, *ids: str) -> list[str]:
    """What an agent with these knowledge bases is told when it hears these words."""
    engine = client.llm.create(
        start_speaker="user",
        general_prompt=SCRIPT,
        knowledge_base_ids=list(ids),
        kb_config={"top_k": 1},
    )
    agent = client.agent.create(response_engine={"type": "retell-llm", "llm_id": engine.llm_id}, voice_id="v")
    turn = client.playground.completion(agent.agent_id, messages=[{"role": "user", "content": words}])
    assert [one.content for one in turn.messages] == ["One moment."]
    return turn.knowledge_base_retrieved_contents or []


@pytest.mark.operation(
    "knowledge_base.create",
    "knowledge_base.retrieve",
    "knowledge_base.list",
    "knowledge_base.add_sources",
    "knowledge_base.delete_source",
    "knowledge_base.delete",
)
def test_section_12_a_knowledge_base_is_made_of_texts_files_and_pages(client: Any) -> None:
    with a_site() as site:
        made = client.knowledge_base.create(
            knowledge_base_name="Manuals",
            knowledge_base_texts=[TEXT, {"title": "Hours", "text": "Nine to six."}],
            knowledge_base_files=[("parking.md", b"# Parking\n\nBehind the house."), b"Dogs are welcome."],
            knowledge_base_urls=[f"{site}/vouchers"],
            enable_auto_refresh=True,
            max_chunk_size=1000,
            min_chunk_size=100,
        )
        assert made.knowledge_base_id.startswith("knowledge_base_")
        assert (made.status, made.knowledge_base_name) == ("in_progress", "Manuals")
        assert (made.max_chunk_size, made.min_chunk_size, made.enable_auto_refresh) == (1000, 100, True)
        assert shown(made) == [
            ("text", "Returns"),
            ("text", "Hours"),
            ("document", "parking.md"),
            ("document", "upload"),
            ("url", f"{site}/vouchers"),
        ]
        done = settled(client, made)
        assert done.status == "complete"
        assert done.last_refreshed_timestamp > 0
    assert made.knowledge_base_id in [one.knowledge_base_id for one in client.knowledge_base.list()]
    more = client.knowledge_base.add_sources(
        made.knowledge_base_id, knowledge_base_texts=[{"title": "Bikes", "text": "Bikes are repaired."}]
    )
    assert shown(more)[-1] == ("text", "Bikes")
    source = more.knowledge_base_sources[-1].source_id
    less = client.knowledge_base.delete_source(source, knowledge_base_id=made.knowledge_base_id)
    assert less.knowledge_base_sources == done.knowledge_base_sources
    client.knowledge_base.delete(made.knowledge_base_id)
    with pytest.raises(retell.UnprocessableEntityError):
        client.knowledge_base.retrieve(made.knowledge_base_id)


def test_section_4_what_bears_on_the_talk_is_found_before_each_answer(client: Any) -> None:
    with a_site() as site:
        pages = settled(
            client, client.knowledge_base.create(knowledge_base_name="p", knowledge_base_urls=[f"{site}/vouchers"])
        )
    texts = client.knowledge_base.create(knowledge_base_name="t", knowledge_base_texts=[TEXT])
    assert texts.status == "complete"
    both = (texts.knowledge_base_id, pages.knowledge_base_id)
    assert retrieved(client, "Do vouchers expire?", *both) == ["Vouchers never expire."]
    assert retrieved(client, "Can I send my shoes back?", *both) == [TEXT["text"]]
    client.knowledge_base.delete(texts.knowledge_base_id)
    assert retrieved(client, "Can I send my shoes back?", texts.knowledge_base_id) == []
    assert retrieved(client, "Can I send my shoes back?", "knowledge_base_0123456789ab") == []


def test_a_page_that_is_not_there_is_an_error_that_says_why(client: Any) -> None:
    with a_site() as site:
        made = client.knowledge_base.create(
            knowledge_base_name="gone", knowledge_base_texts=[TEXT], knowledge_base_urls=[f"{site}/gone"]
        )
        done = settled(client, made)
    assert done.status == "error"
    assert done.knowledge_base_sources[1].error_message == "The page answered with HTTP status 404."
    assert retrieved(client, "Can I send my shoes back?", made.knowledge_base_id) == [TEXT["text"]]


def test_section_1_1_what_is_not_there_is_a_422(client: Any) -> None:
    base = client.knowledge_base.create(knowledge_base_name="n")
    for ask in (
        lambda: client.knowledge_base.retrieve("knowledge_base_0123456789ab"),
        lambda: client.knowledge_base.delete("knowledge_base_0123456789ab"),
        lambda: client.knowledge_base.add_sources("knowledge_base_0123456789ab", knowledge_base_texts=[TEXT]),
        lambda: client.knowledge_base.delete_source("source_1", knowledge_base_id="knowledge_base_0123456789ab"),
        lambda: client.knowledge_base.delete_source("source_1", knowledge_base_id=base.knowledge_base_id),
    ):
        with pytest.raises(retell.UnprocessableEntityError) as failure:
            ask()
        assert message(failure.value)


def test_section_12_what_cannot_be_taken_in_is_a_400_that_names_it(client: Any, live_server: Server) -> None:
    def create(**fields: Any) -> Any:
        return client.knowledge_base.create(**{"knowledge_base_name": "n", **fields})

    for ask, said in (
        (lambda: create(knowledge_base_name="x" * 40), "at most 39 characters"),
        (lambda: create(knowledge_base_files=[("scan.pdf", b"%PDF-1.7")]), "scan.pdf: only text"),
        (lambda: create(knowledge_base_files=[("a.txt", b"a")] * 26), "Too many files"),
        (lambda: create(knowledge_base_urls=["shop"]), "'shop' is no address of a page"),
        (lambda: create(max_chunk_size=300, min_chunk_size=300), "less than max_chunk_size"),
    ):
        with pytest.raises(retell.BadRequestError) as failure:
            ask()
        assert said in message(failure.value)
    with pytest.raises(retell.APIStatusError) as large:
        create(knowledge_base_files=[("a.txt", b"a" * (2 * 1024 * 1024))])
    assert large.value.status_code == 413
    for head, body in (
        (JSON, b'{"knowledge_base_name": "n"}'),
        (("Content-Type", "multipart/form-data"), b""),
        (("Content-Type", "multipart/form-data; boundary=x"), b"no form"),
        (
            ("Content-Type", "multipart/form-data; boundary=x"),
            b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--",
        ),
    ):
        answer = send(live_server, "POST", "/create-knowledge-base", body, [head])
        assert (answer.status, answer.json["status"]) == (400, "error")

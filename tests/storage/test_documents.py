from dataclasses import replace

import pytest
from tests.support.store import NOW, ORG

from vivavoce.core.document import Document
from vivavoce.storage import documents
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.documents import Piece

OTHER = "org-b"
GUIDE = Document("id-1", "manuals", "guide.md", "d1", NOW)
FAQ = Document("id-2", "manuals", "faq.html", "d2", NOW + 1)
MENU = Document("id-3", "kitchen", "guide.md", "d3", NOW - 1)
ONE, TWO = b"\0\0\x80\x3f", b"\0\0\0\x40"


@pytest.fixture
async def kept(database: Database) -> Database:
    def work(tx: Tx) -> None:
        documents.add(tx, ORG, GUIDE, ["first", "second"], "m-1", [ONE, TWO])
        documents.add(tx, ORG, FAQ, ["question"], None, None)
        documents.add(tx, ORG, MENU, [], None, None)

    await database.write(work)
    return database


async def test_documents_are_found_by_name_and_by_bucket(kept: Database) -> None:
    def work(tx: Tx) -> None:
        assert documents.find(tx, ORG, "manuals", "guide.md") == GUIDE
        assert documents.find(tx, ORG, "manuals", "menu.md") is None
        assert documents.get_all(tx, ORG) == (MENU, GUIDE, FAQ)
        assert documents.get_all(tx, ORG, ["manuals", "nothing"]) == (GUIDE, FAQ)
        assert documents.get_all(tx, ORG, []) == ()

    await kept.read(work)


async def test_passages_are_counted_and_those_with_a_vector_of_the_model(kept: Database) -> None:
    def work(tx: Tx) -> None:
        ids = ["id-1", "id-2", "id-3"]
        assert documents.counted(tx, ORG, ids, "m-1") == {"id-1": (2, 2), "id-2": (1, 0)}
        assert documents.counted(tx, ORG, ids, "m-2") == {"id-1": (2, 0), "id-2": (1, 0)}
        assert documents.counted(tx, ORG, ids, None) == {"id-1": (2, 0), "id-2": (1, 0)}
        assert documents.counted(tx, ORG, [], "m-1") == {}

    await kept.read(work)


async def test_passages_come_in_the_order_of_the_text_with_vectors_of_the_model_alone(kept: Database) -> None:
    def work(tx: Tx) -> None:
        assert documents.get_pieces(tx, ORG, ["id-2", "id-1"], "m-1") == (
            Piece("id-2", 0, "question"),
            Piece("id-1", 0, "first", ONE),
            Piece("id-1", 1, "second", TWO),
        )
        for model in ("m-2", None):
            assert {one.vector for one in documents.get_pieces(tx, ORG, ["id-1"], model)} == {None}

    await kept.read(work)


async def test_what_has_no_vector_gets_one(kept: Database) -> None:
    def work(tx: Tx) -> None:
        [bare] = documents.get_bare(tx, ORG, "m-1", 10)
        assert bare == Piece("id-2", 0, "question")
        gone = replace(bare, document_id="id-9")
        documents.put_vectors(tx, ORG, [bare, gone], "m-1", [ONE, TWO])
        assert documents.get_bare(tx, ORG, "m-1", 10) == ()
        assert documents.get_pieces(tx, ORG, ["id-2"], "m-1") == (replace(bare, vector=ONE),)
        assert len(documents.get_bare(tx, ORG, "m-2", 10)) == 3
        assert len(documents.get_bare(tx, ORG, "m-2", 2)) == 2

    await kept.write(work)


async def test_a_document_goes_with_its_passages(kept: Database) -> None:
    def work(tx: Tx) -> None:
        assert documents.drop(tx, ORG, "id-1")
        assert not documents.drop(tx, ORG, "id-1")
        assert documents.get_pieces(tx, ORG, ["id-1"], None) == ()
        documents.add(tx, ORG, GUIDE, ["again"], None, None)  # nothing is left of the first

    await kept.write(work)


async def test_nobody_else_finds_or_changes_them(kept: Database) -> None:
    def work(tx: Tx) -> None:
        assert documents.find(tx, OTHER, "manuals", "guide.md") is None
        assert documents.get_all(tx, OTHER) == ()
        assert documents.counted(tx, OTHER, ["id-1"], "m-1") == {}
        assert documents.get_pieces(tx, OTHER, ["id-1"], "m-1") == ()
        assert documents.get_bare(tx, OTHER, "m-1", 10) == ()
        documents.put_vectors(tx, OTHER, [Piece("id-2", 0, "")], "m-1", [ONE])
        assert not documents.drop(tx, OTHER, "id-1")
        assert len(documents.get_bare(tx, ORG, "m-1", 10)) == 1
        assert documents.find(tx, ORG, "manuals", "guide.md") == GUIDE

    await kept.write(work)

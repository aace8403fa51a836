from dataclasses import replace

from tests.support.store import NOW, ORG, ids

from vivavoce.core.knowledge import Library, Source, Standing
from vivavoce.storage import libraries
from vivavoce.storage.database import Database

PAGE = Source("page-1", "page", "https://shop.example", fault="The page is gone.")
LIBRARY = Library(
    "library-1",
    "Manuals",
    NOW,
    NOW,
    Standing.BROKEN,
    (PAGE, Source("text-1", "text", "Hours", 5, NOW)),
    1000,
    100,
    True,
)


async def test_a_library_comes_back_as_it_was_kept(database: Database) -> None:
    await database.write(lambda tx: libraries.add(tx, ORG, LIBRARY))
    assert await database.read(lambda tx: libraries.get(tx, ORG, LIBRARY.id)) == LIBRARY
    changed = replace(LIBRARY, standing=Standing.READY, sources=(), refreshed_at=NOW + 1, changed_at=NOW + 1)
    await database.write(lambda tx: libraries.put(tx, ORG, changed))
    assert await database.write(lambda tx: libraries.get(tx, ORG, LIBRARY.id, lock=True)) == changed


async def test_a_library_belongs_to_its_organisation(database: Database) -> None:
    await database.write(lambda tx: libraries.add(tx, ORG, LIBRARY))
    assert await database.read(lambda tx: libraries.get(tx, "org-b", LIBRARY.id)) is None
    assert await database.read(lambda tx: libraries.get_all(tx, "org-b", 5)) == ()
    await database.write(lambda tx: libraries.put(tx, "org-b", replace(LIBRARY, name="Other")))
    assert not await database.write(lambda tx: libraries.drop(tx, "org-b", LIBRARY.id))
    assert await database.read(lambda tx: libraries.get(tx, ORG, LIBRARY.id)) == LIBRARY


async def test_libraries_are_listed_newest_first_and_dropped(database: Database) -> None:
    new_id = ids()
    made = [replace(LIBRARY, id=new_id()) for _ in range(3)]
    for one in made:
        await database.write(lambda tx, one=one: libraries.add(tx, ORG, one))
    assert await database.read(lambda tx: libraries.get_all(tx, ORG, 2)) == (made[2], made[1])
    assert await database.write(lambda tx: libraries.drop(tx, ORG, made[1].id))
    assert not await database.write(lambda tx: libraries.drop(tx, ORG, made[1].id))
    assert await database.read(lambda tx: libraries.get_all(tx, ORG, 5)) == (made[2], made[0])

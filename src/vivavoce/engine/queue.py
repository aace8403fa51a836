"""The queue: DBOS hands out runs. It is a courier, not the record: what it loses, the runs' own rows bring back.

One DBOS workflow for each hand-out of a run (its id is ``run:dispatch``, so that submitting twice is harmless), with
one preemptible step that drives the run. Only ids travel through it. On SQLite its file is made anew at every start.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from dbos import DBOS, DBOSConfig, SetWorkflowID
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection

from vivavoce.engine.leases import Job

QUEUE = "runs"
POLL_S = 0.2
ASKED_AT_ONCE = 500
APPLICATION_VERSION = "1"
"""Fixed: DBOS neither hands out nor recovers what another version submitted, and ours stay compatible."""

Drive = Callable[[Job], Awaitable[None]]


class Queue:
    """One for each process; DBOS itself is a singleton."""

    def __init__(self, url: str, directory: Path, worker_concurrency: int, executor_id: str) -> None:
        self._url, self._directory = make_url(url), directory
        self._worker_concurrency, self._executor_id = worker_concurrency, executor_id
        self._engine: Engine | None = None

    async def start(self, drive: Drive) -> None:
        """Begin to hand out runs to ``drive``. Must be called on the running event loop."""
        for name in ("dbos", "dbos.dbos"):
            # It reports every cancelled workflow as an error with a traceback; what matters is logged by the worker.
            logging.getLogger(name).setLevel(logging.CRITICAL)
        config = DBOSConfig(
            name="vivavoce",
            application_version=APPLICATION_VERSION,
            executor_id=self._executor_id,
            log_level="CRITICAL",
            enable_otlp=False,
            # It makes its executor the loop's default; unbounded, a thousand runs would make a thousand threads.
            max_executor_threads=16,
            # Nobody sends notifications here, and stopping waits for the last look at them.
            notification_listener_polling_interval_sec=POLL_S,
        )
        if self._url.get_backend_name() == "sqlite":
            self._engine = _disposable(self._directory / "queue.db")
            config["system_database_engine"] = self._engine
            config["system_database_url"] = str(self._engine.url)
        else:
            config["system_database_url"] = self._url.set(drivername="postgresql+psycopg").render_as_string(
                hide_password=False
            )
            config["dbos_system_schema"] = "vivavoce_queue"
        DBOS(config=config)

        @DBOS.workflow(name="examine", max_recovery_attempts=None)
        async def examine(run_id: str, dispatch: int) -> None:
            # Not a step: nothing is checkpointed here, because the journal is. A workflow that DBOS starts again
            # finds its hand-out claimed, and ends.
            await drive(Job(run_id, dispatch))

        self._examine = examine
        DBOS.launch()
        await DBOS.register_queue_async(
            QUEUE,
            worker_concurrency=self._worker_concurrency,
            polling_interval_sec=POLL_S,
            on_conflict="always_update",
        )

    async def submit(self, job: Job) -> None:
        """Hand out a run, durably. Submitting the same hand-out again changes nothing."""
        with SetWorkflowID(_workflow_id(job)):
            await DBOS.enqueue_workflow_async(QUEUE, self._examine, job.run_id, job.dispatch)

    async def find(self, jobs: Sequence[Job]) -> Mapping[Job, bool]:
        """Those of the hand-outs that are not over: False where one waits in the queue, True where a worker took it."""
        by_id = {_workflow_id(job): job for job in jobs}
        ids = list(by_id)
        found: dict[Job, bool] = {}
        for first in range(0, len(ids), ASKED_AT_ONCE):
            some = await DBOS.list_workflows_async(
                workflow_ids=ids[first : first + ASKED_AT_ONCE],
                status=["ENQUEUED", "DELAYED", "PENDING"],
                load_input=False,
                load_output=False,
            )
            found |= {by_id[one.workflow_id]: one.status == "PENDING" for one in some}
        return found

    def stop(self) -> None:
        """Stop handing out. What is being driven must have been stopped before."""
        DBOS.destroy(destroy_registry=True)
        if self._engine is not None:
            self._engine.dispose()


def _workflow_id(job: Job) -> str:
    return f"{job.run_id}:{job.dispatch}"


def _disposable(path: Path) -> Engine:
    """A file that may be lost: every unfinished run is submitted anew at the start, so it needs no fsync."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def opened(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=OFF"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine

"""Rollouts: which version of an assistant new conversations get."""

from collections.abc import Callable, Mapping, Sequence

from vivavoce.core.assistant import Assistant, Version
from vivavoce.core.rollout import Rollout, Rule, choose
from vivavoce.services import assistants, engines
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import assistants as versions
from vivavoce.storage import rollouts
from vivavoce.storage.database import Tx

END_USER = "end_user_target"
"""The attribute that says who is on the other end; also known with the prefix of the version's variables before it."""


def create(ctx: Context, tx: Tx, org: str, assistant_id: str, rules: Sequence[Rule]) -> Rollout:
    """Begin a rollout. Raises ``NotFound``, and ``Rejected`` where there is one already, or where a rule serves main or
    a version that does not exist."""
    assistant = assistants.get(tx, org, assistant_id, lock=True)
    if rollouts.get(tx, assistant_id) is not None:
        raise Rejected("This assistant has a rollout already: replace it, or delete it first.")
    now = ctx.clock.now()
    return _kept(tx, assistant, Rollout(tuple(rules), now, now))


async def retrieve(ctx: Context, org: str, assistant_id: str) -> Rollout:
    """The assistant's rollout. Raises ``NotFound``, also where it has none."""

    def work(tx: Tx) -> Rollout:
        assistants.get(tx, org, assistant_id)
        return _get(tx, assistant_id)

    return await ctx.database.read(work)


async def update(ctx: Context, org: str, assistant_id: str, rules: Sequence[Rule]) -> Rollout:
    """Replace all rules. Raises ``NotFound``, also where there is no rollout, and ``Rejected`` as ``create`` does."""

    def work(tx: Tx) -> Rollout:
        assistant = assistants.get(tx, org, assistant_id, lock=True)
        before = _get(tx, assistant_id)
        return _kept(tx, assistant, Rollout(tuple(rules), before.created_at, ctx.clock.now()))

    return await ctx.database.write(work)


async def serve(
    ctx: Context,
    org: str,
    assistant_id: str,
    rules: Sequence[Rule],
    check: Callable[[Version, Rollout | None], None],
) -> None:
    """Serve by these rules, whether there were any before or not; no rules end the rollout.

    ``check`` is given main and the rollout as they are now, and raises where the rules were made for others. Raises
    ``NotFound``, and ``Rejected`` as ``create`` does.
    """

    def work(tx: Tx) -> None:
        assistant = assistants.get(tx, org, assistant_id, lock=True)
        before = rollouts.get(tx, assistant_id)
        check(assistant.main, before)
        if not rules:
            rollouts.drop(tx, assistant_id)
            return
        now = ctx.clock.now()
        _kept(tx, assistant, Rollout(tuple(rules), before.created_at if before else now, now))

    await ctx.database.write(work)


async def delete(ctx: Context, org: str, assistant_id: str) -> None:
    """End the rollout: all new conversations get main. Raises ``NotFound``, also where there is no rollout."""

    def work(tx: Tx) -> None:
        assistants.get(tx, org, assistant_id, lock=True)
        if not rollouts.drop(tx, assistant_id):
            raise NotFound("rollout of the assistant", assistant_id)

    await ctx.database.write(work)


def chosen(
    ctx: Context,
    tx: Tx,
    org: str,
    assistant: Assistant,
    *,
    user_target: str | None,
    metadata: Mapping[str, str],
    draw: float,
) -> Version:
    """The version that a new conversation gets, completed to be run (contract, section 6.2).

    ``user_target`` is who is on the other end, ``metadata`` what else is known of the conversation: rules can ask for
    any of its keys. ``draw`` is random, 0 <= draw < 1: draw once for each conversation, and keep what came of it.
    """
    rollout = rollouts.get(tx, assistant.id)
    prefixed = f"{assistant.main.templating.prefix}{END_USER}"
    target = user_target or metadata.get(prefixed)
    context = {**metadata, END_USER: target, prefixed: target} if target else metadata
    version_id = choose(rollout, context, draw) if rollout else None
    version = versions.get_version(tx, assistant.id, version_id) if version_id else None
    return engines.completed(tx, org, version or assistant.main)


def _get(tx: Tx, assistant_id: str) -> Rollout:
    found = rollouts.get(tx, assistant_id)
    if found is None:
        raise NotFound("rollout of the assistant", assistant_id)
    return found


def _kept(tx: Tx, assistant: Assistant, rollout: Rollout) -> Rollout:
    for id_ in rollout.served():
        if id_ == assistant.main.id:
            raise Rejected("A rule serves main, which gets what the rules leave over.", "rules")
        if versions.get_version(tx, assistant.id, id_) is None:
            raise Rejected(f"Assistant {assistant.id!r} has no version {id_!r}.", "rules")
    rollouts.put(tx, assistant.id, rollout)
    return rollout

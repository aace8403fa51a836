"""The operations of this API that need another scope than their method says."""

from vivavoce.api.scopes import rules
from vivavoce.core.scope import Scope

RULES = rules(
    {
        "GET /keys": Scope.ADMIN,
        "GET /limits": Scope.ADMIN,
        "GET /workers": Scope.ADMIN,
        "GET /webhooks": Scope.ADMIN,
        "GET /webhooks/{hook_id}": Scope.ADMIN,
        "POST /batches": Scope.RUN,
        "POST /batches/{batch_id}/cancel": Scope.RUN,
        "DELETE /conversations/{conversation_id}": Scope.RUN,
        "POST /conversations": Scope.RUN,
        "POST /conversations/{conversation_id}/messages": Scope.RUN,
        "POST /inbox": Scope.RUN,
        "POST /models/probe": Scope.RUN,
        "POST /runs/{run_id}/cancel": Scope.RUN,
        "POST /schedules/{schedule_id}/fire": Scope.RUN,
        "POST /suites/{name:path}/cancel": Scope.RUN,
    }
)

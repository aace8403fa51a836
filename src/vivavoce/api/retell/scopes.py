"""The operations of this API that need less than their method says."""

from vivavoce.api.scopes import rules
from vivavoce.core.scope import Scope

RULES = rules(
    {
        "POST /v2/list-agents": Scope.READ,
        "POST /v3/list-chats": Scope.READ,
        "POST /create-batch-test": Scope.RUN,
        "POST /create-chat": Scope.RUN,
        "POST /create-chat-completion": Scope.RUN,
        "PATCH /update-chat/{chat_id}": Scope.RUN,
        "PATCH /end-chat/{chat_id}": Scope.RUN,
        "POST /agent-playground-completion/{agent_id}": Scope.RUN,
    }
)

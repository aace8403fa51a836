"""The operations of this API that need less than their method says."""

from vivavoce.api.scopes import rules
from vivavoce.core.scope import Scope

RULES = rules(
    dict.fromkeys(
        (
            "POST /ai/assistants/tests/test-suites/{suite_name:path}/runs",
            "POST /ai/assistants/tests/{test_id}/runs",
            "POST /ai/assistants/{assistant_id}/chat",
            "POST /ai/assistants/{assistant_id}/chat/sms",
            "POST /ai/assistants/{assistant_id}/chat/whatsapp",
            "POST /ai/assistants/{assistant_id}/instructions/enhance",
            "POST /ai/conversations",
            "PUT /ai/conversations/{conversation_id}",
            "POST /ai/conversations/{conversation_id}/message",
            "POST /ai/openai/chat/completions",
            "POST /ai/chat/completions",
        ),
        Scope.RUN,
    )
)

"""Services of others that an assistant can work with: a catalog, and an organisation's connections to it."""

from dataclasses import dataclass, replace

from vivavoce.core.event import Millis
from vivavoce.core.tool import Header, WebhookTool


@dataclass(frozen=True, slots=True)
class Integration:
    """An entry of the catalog. The URL of each tool begins with a slash and stands below ``base_url``; ``headers`` go
    along with every call. ``authorization`` is the header's scheme before the secret, for example ``Bearer``."""

    id: str
    title: str
    description: str
    base_url: str = ""
    authorization: str = "Bearer"
    headers: tuple[Header, ...] = ()
    tools: tuple[WebhookTool, ...] = ()
    logo_url: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """An organisation's use of an integration. ``secret`` names the stored secret that opens it; ``base_url`` None is
    the catalog's; ``allowed`` None allows every tool of the integration."""

    id: str
    integration_id: str
    secret: str
    created_at: Millis
    base_url: str | None = None
    allowed: tuple[str, ...] | None = None

    def allows(self, name: str) -> bool:
        """Whether assistants may have the tool of this name."""
        return self.allowed is None or name in self.allowed


def connected(integration: Integration, connection: Connection, secret: str) -> tuple[WebhookTool, ...]:
    """The tools that the connection allows, ready to be called; ``secret`` is the template of its secret's value."""
    base = (connection.base_url or integration.base_url).rstrip("/")
    headers = (*integration.headers, Header("Authorization", f"{integration.authorization} {secret}"))
    return tuple(
        replace(tool, url=base + tool.url, headers=(*tool.headers, *headers))
        for tool in integration.tools
        if connection.allows(tool.name)
    )

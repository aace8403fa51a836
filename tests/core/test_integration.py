from vivavoce.core.integration import Connection, Integration, connected
from vivavoce.core.tool import Header, WebhookTool

HUB = Integration(
    "hub",
    "Hub",
    "",
    base_url="https://hub.example/",
    authorization="Token",
    headers=(Header("Accept", "a/b"),),
    tools=(WebhookTool("one", "", "/one", headers=(Header("X", "1"),)), WebhookTool("two", "", "/two")),
)


def test_tools_stand_below_the_integration_s_address_and_carry_its_secret() -> None:
    one, two = connected(HUB, Connection("c", "hub", "key", 0), "<key>")
    assert (one.url, two.url) == ("https://hub.example/one", "https://hub.example/two")
    assert two.headers == (Header("Accept", "a/b"), Header("Authorization", "Token <key>"))
    assert one.headers == (Header("X", "1"), *two.headers)


def test_a_connection_can_lead_elsewhere_and_allow_less() -> None:
    connection = Connection("c", "hub", "key", 0, base_url="http://own/api", allowed=("two", "three"))
    assert [tool.url for tool in connected(HUB, connection, "")] == ["http://own/api/two"]

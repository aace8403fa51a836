"""The catalog of integrations. An entry without tools is known by name only, and its description says so."""

from collections.abc import Mapping
from typing import Any

from vivavoce.core.integration import Integration
from vivavoce.core.tool import Header, WebhookTool

_TIMEOUT_MS = 15_000
_FOUND = "5"  # what a search finds is read aloud or in a chat; and each issue is long
_NOT_YET = "It can be attached, and has no tools on this server yet: use webhook tools or an MCP server instead."


def _object(required: tuple[str, ...] = (), **properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


_REPOSITORY = {
    "owner": _text("Who owns the repository, for example octocat."),
    "repo": _text("The repository's name."),
}
_NUMBER = {"number": {"type": "integer", "minimum": 1, "description": "The issue's number."}}
_LABELS = {"type": "array", "items": {"type": "string"}, "description": "Names of labels."}
_IN_REPOSITORY = _object(("owner", "repo"), **_REPOSITORY)
_OF_ISSUE = _object(("owner", "repo", "number"), **_REPOSITORY, **_NUMBER)
_ISSUES = "/repos/{owner}/{repo}/issues"

GITHUB = Integration(
    "github",
    "GitHub",
    "Search, read, open, change and comment on issues.",
    base_url="https://api.github.com",
    headers=(Header("Accept", "application/vnd.github+json"), Header("X-GitHub-Api-Version", "2022-11-28")),
    tools=(
        WebhookTool(
            "github_search_issues",
            "Searches issues and pull requests.",
            "/search/issues",
            method="GET",
            query_parameters=_object(
                ("q",), q=_text("A search in GitHub's syntax, for example: repo:octocat/hello is:open is:issue printer")
            ),
            preset_query={"per_page": _FOUND},
            timeout_ms=_TIMEOUT_MS,
        ),
        WebhookTool(
            "github_get_issue",
            "Reads an issue.",
            _ISSUES + "/{number}",
            method="GET",
            path_parameters=_OF_ISSUE,
            timeout_ms=_TIMEOUT_MS,
        ),
        WebhookTool(
            "github_list_comments",
            "Reads the comments on an issue, oldest first.",
            _ISSUES + "/{number}/comments",
            method="GET",
            path_parameters=_OF_ISSUE,
            query_parameters=_object(page={"type": "integer", "minimum": 1, "description": "Which page of comments."}),
            preset_query={"per_page": "20"},
            timeout_ms=_TIMEOUT_MS,
        ),
        WebhookTool(
            "github_create_issue",
            "Opens an issue.",
            _ISSUES,
            path_parameters=_IN_REPOSITORY,
            body_parameters=_object(
                ("title",), title=_text("The title."), body=_text("The text, in Markdown."), labels=_LABELS
            ),
            timeout_ms=_TIMEOUT_MS,
        ),
        WebhookTool(
            "github_update_issue",
            "Changes an issue, or closes or reopens it.",
            _ISSUES + "/{number}",
            method="PATCH",
            path_parameters=_OF_ISSUE,
            body_parameters=_object(
                title=_text("A new title."),
                body=_text("A new text, in Markdown."),
                state={"type": "string", "enum": ["open", "closed"]},
                labels=_LABELS,
            ),
            timeout_ms=_TIMEOUT_MS,
        ),
        WebhookTool(
            "github_comment_on_issue",
            "Writes a comment on an issue.",
            _ISSUES + "/{number}/comments",
            path_parameters=_OF_ISSUE,
            body_parameters=_object(("body",), body=_text("The comment, in Markdown.")),
            timeout_ms=_TIMEOUT_MS,
        ),
    ),
)

CATALOG: tuple[Integration, ...] = (
    Integration("salesforce", "Salesforce", f"Customer relations. {_NOT_YET}"),
    Integration("servicenow", "ServiceNow", f"Service management. {_NOT_YET}"),
    Integration("jira", "Jira", f"Issues and projects. {_NOT_YET}"),
    Integration("hubspot", "HubSpot", f"Customer relations and marketing. {_NOT_YET}"),
    Integration("zendesk", "Zendesk", f"Support tickets. {_NOT_YET}"),
    Integration("intercom", "Intercom", f"Customer messaging. {_NOT_YET}"),
    GITHUB,
    Integration("greenhouse", "Greenhouse", f"Recruiting. {_NOT_YET}"),
    Integration("coval", "Coval", f"Evaluation of voice agents. {_NOT_YET}"),
)
"""The integrations that the contract names, section 5.14."""

"""The Telnyx AI Assistants API, mounted at ``/v2``."""

"""The testing API (see ``docs/reference/compatibility.md``)."""

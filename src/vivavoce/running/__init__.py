"""Running suites of files: on a server in this process or on another, through the same client."""

"""What came of running suites, for people and machines: pure functions of the results (docs/reference/running.md)."""

"""How a tester reaches an assistant."""

"""The wire APIs."""

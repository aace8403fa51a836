"""One examination from hello to verdict."""

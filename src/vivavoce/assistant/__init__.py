"""The assistant's runtime: one step = (version, state, what was heard) → new events and state."""

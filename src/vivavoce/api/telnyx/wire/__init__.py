"""The shapes of this API and their way into the core and back. Pure: ids and time are passed in."""

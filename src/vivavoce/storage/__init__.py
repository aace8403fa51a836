"""Tables, and the store between objects and rows. Only this room and the engine write SQL."""

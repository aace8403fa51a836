"""What an assistant may call."""

"""What a person may ask for, as plain async functions."""

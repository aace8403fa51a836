"""Shapes of requests and answers, and what they are in the words of the core."""

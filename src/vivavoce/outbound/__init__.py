"""Requests that the server makes to addresses other people name: one guard for all of them."""

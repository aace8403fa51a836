"""Durable execution: queue, lease, worker."""

"""Chaos: an installation of several processes is hurt for a while, and nothing may be lost or paid for twice.

python -m tests.chaos --seconds 120 --seed 7 --conversations 200
"""

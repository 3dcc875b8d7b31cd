"""Fakes, strategies and checks for tests, yours included."""

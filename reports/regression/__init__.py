"""Comparing runs with a baseline and with their own history: verdicts, change points, limits."""

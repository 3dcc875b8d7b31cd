"""Comparison of this build with vectors recorded from LiveKit."""

"""The actors: thin shells that ask `core` what to do and send messages."""

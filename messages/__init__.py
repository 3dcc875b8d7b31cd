"""The vocabulary of the actors: plain data, no behaviour."""

"""Thespian's actor system inside one process."""

"""A recorded call, played through the system again."""

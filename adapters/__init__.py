"""What touches the world: HTTP, metrics, analytics, the log, the data directory."""

"""What touches the world: clocks, HTTP, metrics, analytics sinks."""

"""The calls of a host: LiveKit's telemetry interface, a null one, and one that tells an actor."""

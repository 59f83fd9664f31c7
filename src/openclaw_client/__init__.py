"""Client for the OpenClaw Gateway."""

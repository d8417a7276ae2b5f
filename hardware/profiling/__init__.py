"""What a network costs: operations, energy, latency."""

"""Quantisation, the integer simulator, Lava, chips, energy and latency."""

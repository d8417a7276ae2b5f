"""The benchmark's network, written once for each library in the way that is fastest there."""

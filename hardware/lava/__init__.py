"""Real Lava beside the package: its installation, the patches it needs here, and runs in a process of its own."""

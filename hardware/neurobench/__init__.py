"""NeuroBench's metrics of our networks, beside our own counts."""

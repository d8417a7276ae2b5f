"""Event statistics of recordings, and how far two of them are apart."""

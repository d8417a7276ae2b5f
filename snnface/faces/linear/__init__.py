"""Linear morphable faces from files: identity and expression are weighted sums of stored shapes."""

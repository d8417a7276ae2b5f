"""Two implementations of a network on the same input, compared value by value."""

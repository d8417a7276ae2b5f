"""The benchmark: this package beside other libraries, the same numbers checked before a time counts."""

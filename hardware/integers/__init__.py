"""A network in the chip's integers: what it is, how it runs, on clips and step by step."""

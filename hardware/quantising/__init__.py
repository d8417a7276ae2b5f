"""A float network's numbers on the chip's grid."""

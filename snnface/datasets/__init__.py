"""Labelled event recordings: the HDF5 layout, Tonic-conformant data sets, ragged batches."""

"""One artefact into another: faces to events, recordings to HDF5."""

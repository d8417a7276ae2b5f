"""Spiking neural networks that read faces from event cameras."""

__version__ = "0.1.0"

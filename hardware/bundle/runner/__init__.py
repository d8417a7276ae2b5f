"""Runs the network of a bundle: needs numpy and h5py alone, or Lava beside them.

These files are copied into every bundle and import nothing of snnface. SPDX-License-Identifier: Apache-2.0
"""

"""Hydra configuration: it only names and combines; defaults stand beside the parts."""

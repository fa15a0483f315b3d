"""Plays the storyboard of an OpenSCENARIO file on a `Stage`."""

"""Roads: the LaneGraph, routes through it, the road frame, shapes, and the ground."""

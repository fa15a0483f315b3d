"""A server that speaks CARLA 0.9.16's protocol, without Unreal Engine and without a GPU."""

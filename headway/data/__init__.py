"""Facts about vehicles and recordings of real CARLA servers, with sources and licences."""

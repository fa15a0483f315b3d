"""Facts about CARLA's blueprints, with their sources and licences."""

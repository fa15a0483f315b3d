"""Which sensors there are, what attributes they take, and which of them this server can run."""

from __future__ import annotations

_INT, _FLOAT, _BOOL, _STRING = 2, 3, 1, 4  # AttributeType's numbers

IMPLEMENTED = frozenset({
    "sensor.other.collision",
    "sensor.other.gnss",
    "sensor.other.imu",
    "sensor.other.lane_invasion",
})  # fmt: skip


def _floats(**values: float) -> list[tuple[str, int, str]]:
    return [(name, _FLOAT, str(value)) for name, value in values.items()]


_TICK = _floats(sensor_tick=0.0)
_SEED = [("noise_seed", _INT, "0")]
_CAMERA = [
    ("image_size_x", _INT, "800"),
    ("image_size_y", _INT, "600"),
    *_floats(
        fov=90.0, sensor_tick=0.0, lens_circle_falloff=5.0, lens_circle_multiplier=0.0,
        lens_k=-1.0, lens_kcube=0.0, lens_x_size=0.08, lens_y_size=0.08,
    ),
]  # fmt: skip
_FILM = [
    ("enable_postprocess_effects", _BOOL, "true"),
    ("exposure_mode", _STRING, "histogram"),
    ("blade_count", _INT, "5"),
    *_floats(
        gamma=2.2, motion_blur_intensity=0.45, motion_blur_max_distortion=0.35,
        motion_blur_min_object_screen_size=0.1, lens_flare_intensity=0.1, bloom_intensity=0.675,
        exposure_compensation=0.0, shutter_speed=200.0, iso=100.0, fstop=1.4, min_fstop=1.2,
        exposure_min_bright=10.0, exposure_max_bright=12.0, exposure_speed_up=3.0,
        exposure_speed_down=1.0, calibration_constant=16.0, focal_distance=1000.0,
        blur_amount=1.0, blur_radius=0.0, temp=6500.0, tint=0.0,
        chromatic_aberration_intensity=0.0, chromatic_aberration_offset=0.0, slope=0.88,
        toe=0.55, shoulder=0.26, black_clip=0.0, white_clip=0.04,
    ),
]  # fmt: skip
_LIDAR = [
    ("channels", _INT, "32"),
    ("points_per_second", _INT, "56000"),
    *_floats(
        range=10.0, rotation_frequency=10.0, upper_fov=10.0, lower_fov=-30.0,
        horizontal_fov=360.0, sensor_tick=0.0,
    ),
]  # fmt: skip

SENSOR_ATTRIBUTES: dict[str, list[tuple[str, int, str]]] = {
    "sensor.camera.depth": _CAMERA,
    "sensor.camera.dvs": [
        *_CAMERA,
        *_FILM,
        ("use_log", _BOOL, "true"),
        ("refractory_period_ns", _INT, "0"),
        *_floats(
            positive_threshold=0.3, negative_threshold=0.3, sigma_positive_threshold=0.0,
            sigma_negative_threshold=0.0, log_eps=0.001,
        ),
    ],
    "sensor.camera.instance_segmentation": _CAMERA,
    "sensor.camera.normals": _CAMERA,
    "sensor.camera.optical_flow": _CAMERA,
    "sensor.camera.rgb": [*_CAMERA, *_FILM],
    "sensor.camera.semantic_segmentation": _CAMERA,
    "sensor.lidar.ray_cast": [
        *_LIDAR,
        *_SEED,
        *_floats(
            atmosphere_attenuation_rate=0.004, dropoff_general_rate=0.45,
            dropoff_intensity_limit=0.8, dropoff_zero_intensity=0.4, noise_stddev=0.0,
        ),
    ],
    "sensor.lidar.ray_cast_semantic": _LIDAR,
    "sensor.other.collision": [],
    "sensor.other.gnss": [
        *_TICK,
        *_SEED,
        *_floats(
            noise_alt_bias=0.0, noise_alt_stddev=0.0, noise_lat_bias=0.0,
            noise_lat_stddev=0.0, noise_lon_bias=0.0, noise_lon_stddev=0.0,
        ),
    ],
    "sensor.other.imu": [
        *_TICK,
        *_SEED,
        *_floats(
            noise_accel_stddev_x=0.0, noise_accel_stddev_y=0.0, noise_accel_stddev_z=0.0,
            noise_gyro_stddev_x=0.0, noise_gyro_stddev_y=0.0, noise_gyro_stddev_z=0.0,
            noise_gyro_bias_x=0.0, noise_gyro_bias_y=0.0, noise_gyro_bias_z=0.0,
        ),
    ],
    "sensor.other.lane_invasion": [],
    "sensor.other.obstacle": [
        *_TICK,
        ("only_dynamics", _BOOL, "false"),
        ("debug_linetrace", _BOOL, "false"),
        *_floats(distance=5.0, hit_radius=0.5),
    ],
    "sensor.other.radar": [
        *_TICK,
        *_SEED,
        ("points_per_second", _INT, "1500"),
        *_floats(horizontal_fov=30.0, vertical_fov=30.0, range=100.0),
    ],
    "sensor.other.rss": [],
}  # fmt: skip

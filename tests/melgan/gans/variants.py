"""Settings beside the presets, several at a time: what holds for every preset is to hold for them."""

VARIANTS = {
    "lecam": {
        "regulariser": "lecam",
        "auxiliary": "adc",
        "conditioning": "normalised",
        "upsampling": "resize",
        "augmentation": "diffaugment",
        "augmentation_policy": ("translation", "cutout"),
    },
    "mode_seeking": {
        "regulariser": "mode_seeking",
        "conditioning": "concatenated",
        "method": "cdragan",
        "auxiliary": "ac",
    },
    "gsr": {"method": "sagan", "regulariser": "gsr", "auxiliary": "adc"},
    "utlo": {
        "method": "utlo",
        "shared_until": 4,
        "auxiliary": "adc",
        "upsampling": "resize",
        "augmentation": "diffaugment",
    },
    # Of 8 images: from the second step on, the class counts a little more with each.
    "transitional": {
        "method": "transitional",
        "conditional_from_epochs": 0.0,
        "conditional_until_epochs": 4.0,
        "auxiliary": "adc",
        "regulariser": "lecam",
    },
}

"""Settings of how a training computes, which trainings of every kind have."""

from dataclasses import dataclass

from tfrecords_tools.foundation.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class ComputingSettings(Settings):
    """Compiler and precision; `auto` takes what the device at hand is made for."""

    xla: str = setting(
        "auto",
        "compile the gradient functions; auto: on for GPU and TPU",
        choices=("auto", "on", "off"),
        earlier="off",
    )
    precision: str = setting(
        "auto",
        "numbers that layers compute with; auto: bfloat16 on TPU, float16 on GPUs with tensor cores, else float32",
        choices=("auto", "float32", "bfloat16", "float16"),
        earlier="float32",
    )

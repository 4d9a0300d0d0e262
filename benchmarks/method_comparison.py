"""Methods of GANs at equal wall time on the same shards: trained, evaluated, put into tables and side by side.

    python -m benchmarks.method_comparison --shards=SHARDS --output=FOLDER --features=classifier:RUN --minutes=8
    python -m benchmarks.method_comparison --shards=SHARDS --output=FOLDER --features=lite0 --methods=bagan_gp \\
        --variant='all labels right: --method=bagan_gp --wrong_labels=false'

Every method trains for so many minutes by the clock on the cores it is given, whatever it needs for a step; its
autoencoder counts. Time runs from the first line of metrics on, so that starting and compiling do not count. Then the
run is ended as a cluster would end it, and finished at the step it has reached. Of a method with an autoencoder the
compiling of the GAN behind it counts. Schedules that count passes over the images are made to fit what a method
reaches: a short run measures its speed. What is finished is not done again, what was interrupted begins anew; tables
and pictures are of all runs in the folder, so that several processes can work in it, each with seeds of its own.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.designs import require_same_design
from benchmarks.measuring import peak_megabytes
from benchmarks.method_tables import tables, write_side_by_side
from melgan.gans.architectures import ARCHITECTURES
from melgan.gans.config import GanConfig
from melgan.gans.methods import METHODS, resolve
from pipelines.artefacts.evaluation import EvaluationReport
from pipelines.artefacts.metrics_file import read_metrics
from pipelines.artefacts.shards import open_shards, split_fold
from pipelines.contract.flags import config_of
from pipelines.contract.launching import run_command, started
from pipelines.contract.workdir import read_report, require_same_settings
from tfrecords_tools.foundation.documents import as_plain
from tfrecords_tools.foundation.errors import look_up
from tfrecords_tools.foundation.files import write_atomically
from tfrecords_tools.foundation.texts import as_file_name

RESULTS_FILE = "results.json"
_COMPARISON_FILE = "comparison.json"
_VARIANT = "variant"
_EVALUATED = (
    "kid",
    "prdc",
    "ms_ssim",
    "accuracy_score",
    "accuracy_reverse",
    "memorisation",
    "memorisation_pixels",
)
_FAR = 10_000_000  # steps that no run reaches
_LOG_EVERY = 10
# Schedules are to end when these fractions of a run are over.
_ENCODED_AT, _GROWN_AT, _BURNT_IN_AT = 0.25, 0.5, 1 / 3
_CLASSES_FROM, _CLASSES_UNTIL = 0.08, 0.16  # of the published 25 million images, where classes come in
_TRIAL = 60.0  # seconds of training in which the speed is measured
_LONGEST_START = 900  # seconds until a method must have logged its first steps


@dataclass(frozen=True)
class Variant:
    """A method with other settings: what it is called, and the settings of train_gan, `method` among them."""

    name: str
    settings: Mapping[str, str]

    @property
    def method(self) -> str:
        """The method that it is a variant of."""
        return self.settings["method"]

    def config(self) -> GanConfig:
        """Returns its settings with those that the method presets.

        Raises:
          ConfigError: for one that there is not, or a value that is refused.
        """
        return resolve(config_of(GanConfig, self.settings))


@dataclass(frozen=True)
class Comparison:
    """What is compared on what: shards with a fold held out, and the settings that all methods have in common.

    `widths` are those of single methods; the others have that of "".
    """

    shards: str
    output: Path
    features: str
    minutes: float
    num_folds: int
    fold: int
    image_size: int
    widths: Mapping[str, float]
    batch: int
    drawn: int = 2000  # images, to measure how long drawing takes

    def folder(self, variant: Variant, seed: int) -> Path:
        """Returns the folder of a run."""
        return self.output / f"{as_file_name(variant.name)}_{seed}"


def compare(comparison: Comparison, variants: Sequence[Variant], seeds: Sequence[int]) -> list[dict]:
    """Trains and evaluates every variant with every seed; returns what is in the folder, a dictionary a run.

    Raises:
      CommandError: if the folder holds a comparison with other settings, or a variant of the same name with others.
    """
    settings = {name: value for name, value in asdict(comparison).items() if name != "output"}
    require_same_design(comparison.output / _COMPARISON_FILE, settings)
    for seed in seeds:
        for variant in variants:
            folder = comparison.folder(variant, seed)
            if (folder / RESULTS_FILE).is_file():
                known = json.loads((folder / RESULTS_FILE).read_text()).get(_VARIANT, {"method": variant.name})
                require_same_settings(folder, known, dict(variant.settings))
                continue
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
            told = {"method": variant.name, "seed": seed, _VARIANT: dict(variant.settings)}
            result = told | _measure(comparison, variant, seed, folder)
            write_atomically(folder / RESULTS_FILE, json.dumps(result, indent=1) + "\n")
    return [json.loads(path.read_text()) for path in sorted(comparison.output.glob(f"*/{RESULTS_FILE}"))]


def _measure(comparison: Comparison, variant: Variant, seed: int, folder: Path) -> dict:
    settings = _settings(comparison, variant, seed)
    settings = _schedules(comparison, variant, settings, folder / "speed") | settings
    workdir = folder / "gan"
    trained = _train_for(60 * comparison.minutes, workdir, settings)
    settings["total_steps"] = _newest_step(workdir)
    _run("train_gan", workdir=workdir, **settings)
    evaluation = folder / "evaluation"
    _run(
        "evaluate_gan",
        gan=workdir,
        shards=comparison.shards,
        output=evaluation,
        features=comparison.features,
        metrics=",".join(_EVALUATED),
        feature_dir=comparison.output / "features",
    )
    report = read_report(evaluation, EvaluationReport)
    drawn = _seconds_per_thousand(workdir, folder / "drawn", report.classes[0], comparison.drawn)
    return {
        **trained,
        "folder": str(workdir),
        "settings": settings,
        "seconds_per_thousand": drawn,
        "report": as_plain(report),
    }


def _settings(comparison: Comparison, variant: Variant, seed: int) -> dict:
    return {
        "shards": comparison.shards,
        "seed": seed,
        "image_size": comparison.image_size,
        "width": comparison.widths.get(variant.method, comparison.widths[""]),
        "global_batch_size": comparison.batch,
        "num_folds": comparison.num_folds,
        "fold": comparison.fold,
        "total_steps": _FAR,
        "checkpoint_every": 500,
        "log_every": _LOG_EVERY,
        **variant.settings,
    }


def _schedules(comparison: Comparison, variant: Variant, settings: dict, workdir: Path) -> dict:
    """Returns settings with which what a variant changes over the images fits the time; none for most."""
    preset = asdict(variant.config())
    manifest = open_shards(comparison.shards, "shards").manifest
    training, _ = split_fold(manifest, comparison.num_folds, comparison.fold)
    images = sum(shard.records for shard in training)
    schedules = {}
    if preset["autoencoder_epochs"] and "autoencoder_epochs" not in variant.settings:
        speed = _steps_per_second("autoencoder", workdir / "autoencoder", settings | {"autoencoder_epochs": _FAR})
        fitting = _ENCODED_AT * speed * 60 * comparison.minutes * comparison.batch / images
        schedules["autoencoder_epochs"] = min(preset["autoencoder_epochs"], max(1, round(fitting)))
    grows = ARCHITECTURES[preset["architecture"]].grows
    if grows or preset.get("burn_in_epochs") or preset.get("conditional_until_epochs"):
        # Of grown networks, which are the slowest.
        speed = _steps_per_second("gan", workdir / "gan", settings | {"phase_epochs": 0})
        epochs = speed * 60 * comparison.minutes * comparison.batch * preset["disc_steps"] / images
        if grows:
            phases = 2 * ((comparison.image_size // 4).bit_length() - 1)
            schedules["phase_epochs"] = round(_GROWN_AT * epochs / phases, 3)
        elif preset.get("burn_in_epochs"):
            schedules["burn_in_epochs"] = round(_BURNT_IN_AT * epochs, 3)
        else:
            schedules["conditional_from_epochs"] = round(_CLASSES_FROM * epochs, 3)
            schedules["conditional_until_epochs"] = round(_CLASSES_UNTIL * epochs, 3)
    return schedules


def _train_for(seconds: float, workdir: Path, settings: dict) -> dict:
    """Trains for a time and ends the run by SIGTERM, which saves it; returns how far it came."""
    log = _log_of(workdir)
    with started("train_gan", {"workdir": workdir, **settings}, log=log) as process:
        begun = _wait_for_metrics(process, workdir)
        while time.monotonic() - begun < seconds and process.poll() is None:
            time.sleep(0.5)
        peak = peak_megabytes(process.pid)
        process.send_signal(signal.SIGTERM)
        if process.wait(timeout=600) not in (0, 128 + signal.SIGTERM):
            raise RuntimeError(f"train_gan ended with exit code {process.returncode}; its output is {log}")
    return {"seconds": seconds, "megabytes": peak}


def _steps_per_second(series: str, workdir: Path, settings: dict) -> float:
    """Trains for a short time; returns how fast a part of a training goes."""
    trained = _train_for(_TRIAL, workdir, settings)
    return max(line.step for line in read_metrics(workdir, series)) / trained["seconds"]


def _newest_step(workdir: Path) -> int:
    """Returns the step of the newest checkpoint of the GAN."""
    steps = [int(path.stem.rpartition("-")[2]) for path in (workdir / "checkpoints" / "gan").glob("*.index")]
    if not steps:
        raise RuntimeError(f"{workdir}: its time was over before the GAN began; give more --minutes")
    return max(steps)


def _wait_for_metrics(process: subprocess.Popen, workdir: Path) -> float:
    """Returns when the first line of metrics was written."""
    start = time.monotonic()
    while not read_metrics(workdir):
        if process.poll() is not None or time.monotonic() - start > _LONGEST_START:
            process.kill()
            raise RuntimeError(f"train_gan logged no step; its output is {_log_of(workdir)}")
        time.sleep(0.2)
    return time.monotonic()


def _seconds_per_thousand(gan: Path, output: Path, label: str, images: int) -> float:
    """Returns how long the generator takes for a thousand images, without what it takes to start."""
    seconds = []
    for count in (1, 1 + images):
        start = time.monotonic()
        _run("synthesize", gan=gan, output=output / str(count), label=label, count=count)
        seconds.append(time.monotonic() - start)
    return 1000 * (seconds[1] - seconds[0]) / images


def _run(command: str, **settings: object) -> None:
    """Runs a command to its end; its output goes into a log beside its folder."""
    run_command(command, settings, log=_log_of(settings.get("workdir") or settings["output"]))


def _log_of(folder: object) -> Path:
    return Path(f"{folder}.log")


def variants(methods: Sequence[str], texts: Sequence[str]) -> list[Variant]:
    """Returns methods as they are, and variants of them that texts such as `name: --method=gan --width=0.1` give.

    Raises:
      ValueError: if a text is none, names an unknown method, or has the name of another.
    """
    found = [Variant(method, {"method": method}) for method in methods if look_up(METHODS, method, "methods")]
    for text in texts:
        name, _, given = text.partition(":")
        pairs = [flag.removeprefix("--").partition("=") for flag in shlex.split(given)]
        settings = {setting: value for setting, _, value in pairs}
        if not name.strip() or "method" not in settings:
            raise ValueError(f"--variant={text}: give a name, a colon and flags, --method= among them")
        look_up(METHODS, settings["method"], f"--variant={name}: method")
        found.append(Variant(name.strip(), settings))
        found[-1].config()
    names = [variant.name for variant in found]
    if len(set(names)) < len(names):
        raise ValueError(f"two variants have one name: {', '.join(names)}")
    return found


def widths(text: str) -> dict[str, float]:
    """Returns the widths that a text such as 0.25,r3gan=0.125 gives; "" is that of all other methods.

    Raises:
      ConfigError: if a method is unknown.
      ValueError: if there is no width for all others.
    """
    pairs = [part.rpartition("=") for part in text.split(",")]
    given = {method: float(width) for method, _, width in pairs}
    if "" not in given:
        raise ValueError(f"--widths={text} has none for all other methods; begin with one, such as 0.25,{text}")
    for method in given.keys() - {""}:
        look_up(METHODS, method, "method of --widths")
    return given


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares methods of GANs at equal wall time.")
    parser.add_argument("--shards", required=True)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--features", required=True, help="of evaluate_gan; best classifier:RUN that held the fold out")
    parser.add_argument("--minutes", type=float, default=8.0, help="of training, each run")
    parser.add_argument("--methods", default=",".join(METHODS), help="as they are; give '' for none")
    parser.add_argument("--variant", action="append", default=[], help="name: --method=METHOD --setting=value ...")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--num_folds", type=int, default=5)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--image_size", type=int, default=64)
    parser.add_argument("--widths", default="0.25", help="0.25, or 0.25,r3gan=0.125 for single methods")
    parser.add_argument("--batch", type=int, default=32)
    return parser.parse_args()


def main() -> None:
    """Compares, prints the tables, and writes a picture of each class."""
    arguments = vars(_arguments())
    methods = list(filter(None, arguments.pop("methods").split(",")))
    compared = variants(methods, arguments.pop("variant"))
    seeds = [int(seed) for seed in arguments.pop("seeds").split(",")]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    comparison = Comparison(**arguments | {"widths": widths(arguments["widths"])})
    results = compare(comparison, compared, seeds)
    write_side_by_side(results, comparison.output)
    write_atomically(comparison.output / "tables.md", tables(results) + "\n")
    print((comparison.output / "tables.md").read_text())


if __name__ == "__main__":
    main()

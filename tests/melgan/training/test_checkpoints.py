import json
import re
import shutil
from dataclasses import asdict, dataclass, replace

import pytest
import tensorflow as tf

from melgan.gans.config import GanConfig
from melgan.gans.trainer import GanTrainer
from melgan.training.checkpoints import Checkpoints, Model, whole_steps
from tests.melgan.gans.tiny_gan import CLASS_COUNTS, flat, take_steps, tiny_batches, tiny_config
from tests.melgan.training.walker import Walker
from tfrecords_tools.foundation.errors import ConfigError
from tfrecords_tools.foundation.settings import Settings, setting

SETTINGS = GanConfig(method="bagan_gp", image_size=64, beta_1=0.5)
MODEL = Model(SETTINGS, ("benign", "malignant"))


@pytest.fixture
def folder(tmp_path, one_device):
    """A folder with the checkpoints of steps 4 and 8, where a walker stood at 40 and 80."""
    walker = Walker()
    checkpoints = Checkpoints(tmp_path / "walk", walker, one_device, model=MODEL)
    for step in (4, 8):
        walker.position.assign(10.0 * step)
        checkpoints.save(step)
    return tmp_path / "walk"


@pytest.fixture
def position(folder, one_device):
    """Returns the step that is restored from the folder, and where the walker then stands."""

    def position(**settings):
        walker = Walker()
        return Checkpoints(folder, walker, one_device, **settings).restore(), float(walker.position)

    return position


def test_newest_is_restored(position):
    assert position() == (8, 80.0)


def test_empty_folder_starts_at_step_0(tmp_path, one_device):
    checkpoints = Checkpoints(tmp_path / "none", Walker(), one_device, model=MODEL)
    assert checkpoints.newest is None
    assert checkpoints.restore() == 0


def test_the_last_two_stay(folder, one_device):
    Checkpoints(folder, Walker(), one_device, model=MODEL).save(12)
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint",
        *(f"ckpt-{step}.{ending}" for step in (12, 8) for ending in ("data-00000-of-00001", "index")),
        "model.json",
    ]
    assert tf.train.latest_checkpoint(str(folder)) == str(folder / "ckpt-12")


def test_steps_are_ordered_as_numbers(folder, position, one_device):
    walker = Walker()
    walker.position.assign(1.0)
    Checkpoints(folder, walker, one_device).save(10)
    assert whole_steps(folder) == [8, 10]
    assert position() == (10, 1.0)


@pytest.mark.parametrize("lost", ["index", "data-00000-of-00001"])
def test_what_a_kill_left_does_not_count_and_is_removed_by_the_next(folder, position, one_device, lost):
    """The state file still names it, as after a kill while old checkpoints are removed."""
    (folder / f"ckpt-8.{lost}").unlink()
    (folder / "unfinished").mkdir()
    (folder / "unfinished" / "ckpt-12.data-00000-of-00001").write_bytes(b"cut off")
    assert tf.train.latest_checkpoint(str(folder)) == (None if lost == "index" else str(folder / "ckpt-8"))
    assert position() == (4, 40.0)
    Checkpoints(folder, Walker(), one_device).save(6)
    assert whole_steps(folder) == [4, 6]
    assert not [path for path in folder.iterdir() if "8" in path.name or path.name == "unfinished"]


def test_state_file_is_not_needed(folder, position):
    (folder / "checkpoint").write_text("cut o")
    assert position() == (8, 80.0)


def test_damaged_checkpoint_is_named_with_what_to_do(folder, position):
    data = folder / "ckpt-8.data-00000-of-00001"
    data.write_bytes(bytes(len(data.read_bytes())))
    with pytest.raises(ConfigError, match=r"ckpt-8: .*ckpt-8\.\*"):
        position()
    for path in folder.glob("ckpt-8.*"):
        path.unlink()
    assert position() == (4, 40.0)


def test_checkpoint_that_cannot_be_written_is_named(tmp_path, one_device):
    (tmp_path / "gone").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="gone: .* 3 "):
        Checkpoints(tmp_path / "gone", Walker(), one_device).save(3)


def test_folder_of_another_model_is_refused_with_all_that_differs(folder, position):
    other = Model(replace(SETTINGS, image_size=32), ("benign", "malignant", "nevus"))
    with pytest.raises(ConfigError) as refused:
        position(model=other)
    classes, other_classes = re.escape("['benign', 'malignant']"), re.escape("['benign', 'malignant', 'nevus']")
    named = rf"image_size.* 64.* 32; classes.* {classes}.* {other_classes}\)"
    assert re.search(rf"^{folder}: .*\({named}.*workdir", str(refused.value))
    assert position(model=MODEL) == (8, 80.0)


def test_fields_of_one_side_only_count_as_different(folder, position):
    change_model_file(folder, lambda stored: stored | {"colour": "red"})
    with pytest.raises(ConfigError, match=r"\(beta_1.* 0.5.* None; width.* 1.0.* 0.5; colour.* 'red'.* None\)"):
        position(model=Model(replace(SETTINGS, beta_1=None, width=0.5), MODEL.classes))


def test_settings_that_came_later_are_as_it_was_before_them(folder, position):
    """Most had their defaults; nothing was compiled and all was float32, which `auto` is not on every device."""
    change_model_file(
        folder, lambda stored: {name: stored[name] for name in ("method", "image_size", "beta_1", "classes")}
    )
    before = replace(SETTINGS, xla="off", precision="float32")
    assert position(model=Model(before, MODEL.classes)) == (8, 80.0)
    with pytest.raises(ConfigError, match=r"\(width.* 1.0.* 0.5\)"):
        position(model=Model(replace(before, width=0.5), MODEL.classes))
    with pytest.raises(ConfigError, match=r"\(xla.* 'off'.* 'auto'; precision.* 'float32'.* 'auto'\)"):
        position(model=MODEL)


@dataclass(frozen=True, kw_only=True)
class Renamed(Settings):
    """Settings of which one had another name."""

    speed: float = setting(1.0, formerly="pace")


def test_settings_are_known_by_their_former_names(tmp_path, one_device):
    Checkpoints(tmp_path, Walker(), one_device, model=Model(Renamed(speed=3.0), ())).save(1)
    change_model_file(tmp_path, lambda stored: {"pace": stored.pop("speed")} | stored)
    assert Checkpoints(tmp_path, Walker(), one_device, model=Model(Renamed(speed=3.0), ())).restore() == 1
    with pytest.raises(ConfigError, match=r"\(speed.* 3.0.* 2.0\)"):
        Checkpoints(tmp_path, Walker(), one_device, model=Model(Renamed(speed=2.0), ())).restore()


def change_model_file(folder, change):
    path = folder / "model.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def test_the_model_file_holds_settings_and_classes(folder):
    stored = json.loads((folder / "model.json").read_text())
    assert stored == {**json.loads(json.dumps(asdict(SETTINGS))), "classes": ["benign", "malignant"]}


def test_checkpoints_that_nothing_vouches_for_are_refused(folder, position):
    assert json.loads((folder / "model.json").read_text())["image_size"] == 64
    (folder / "model.json").unlink()
    with pytest.raises(ConfigError, match="walk: .*model.json"):
        position(model=MODEL)


@pytest.fixture(scope="module")
def gan_folder(tmp_path_factory, one_device):
    """The folder of a checkpoint of a tiny GAN."""
    folder = tmp_path_factory.mktemp("gan")
    Checkpoints(folder, GanTrainer(tiny_config(), CLASS_COUNTS, one_device), one_device).save(1)
    return folder


@pytest.mark.parametrize(
    "make_other",
    [
        lambda strategy: GanTrainer(tiny_config(width=0.2), CLASS_COUNTS, strategy),
        lambda strategy: GanTrainer(tiny_config(), (5, 5, 5), strategy),
        lambda strategy: GanTrainer(tiny_config(image_size=64), CLASS_COUNTS, strategy),
        lambda strategy: Walker(),
    ],
    ids=["width", "classes", "image_size", "trainer"],
)
def test_weights_of_another_shape_are_refused(gan_folder, one_device, make_other):
    """Whatever model.json says."""
    with pytest.raises(ConfigError, match="ckpt-1: "):
        Checkpoints(gan_folder, make_other(one_device), one_device).restore()


def test_checkpoint_cut_short_is_refused(gan_folder, tmp_path, one_device):
    folder = shutil.copytree(gan_folder, tmp_path / "damaged")
    data = next(folder.glob("*.data-*"))
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(ConfigError, match=r"ckpt-1: .*ckpt-1\.\*"):
        Checkpoints(folder, GanTrainer(tiny_config(), CLASS_COUNTS, one_device), one_device).restore()


@pytest.mark.parametrize(("saved_in", "resumed_in"), [("float16", "float32"), ("float32", "float16")])
def test_what_one_precision_saved_resumes_in_another(saved_in, resumed_in, tmp_path, one_device):
    """As a run of a GPU does on a processor, and the other way round: only the factor of the loss begins anew."""
    saved, resumed = (
        GanTrainer(tiny_config(precision=precision), CLASS_COUNTS, one_device) for precision in (saved_in, resumed_in)
    )
    take_steps(saved, tiny_batches(), count=2)
    Checkpoints(tmp_path, saved, one_device).save(2)
    take_steps(resumed, tiny_batches(), count=1)
    assert Checkpoints(tmp_path, resumed, one_device).restore() == 2
    for name in ("generator", "trunk", "head", "ema_generator", "generator_optimizer", "discriminator_optimizer"):
        found, expected = (flat(trainer.checkpointed[name].variables) for trainer in (resumed, saved))
        assert found.tolist() == expected.tolist()
    take_steps(resumed, tiny_batches(), first=2, count=1)


def test_the_factor_of_the_loss_is_restored(tmp_path, one_device):
    saved, resumed = (GanTrainer(tiny_config(precision="float16"), CLASS_COUNTS, one_device) for _ in range(2))
    _, scale = saved.checkpointed_by_device["generator_loss_scale"]
    scale.assign(4.0)
    Checkpoints(tmp_path, saved, one_device).save(1)
    Checkpoints(tmp_path, resumed, one_device).restore()
    _, scale = resumed.checkpointed_by_device["generator_loss_scale"]
    assert float(scale) == 4.0

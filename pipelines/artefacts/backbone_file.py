"""The settings of the GAN whose discriminator is the backbone of a classifier, kept beside the classifier's weights.

The weights of the backbone are among these. So its network is built without the GAN's run.
"""

from functools import partial
from pathlib import Path

from melgan.classifiers.discriminator import discriminator_features
from melgan.classifiers.network import MakeBackbone
from melgan.gans.config import GanConfig
from tfrecords_tools.foundation.documents import read_plain, write_document
from tfrecords_tools.foundation.files import AnyPath
from tfrecords_tools.foundation.settings import read_settings

BACKBONE_FILE = "backbone.json"
_REMEDY = "put back the file that was written"


def write_backbone(folder: Path, config: GanConfig) -> None:
    """Writes the resolved settings of a GAN into the folder of a fold."""
    write_document(folder / BACKBONE_FILE, config)


def read_backbone(folder: AnyPath) -> MakeBackbone:
    """Returns what makes the backbone of the classifier of a fold, with random weights."""
    return partial(discriminator_features, read_settings(GanConfig, read_plain(folder / BACKBONE_FILE, _REMEDY)))

"""How real, synthetic and unlabelled images of a fold become streams."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from melgan.classifiers.metadata import INPUTS, encode_metadata
from pipelines.artefacts.class_table import class_table
from pipelines.artefacts.classifier_run import TrainClassifierConfig
from pipelines.artefacts.shards import open_shards, open_synthetic, split_fold
from pipelines.training.fold_images import FoldImages, Images
from pipelines.training.fold_streams import combine_streams
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.streams import ShardSet

MIXES = {"real": np.array([0.75, 0.25]), "synthetic": np.array([0.0, 1.0])}


def config_of(**settings) -> TrainClassifierConfig:
    known = {"shards": "shards", "workdir": "run", "backbone": "small_cnn", "num_folds": 2}
    return TrainClassifierConfig(**(known | settings))


def images(count=100, mix=MIXES["real"], **settings) -> Images:
    return Images(ShardSet(("x",), count, 32), mix, **settings)


@pytest.fixture(scope="module")
def opened(shards):
    return open_shards(str(shards), "shards")


@pytest.fixture(scope="module")
def drawn(synthetic):
    return open_synthetic(str(synthetic), "synthetic")


def fold_images(opened, **settings) -> FoldImages:
    config = config_of(**settings)
    return FoldImages(config, opened, class_table(opened, config.diagnoses), fold=0)


def test_of_real_images_alone_there_is_one_stream():
    found = combine_streams(config_of(), 32, real=images(), synthetic=None, unlabelled=[])
    (stream,) = found.streams
    assert (stream.fraction, stream.is_labelled, stream.num_views) == (1.0, True, 1)
    np.testing.assert_allclose(found.shown, [0.75, 0.25])


def test_unlabelled_images_are_whole_numbers_of_every_batch_and_synthetic_ones_a_fraction_of_the_labelled():
    config = config_of(
        synthetic=("s",), synthetic_fraction=0.25, semi_supervised="mixmatch", unlabelled=("hidden", "test")
    )
    synthetic = images(mix=MIXES["synthetic"])
    found = combine_streams(config, 32, real=images(), synthetic=synthetic, unlabelled=[images(300), images(100)])
    assert [stream.fraction * 32 for stream in found.streams] == [12, 4, 12, 4]
    assert [stream.is_labelled for stream in found.streams] == [True, True, False, False]
    assert [stream.num_views for stream in found.streams] == [1, 1, 2, 2]
    np.testing.assert_allclose(found.shown, [0.5625, 0.4375])
    np.testing.assert_allclose(found.real, [0.75, 0.25])
    np.testing.assert_allclose(found.facts.priors[1], [0, 1])


def test_the_smallest_unlabelled_set_has_an_image_and_too_many_sets_are_refused():
    config = config_of(semi_supervised="fixmatch", unlabelled=("hidden", "test"), batch_size=8)
    found = combine_streams(config, 8, real=images(), synthetic=None, unlabelled=[images(1000), images(1)])
    assert [stream.fraction * 8 for stream in found.streams] == [4, 3, 1]
    with pytest.raises(CommandError, match="--unlabelled: 5 sets.*--batch_size"):
        combine_streams(config, 8, real=images(), synthetic=None, unlabelled=[images()] * 5)


def test_metadata_that_synthetic_images_lack_tells_no_class():
    """Half of the malignant images shown are synthetic: half of the benign ones are hidden too."""
    config = config_of(
        synthetic=("s",), synthetic_fraction=0.2, metadata="concat", metadata_for_synthetic="hide", metadata_dropout=0.0
    )
    synthetic = images(mix=MIXES["synthetic"], has_metadata=False)
    found = combine_streams(config, 32, real=images(), synthetic=synthetic, unlabelled=[])
    np.testing.assert_allclose(found.facts.hiding, [[0.5, 0.0], [1, 1]])


def test_labels_are_hidden_of_what_is_not_labelled(opened):
    found = fold_images(opened, labelled_fraction=0.25, semi_supervised="mixmatch", unlabelled=("hidden",))
    labelled, hidden = found.labelled, found.unlabelled("hidden")
    training = split_fold(opened.manifest, 2, 0)[0]
    names = opened.image_names(training)
    assert sorted((*labelled.annotations.names, *hidden.annotations.names)) == sorted(names)
    assert labelled.count < hidden.count
    assert not hidden.annotations.targets.any()
    with pytest.raises(CommandError, match="--labelled_fraction"):
        fold_images(opened, metadata="concat").unlabelled("hidden")


def test_classes_of_diagnoses_are_counted_among_the_images_of_the_fold(opened):
    found = fold_images(opened, diagnoses=3).labelled
    training = opened.images(split_fold(opened.manifest, 2, 0)[0])
    is_melanoma = training["target"].to_numpy() == 1
    names = class_table(opened, 3).names
    assert found.mix[names.index("melanoma")] == pytest.approx(is_melanoma.mean())
    assert found.mix.sum() == pytest.approx(1)


def test_synthetic_images_stand_for_the_diagnoses_of_real_ones_of_their_class(opened, drawn):
    found = fold_images(opened, diagnoses=3).synthetic([drawn])
    names = class_table(opened, 3).names
    np.testing.assert_allclose(found.annotations.targets, np.eye(len(names))[[names.index("melanoma")] * found.count])


def test_metadata_of_synthetic_images_is_that_of_real_ones_of_their_class(opened, drawn):
    config = {"metadata": "film", "metadata_for_synthetic": "draw", "synthetic": ("s",), "synthetic_fraction": 0.2}
    folded = fold_images(opened, **config)
    real, synthetic = folded.labelled, folded.synthetic([drawn])
    of_real, of_synthetic = (
        [tuple(row) for row in zip(*(each.annotations.metadata[name] for name in INPUTS), strict=True)]
        for each in (real, synthetic)
    )
    malignant = {row for row, target in zip(of_real, real.annotations.targets, strict=True) if target[1]}
    assert set(of_synthetic) <= malignant
    assert len(set(of_synthetic)) > 1


def test_a_classifier_of_metadata_alone_cannot_tell_real_images_of_a_class_from_synthetic_ones(opened, drawn):
    """2,000 made-up real images of a class whose age and sex go together, and 1,000 synthetic ones."""
    rng, size = np.random.default_rng(1), 2000
    sex = rng.integers(-1, 2, size)
    known = {
        "sex": sex,
        "age_approx": rng.integers(20, 50, size) + 15 * sex,
        "patient_images": rng.integers(1, 9, size),
    }
    table = pd.DataFrame(dict.fromkeys(INPUTS, -1) | known, index=range(size)).assign(target=1)
    config = {"metadata": "film", "metadata_for_synthetic": "draw", "synthetic": ("s",), "synthetic_fraction": 0.2}
    folded = fold_images(opened, **config)
    vars(folded)["_table"] = table
    of_synthetic = folded._drawn_metadata(pd.DataFrame({"target": np.ones(1000, int)}))
    both = pd.concat([table, of_synthetic])
    inputs = encode_metadata({name: both[name].to_numpy(np.int32) for name in INPUTS}).numpy()
    is_synthetic, order = np.repeat([0, 1], [size, 1000]), rng.permutation(size + 1000)
    first, second = order[:1500], order[1500:]
    fitted = LogisticRegression().fit(inputs[first], is_synthetic[first])
    area = roc_auc_score(is_synthetic[second], fitted.predict_proba(inputs[second])[:, 1])
    assert 0.44 < area < 0.56  # of 500 and 1,000 images: some four standard errors of 0.016


def test_images_that_the_teacher_takes_for_another_class_are_left_out(opened, drawn):
    config = {"synthetic": ("s",), "synthetic_fraction": 0.2, "teacher": "t"}
    names = drawn.image_names(drawn.manifest.shards)
    agrees = np.arange(len(names)) % 3 == 0
    thought = pd.DataFrame({"a": np.where(agrees, 0.25, 0.75), "b": np.where(agrees, 0.75, 0.25)}, index=names)
    agreed = fold_images(opened, synthetic_targets="agree", **config).synthetic([drawn], thought)
    assert set(agreed.annotations.names) == {name for name, own in zip(names, agrees, strict=True) if own}
    soft = fold_images(opened, synthetic_targets="soft", **config).synthetic([drawn], thought)
    np.testing.assert_allclose(soft.annotations.targets, thought.to_numpy())
    np.testing.assert_allclose(soft.mix, thought.to_numpy().mean(axis=0))
    with pytest.raises(CommandError, match="--synthetic_targets=agree.*--teacher=t"):
        fold_images(opened, synthetic_targets="agree", **config).synthetic([drawn], thought.assign(a=1, b=0))


def test_a_set_given_twice_is_refused(opened, drawn):
    with pytest.raises(CommandError, match="--seed"):
        fold_images(opened, diagnoses=2).synthetic([drawn, drawn])


def test_patients_images_are_counted_in_their_split(opened):
    for split in ("train", "test"):
        table = opened.images(opened.manifest.split(split))
        assert set(INPUTS) <= set(table)
        by_hand = table.groupby("patient_id")["target"].transform("size")
        assert table["patient_images"].tolist() == by_hand.tolist()
        assert table["target"].eq(-1).all() == (split == "test")
        assert table.index.tolist() == opened.image_names(opened.manifest.split(split))
    some = opened.manifest.split("train")[2:0:-1]
    assert opened.images(some).index.tolist() == opened.image_names(some)


def test_of_listed_images_each_is_shown_as_often_as_it_counts_and_for_what_the_list_says(opened, drawn):
    training, _ = split_fold(opened.manifest, 2, 0)
    rows = opened.images(training)
    benign, malignant = (list(rows.index[rows["target"] == label]) for label in (0, 1))
    synthetic = drawn.image_names(drawn.manifest.shards)[:2]
    examples = pd.DataFrame(
        {"count": [1, 3, 2, 1, 1], "label": [-1, -1, 1, -1, -1]},
        index=[benign[0], malignant[0], benign[1], *synthetic],
    )
    config = config_of(examples="table.csv")
    found = FoldImages(config, opened, class_table(opened, 0), 0, examples)
    labelled, made = found.labelled, found.synthetic([drawn])
    counted = dict(zip(labelled.annotations.names, labelled.annotations.counts.tolist(), strict=True))
    assert counted == {benign[0]: 1, malignant[0]: 3, benign[1]: 2}
    assert labelled.count == 6
    np.testing.assert_allclose(labelled.mix, [1 / 6, 5 / 6])
    assert (set(made.annotations.names), made.count) == (set(synthetic), 2)
    np.testing.assert_allclose(made.mix, [0, 1])
    with pytest.raises(CommandError, match="table.csv.*synthetic"):
        FoldImages(config, opened, class_table(opened, 0), 0, examples[:3]).synthetic([drawn])

"""Metadata: the codes of the public shards."""

import pandas as pd
import pytest

from tfrecords_tools.foundation.metadata import CATEGORIES, METADATA, MISSING, PROPERTIES, TEST_METADATA

SITE = "anatom_site_general_challenge"


def test_columns_are_those_of_the_public_tables_and_test_images_have_no_diagnosis():
    assert list(METADATA) == ["patient_id", "sex", "age_approx", SITE, "diagnosis"]
    assert TEST_METADATA == ("patient_id", "sex", "age_approx", SITE)
    assert PROPERTIES == ("sex", "age_approx", SITE, "diagnosis")


@pytest.mark.parametrize("column", CATEGORIES)
def test_codes_are_the_order_of_first_appearance_in_the_kaggle_table(real_data, column):
    table, category = pd.read_csv(real_data / "siim_isic_2020" / "train.csv"), CATEGORIES[column]
    numbers, names = pd.factorize(table[column])
    assert dict(list(category.codes.items())[: len(names)]) == {name: code for code, name in enumerate(names)}
    assert [category.encode(None if pd.isna(name) else name) for name in table[column]] == numbers.tolist()


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("sex", "female", 1),
        (SITE, "torso", 3),
        (SITE, "anterior torso", 3),
        ("diagnosis", "MEL", 2),
        ("diagnosis", "AK", 10),
        ("diagnosis", "AKIEC", 10),
        ("diagnosis", "UNK", 0),
        ("diagnosis", "unheard of", MISSING),
        ("sex", "anterior torso", MISSING),
        ("sex", None, MISSING),
    ],
)
def test_a_name_has_the_code_of_its_alias_and_an_unknown_one_is_missing(column, value, expected):
    assert CATEGORIES[column].encode(value) == expected


@pytest.mark.parametrize("category", CATEGORIES.values(), ids=CATEGORIES)
def test_codes_are_without_gaps_and_every_alias_has_one(category):
    assert list(category.codes.values()) == list(range(len(category.codes)))
    assert set(category.aliases.values()) <= set(category.codes)
    assert set(category.aliases).isdisjoint(category.codes)
    assert not category.unknown or category.unknown in category.codes

import numpy as np

from melgan.studies.choosing import cross_fitted_choice


def test_each_half_chooses_and_the_other_evaluates():
    """The first half prefers arm 1, the second arm 0: (second of arm 1 + first of arm 0) / 2 = (0.01 + 0.02) / 2."""
    first, second = [np.array([0.02]), np.array([0.05])], [np.array([0.03]), np.array([0.01])]
    choice = cross_fitted_choice([np.repeat(each, 4) for each in first], [np.repeat(each, 4) for each in second])
    assert choice.chosen == (1, 0)
    assert (choice.difference.value, choice.difference.low, choice.difference.high) == (0.015, 0.015, 0.015)


def test_the_best_of_equal_arms_is_worth_nothing():
    rng = np.random.default_rng(0)
    values = []
    for _ in range(300):
        first, second = rng.normal(0, 0.01, (2, 8, 5))
        values.append(cross_fitted_choice(list(first), list(second)).difference.value)
    assert abs(np.mean(values)) < 0.001  # its own half would say 0.014

"""How small a difference in AUC a design can see, from counts alone, before anything is trained."""

import numpy as np
import scipy.stats

POWER, SIGNIFICANCE = 0.80, 0.05
_MANY_DEGREES = 1e6  # as good as infinitely many


def area_standard_error(area: float, positives: int, negatives: int) -> float:
    """Returns the standard error of an area under the ROC curve. Hanley and McNeil 1982, eq. 1 and 2.

    Arguments:
      area: expected, above 0.5.
      positives: images of the class.
      negatives: images of the others.
    """
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (positives - 1) * (q1 - area**2) + (negatives - 1) * (q2 - area**2)
    return float(np.sqrt(variance / (positives * negatives)))


def standard_error_of_difference(area: float, positives: int, negatives: int, correlation: float) -> float:
    """Returns the standard error of the difference of two areas on the same images.

    Arguments:
      correlation: of the two areas, 0.9 or so for two trainings that differ little.
      area, positives, negatives: see `area_standard_error`.
    """
    return area_standard_error(area, positives, negatives) * float(np.sqrt(2 * (1 - correlation)))


def detectable_difference(standard_error: float, family: int = 1) -> float:
    """Returns the smallest difference that is found with a power of 80 % at 5 %, two-sided.

    Arguments:
      standard_error: of the difference.
      family: how many differences share the 5 %, by Bonferroni, to which Holm and max-T are never inferior.
    """
    critical = scipy.stats.norm.ppf(1 - SIGNIFICANCE / (2 * family))
    return float(standard_error * (critical + quantile_of_power()))


def quantile_of_power() -> float:
    """Returns by how many standard errors a difference must lie beyond the critical value to have the power wanted."""
    return float(scipy.stats.norm.ppf(POWER))


def power_of(difference: float, standard_error: float, degrees_of_freedom: float = np.inf) -> float:
    """Returns the probability that a difference is found at 5 %, two-sided, by Student's t.

    Arguments:
      difference: the true one.
      standard_error: of its estimate.
      degrees_of_freedom: of that error; infinite where it is known.
    """
    degrees = min(degrees_of_freedom, _MANY_DEGREES)
    critical, shift = scipy.stats.t.ppf(1 - SIGNIFICANCE / 2, degrees), difference / standard_error
    return float(sum(scipy.stats.nct.sf(critical, degrees, side) for side in (shift, -shift)))

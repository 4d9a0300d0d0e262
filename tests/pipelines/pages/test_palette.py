from itertools import combinations

from matplotlib.colors import to_rgb

from pipelines.pages import palette


def distance(first: str, second: str) -> float:
    return sum((one - other) ** 2 for one, other in zip(to_rgb(first), to_rgb(second), strict=True)) ** 0.5


def test_classes_and_sides_have_colours_that_differ():
    classes = palette.of_classes([f"class {number}" for number in range(9)])
    colours = [palette.REAL, palette.SYNTHETIC, *classes.values()]
    assert min(distance(*pair) for pair in combinations(colours, 2)) > 0.2


def test_a_class_has_its_colour_by_its_place_and_more_than_nine_begin_again():
    names = [f"class {number}" for number in range(10)]
    colours = palette.of_classes(names)
    assert palette.of_classes(names[:2]) == {name: colours[name] for name in names[:2]}
    assert colours["class 9"] == colours["class 0"]


def test_shades_go_from_dark_to_light_and_one_alone_is_the_colour():
    brightness = [sum(to_rgb(shade)) for shade in palette.shades(["a", "b", "c"]).values()]
    assert brightness == sorted(brightness)
    assert len(set(brightness)) == 3
    assert palette.shades(["a"], palette.SYNTHETIC) == {"a": palette.SYNTHETIC}

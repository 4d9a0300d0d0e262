"""Texts that users chose: what commands a terminal, ends a line or turns it round is shown as an escape."""

import pytest

from tfrecords_tools.foundation.texts import as_file_name, first_names, has_control_characters, in_one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\nb\r\tc\x00", r"a\nb\r\tc\x00"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),  # ESC [ as one character
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),
        ("\u202egnp.exe\u2066\u200f", r"\u202egnp.exe\u2066\u200f"),
        ("l\udce9sion", r"l\udce9sion"),
    ],
)
def test_what_would_not_stay_in_its_place_is_shown_as_an_escape(text, shown):
    assert in_one_line(text) == shown
    assert shown.isprintable()


@pytest.mark.parametrize(
    "text", ["naevus (Spitz)", "Läsion", "黒色腫", "אב", "👩\u200d⚕️", "می\u200cخواهم", "<b>$x_1$</b>"]
)
def test_letters_of_any_language_stay_as_they_are(text):
    assert in_one_line(text) == text
    assert not has_control_characters(text)


def test_marks_of_the_direction_of_writing_are_no_control_characters():
    assert not has_control_characters("\u202eabc\u200f")
    assert all(map(has_control_characters, ("a\nb", "\x1b", "\x7f", "\x9b", "\u2028", "\udce9", "\uffff")))


def test_of_many_names_the_first_are_listed():
    assert first_names(["a", "b", "c"], 3) == "a, b, c"
    assert first_names(["a", "b", "c", "d"], 2) == "a, b and 2 more"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("real_only-2", "real_only-2"),
        ("../../etc/passwd", "______etc_passwd"),
        ("..", "__"),
        ("a\\b:c*?\n\x00", "a_b_c____"),
        ("Läsion 黒色腫", "Läsion_黒色腫"),
        ("l\udce9sion", "l_sion"),
        ("", ""),
    ],
)
def test_a_file_name_leads_nowhere(text, name):
    assert as_file_name(text) == name


def test_a_file_name_is_short_enough_for_a_file_system(tmp_path):
    (tmp_path / f"predictions_100_{as_file_name('𠀀' * 300)}.csv").touch()

"""Tables of numbers as people and spreadsheets write them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from napari_diner.errors import InputError
from napari_diner.io.given_table import names_file, read_given_table
from napari_diner.io.tables import read_table

NUMBERS = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=5)


@pytest.mark.parametrize(
    "text",
    [
        "100\n110.5\n120\n",
        "100, 110.5, 120",
        "100,110.5,120,",
        " 100 110.5\t120 ".replace("\t", " "),
        "100\t110.5\t120",
        "100;110,5;120",
        "100 110,5 120",
        "1.0e2\r\n+110.5\r\n1.2E2\r\n\r\n",
        "\ufeff100\n110.5\n120",
        "# taken on Monday\n100\n110.5  # by eye\n120",
        "# distances\n# from the sensor\n\n100\n110.5\n120",
        "distances_um\n100\n110.5\n120",
        "Distance\n100\n110.5\n120",
        "distance to the sensor (µm)\n100\n110.5\n120",
        "z (µm)\n100\n110,5\n120",
        "z [um]\n100\n110.5\n120",
        "z / \u03bcm\n100\n110.5\n120",
        "distance, micrometre\n100\n110.5\n120",
        "distance (mm)\n0.1\n0.1105\n0.12",
        "# z (mm)\n0.1\n0.1105\n0.12",
        "distances_nm\n100000\n110500\n120000",
        "distance in millimetres\n0.1\n0.1105\n0.12",
        "gap in nm:\n100000\n110500\n120000",
        "defocus-mm\n0.1\n0.1105\n0.12",
        "dmm\n0.1\n0.1105\n0.12",
        "z_mm (mm)\n0.1\n0.1105\n0.12",
        "no;height\n;[mm]\n1;0,1\n2;0,1105\n3;0,12",
        "distance (m)\n100e-6\n110.5e-6\n120e-6",
        "0.1 mm\n110.5 µm\n0.012cm",
        "z\n0,1 mm\n110,5 µm\n0,012cm",
        "0.1 mm, 110.5 um, 120",
        "z (mm)\n100 um\n110.5 um\n0.12",
        "distance_in,step\n0.00393700787401574803,1\n0.00435039370078740157,2\n0.00472440944881889764,3",
        "distance in\num\n100\n110.5\n120",
        "0\t100\n1\t110.5\n2\t120",
        "1 100\n2 110,5\n3 120",
        "frame;z\n1;100\n2;110,5\n3;120",
        ",z\n0,100\n1,110.5\n2,120\n",
        "frame,distance (mm),note\n1,0.1,by eye\n2,0.1105,\n3,0.12,\n",
        'note;frame;Distance (µm)\n"a;b # c";1;100\n;2;110,5\n;3;120\n',
        "frame,note,distances_um,distances_um_se\n1,a,100,1\n2,b,110.5,1\n3,c,120,2\n",
        'frame,"distance, measured"\n7,"100"\n8,"110,5"\n9,120\n',
        "frame distance (mm)\n7 0.1\n8 0.1105\n9 0.12",
        "frame distance mm\n7 0.1\n8 0.1105\n9 0.12",
        "# frame distance\n7 100\n8 110.5\n9 120",
    ],
)
def test_a_column_of_lengths(text: str) -> None:
    assert read_table(text).column("distances_um", unit="um") == [100, 110.5, 120]


@pytest.mark.parametrize(
    "text", ["NA_y,NA_x\n.1,-.2\n.3,0", "NA_x\tna y\n-0,2\t0,1\n0\t0,3", "# NA_y NA_x\n0.1 \u22120.2\n0.3 0"]
)
def test_columns_are_found_by_their_titles(text: str) -> None:
    table = read_table(text)
    assert (table.column("NA_y"), table.column("NA_x")) == ([0.1, 0.3], [-0.2, 0])
    assert table.pairs() == [[0.1, -0.2], [0.3, 0]]
    assert table.has("na_X")
    assert not table.has("weight")


def test_titles_are_given_without_units() -> None:
    assert read_table("frame;z (mm);NA_y;d_um\n1;2;3;4").columns == ("frame", "z", "NA_y", "d")
    assert read_table("1;2").columns == ()


def test_the_first_of_several_names_wins() -> None:
    table = read_table("z,distance\n1,2\n3,4")
    assert (table.column("distance", "z"), table.column("z", "distance")) == ([2, 4], [1, 3])


def test_texts_and_missing_values() -> None:
    table = read_table("frame,weight\na,0.5\na,\nb,2")
    assert table.texts("frame") == ["a", "a", "b"]
    assert table.column("weight", missing=1.0) == [0.5, 1, 2]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("0.1, 0.2\n0.3, 0.4\n", [[0.1, 0.2], [0.3, 0.4]]),
        ("1 0.1 0.2\n2 0.3 0.4\n", [[0.1, 0.2], [0.3, 0.4]]),
        ("dx (nm);dy (nm)\n200;100\n400;300\n", [[0.1, 0.2], [0.3, 0.4]]),
        ("0.1 um\t200 nm\n0.3\t0.4", [[0.1, 0.2], [0.3, 0.4]]),
    ],
)
def test_pairs(text: str, rows: list[list[float]]) -> None:
    assert read_table(text).pairs("um") == rows


def test_all_numbers() -> None:
    assert read_table("1,2,3\n4,5,6").numbers() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(InputError, match="3 columns instead of 2"):
        read_table("1,2,3\n4,5,6").numbers(width=2)


@given(NUMBERS, st.sampled_from(["\n", ",", ", ", ";", "\t", " "]))
def test_numbers_are_read_exactly(numbers: list[float], separator: str) -> None:
    assert read_table(separator.join(map(repr, numbers))).column("z") == numbers


@given(NUMBERS)
def test_decimal_commas_are_read_exactly(numbers: list[float]) -> None:
    texts = [repr(number).replace(".", ",") for number in numbers]
    # which may be thousands
    assume(not all(re.fullmatch(r"-?\d{1,3},\d{3}|-?\d+", text) for text in texts))
    assert read_table(";".join(texts)).column("z") == numbers


@given(st.integers(1, 10**6), st.sampled_from([("nm", -3), ("µm", 0), ("mm", 3), ("cm", 4), ("m", 6)]))
def test_units_are_converted_exactly(micrometres: int, unit: tuple[str, int]) -> None:
    text = f"{micrometres}e{-unit[1]} {unit[0]}"
    assert read_table(text).column("z", unit="um") == [pytest.approx(micrometres, rel=3e-16)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the table holds no numbers"),
        ("# nothing\n\n,,\n", "the table holds no numbers"),
        ("a\nb\n", "line 2: 'b' is not a number"),
        ("many", "the table: 'many' is not a number"),
        ("100\nabc\n", "line 2: 'abc' is not a number"),
        ("100\n110 or so\n", "3 columns without titles"),
        ("1,x,3", "the table, value 2: 'x' is not a number"),
        ("z\n1_000", "'1_000' is not a number"),
        ("z\n1.5.2", r"'1\.5\.2' is not a number"),
        ("z\n1e999", "'1e999' is not a number"),
        ("z\nnan", "'nan' is not a number"),
        ('z\n5"', "is not a number"),
        ("z;note\n1.234,5;a", r"'1\.234,5' is not a number"),
        ("z;note\n1,250;a\n2.5;b", "line 2, column z: '1,250' is not a number"),
        ("frame,z\n7,100\n8,\n", "line 3, column z has an empty cell"),
        ("z\n5V", "'V' is not a unit of length; use nm"),
        ("z_nm (mm)\n5\n6", r"title 'z_nm \(mm\)' with two units; leave one of them"),
        ("z\n1\u202f150\n2\u202f300", "with a blank between digits; write numbers without a separator of thousands"),
        ("z (px)\n5", "'px' is not a unit of length"),
        ("1,2\n3,4\n", "2 columns without titles; give the right column the title z"),
        ("100,5\n110,5\n", "by semicolons if numbers have decimal commas"),
        ("100\n110,5\n", "2 columns without titles"),
        ("a,b\n7,2\n8,4", "the table has a, b; give the right column the title z"),
        ("z position,z speed\n7,2\n8,4", "2 columns that may be z; rename all but one"),
        ("z_se,z_std\n7,2\n9,4", "give the right column the title z"),
        ("sensor distance z\n1 2\n3 4", "line 1 has 3 titles but there are 2 columns"),
        ("0,1 mm\n0,2 mm", "2 columns without titles"),
        ("z\n1 2\n3 4", "line 1 has 1 titles but there are 2 columns"),
    ],
)
def test_what_is_not_clear_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_table(text).column("z", unit="um")


def test_a_unit_is_refused_where_a_plain_number_is_expected() -> None:
    with pytest.raises(InputError, match=r"line 2, column NA_y: '0\.1 mm' has a unit"):
        read_table("NA_y,NA_x\n0.1 mm,0.2").column("NA_y")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_files_in_the_encodings_of_spreadsheets(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "distances.csv"
    path.write_text("frame\tdistance (µm)\n7\t100\n8\t110,5\n", encoding=encoding)
    assert read_table(path).column("distances_um", unit="um") == [100, 110.5]


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "distances.csv"
    with pytest.raises(InputError, match=r"distances\.csv cannot be read \(No such file"):
        read_table(path)
    for content in (b"\xff\xfe\x80", b"II*\0\x08\0\0\0", b"a\x81b"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"distances\.csv cannot be read as text; save the table as CSV"):
            read_table(path)
    path.write_text("100\nx\n")
    with pytest.raises(InputError, match=r"distances\.csv, line 2: 'x' is not a number"):
        read_table(path).column("z")


@pytest.mark.parametrize(
    "text",
    ["frame,z\n3,30\n1,10\n2,20", "Frame no,z\n30,30\n10,10\n20,20", "2 20\n0 10\n1 15", "image;z\n2;20\n1;10\n3;30"],
)
def test_rows_are_in_the_order_of_their_frames(text: str) -> None:
    numbers = read_table(text).in_order().column("z")
    assert numbers == sorted(numbers)


def test_a_column_of_values_is_no_column_of_numbers() -> None:
    assert read_table("n\tz_um\n4\t620\n3\t505\n2\t410\n1\t330").in_order().column("z_um") == [330, 410, 505, 620]
    assert read_table("y,x\n2,20\n1,10").in_order(2).numbers() == [[2, 20], [1, 10]]
    assert read_table("z,note\n2,20\n1,10").in_order().column("z") == [2, 1]


def test_a_frame_has_one_row_unless_it_may_have_more() -> None:
    table = read_table("frame,z\n2,20\n3,70\n3,10\n1,5")
    with pytest.raises(InputError, match="frame 3 twice"):
        table.in_order()
    assert table.in_order(repeated=True).column("z") == [5, 20, 70, 10]


@pytest.mark.parametrize(
    ("numbers", "gap"), [((1, 2, 4, 5), 3), ((10, 50, 20, 40), 30), ((5, 6, 7), None), ((0, 10, 20), None)]
)
def test_a_frame_that_is_missing_between_others_is_named(numbers: tuple[int, ...], gap: int | None) -> None:
    table = read_table("frame,z\n" + "\n".join(f"{number},{100 + number}" for number in numbers))
    if gap is None:
        assert table.in_order().column("z") == [100 + number for number in numbers]
    else:
        with pytest.raises(InputError, match=f"has no frame {gap}, between others; give each frame one row"):
            table.in_order()


@pytest.mark.parametrize(
    "text",
    ["wavelength (um)\n1\n2", "frame;Gain\n1;3\n2;4", "pixel size [um]\n5\n6", "image\n1\n2", "t_s\n5\n6", "y\n7\n8"],
)
def test_a_column_of_another_quantity_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="give the right column the title distances_um"):
        read_table(text).column("distances_um", unit="um")


def test_a_message_names_no_more_titles_than_a_line_holds() -> None:
    titles = ",".join(f"{'d' * 200}{number}" for number in range(50))
    with pytest.raises(InputError) as caught:
        read_table(f"{titles}\n{','.join('1' * 50)}").column("distances_um")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["z (um)\n1,000\n1,250", "z;gain\n900;1\n1,100;1", "1,000 um\t2\n1,250 um\t3"])
def test_thousands_or_three_decimals_are_not_guessed(text: str) -> None:
    with pytest.raises(InputError, match=r"may be 1[01]00"):
        read_table(text)


@pytest.mark.parametrize(
    ("text", "first"), [("z\n1,000\n0,950", 1.0), ("z\n1,250\n12,5", 1.25), ("z\n1,2500\n1,300", 1.25)]
)
def test_other_numbers_tell_that_commas_are_decimal(text: str, first: float) -> None:
    assert read_table(text).column("z")[0] == first


@pytest.mark.parametrize(
    "text",
    [
        "frame,distances_um\n2.0,410.5\n1.0,310\n3.0,520\n",
        "distances_um,image #\n410.5,002\n310,001\n520,003\n",
        "sep=;\nidx;distances_um\n2;410,5\n1;310\n3;520\n",
        "| Frame no. | z (µm) |\n|---:|:---|\n| 2 | 410.5 |\n| 1 | 310 |\n| 3 | 520 |\n",
        "hologram | distance\n2 | 410.5\n1 | 310\n3 | 520\n",
    ],
)
def test_numbers_of_frames_in_any_form_and_column(text: str) -> None:
    assert read_table(text).in_order().column("distances_um", unit="um") == [310, 410.5, 520]


@pytest.mark.parametrize(
    "text",
    [
        "Bild;distances_um\n2;410\n1;310\n3;520\n",
        "distances_um\tk\n410\t3\n310\t1\n520\t2\n",
        "file,distances_um\nz_10.tif,410\nz_9.tif,310\nz_11.tif,520\n",
    ],
)
def test_a_column_that_contradicts_the_order_of_the_rows_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="in another order"):
        read_table(text).in_order().column("distances_um", unit="um")


@pytest.mark.parametrize(
    "text",
    [
        "step;distances_um\n2;410\n1;310\n3;520\n",
        "k,distances_um\n1,410\n2,310\n3,520\n",
        "distances_um,n0 (mm)\n410,3\n310,1\n520,2\n",
        "file,distances_um\nz_9.tif,410\nz_10.tif,310\nz_11.tif,520\n",
    ],
)
def test_other_columns_do_not_matter(text: str) -> None:
    assert read_table(text).in_order().column("distances_um", unit="um") == [410, 310, 520]


def test_other_files_than_tables_are_named_in_errors(tmp_path: Path) -> None:
    path = tmp_path / "heights.json"
    path.write_text("[310, 420]")
    assert names_file(str(path)) and not names_file("310, 420.5 um")
    assert read_given_table(str(path), "the text").source == str(path)


def test_numbers_may_be_a_list_in_json(tmp_path: Path) -> None:
    path = tmp_path / "heights.json"
    path.write_text("[205.5, 3.1e2,\n 420]")
    assert read_given_table(str(path), "the text").column("distance") == [205.5, 310, 420]
    for text in ("{}", "[]", "[1, true]", "[1, [2]]"):
        path.write_text(text)
        with pytest.raises(InputError, match="holds no list of numbers; write"):
            read_given_table(str(path), "the text")

"""Tables of masks and captions, as programs of all kinds write them."""

from __future__ import annotations

import codecs
import csv
from pathlib import Path

import numpy as np
import pytest
from cars import write_photo

from zoo.errors import DataError
from zoo.seg.data.folders import list_pairs, read_captions
from zoo.seg.data.pairs import load_pair
from zoo.seg.data.run_lengths import encode_runs, read_runs

ROWS = [("a_01.jpg", "1 2 9 1"), ("a_02.jpg", "3 4")]


@pytest.mark.parametrize("separator", [",", ";", "\t", ", "], ids=["comma", "semi", "tab", "space"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["unix", "dos"])
@pytest.mark.parametrize("quote", ["", '"'], ids=["bare", "quoted"])
def test_a_table_is_read_however_it_is_written(
    tmp_path: Path, separator: str, encoding: str, end: str, quote: str
) -> None:
    lines = [("img", "rle_mask"), *ROWS]
    text = end.join(separator.join(f"{quote}{cell}{quote}" for cell in row) for row in lines)
    file = tmp_path / "train_masks.csv"
    for last in ("", end, 2 * end):
        file.write_bytes((text + last).encode(encoding))
        assert read_runs(file) == {"a_01": "1 2 9 1", "a_02": "3 4"}


def test_columns_may_come_in_any_order_and_number(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("id;rle_mask;img\n1;1 2;a.b.jpg\n2;;sub/c.png\n")
    assert read_runs(file) == {"a.b": "1 2", "sub/c": ""}


@pytest.mark.parametrize("separator", ",;\t")
def test_rows_may_be_long(tmp_path: Path, separator: str) -> None:
    """A ragged mask of a large photograph has more than the csv module's 131,072 characters."""
    mask = np.zeros((100, 1000), np.uint8)
    mask[:, ::3] = 1
    runs, limit = encode_runs(mask), csv.field_size_limit()
    assert len(runs) > 2 * limit
    write_photo(tmp_path / "train" / "car_01.jpg", *mask.shape)
    table = f"img{separator}rle_mask\ncar_01.jpg{separator}{runs}"
    (tmp_path / "train_masks.csv").write_text(table)
    (pair,) = list_pairs(tmp_path)
    assert np.array_equal(load_pair(pair)[1], mask)
    assert csv.field_size_limit() == limit  # of the whole process


@pytest.mark.parametrize("text", ["id,year,make,model\n7,2014,Acura,TL\n",
                                  "\ufeffid;year;make;model\r\n7;2014;Acura;TL\r\n"])  # fmt: skip
def test_captions_are_read_alike(tmp_path: Path, text: str) -> None:
    (tmp_path / "metadata.csv").write_bytes(text.encode())
    assert read_captions(tmp_path) == {"7": "2014 Acura TL"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "lacks the column img and rle_mask"),
        (b"img\na.jpg\n", "lacks the column rle_mask"),
        (b"img,rle_mask\na.jpg\n", "line 2: there are not 2 fields"),
        (b"img,rle_mask\na.jpg,1 2,3\n", "line 2: there are not 2 fields"),
        (b"img,rle_mask\na.jpg,1 2\na.jpg,5 1\n", "two rows for a.jpg"),
        (b"img,rle_mask\n,1 2\n", "without the name of an image"),
        (b"img,rle_mask\n\xff\xff\xff,1\n", "no UTF-8 text"),
        (codecs.BOM_UTF16_LE + b"i", "no UTF-8 text"),
        (b"\x89PNG\r\n\x1a\n", "no UTF-8 text"),
    ],
)
def test_a_faulty_table_is_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "train_masks.csv"
    file.write_bytes(content)
    with pytest.raises(DataError, match=f"train_masks.csv.*{sentence}"):
        read_runs(file)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="train_masks.csv can't be read"):
        read_runs(tmp_path / "train_masks.csv")

"""Reading of tables as spreadsheets and Kaggle write them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from zoo.errors import DataError

_LONGEST = 2**31 - 1  # characters in a field; the csv module's own limit is 131,072


def read_table(file: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a CSV file with at least these columns, as text by the column's name.

    Fields are separated by commas, semicolons or tabs; the text is UTF-8, with or without a byte
    order mark, or UTF-16 with one.

    Raises:
        DataError: the file can't be read, a column is missing, or a row has more or fewer fields
            than the first; it is named.
    """
    try:
        raw = file.read_bytes()
        utf16 = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = raw.decode("utf-16" if utf16 else "utf-8-sig")
    except OSError as error:
        raise DataError(f"{file} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file} can't be read: it is no UTF-8 text.") from error
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    limit = csv.field_size_limit(_LONGEST)
    try:
        names = [name.strip() for name in rows.fieldnames or ()]
        rows.fieldnames = names
        if missing := set(columns) - set(names):
            raise DataError(f"{file} lacks the column {' and '.join(sorted(missing))}.")
        table = []
        for row in rows:
            if None in row or None in row.values():
                raise DataError(f"{file}, line {rows.line_num}: there are not {len(names)} fields.")
            table.append(row)
    except csv.Error as error:
        raise DataError(f"{file}, line {rows.line_num}, is no row of a table: {error}.") from error
    finally:
        csv.field_size_limit(limit)
    return table

#!/usr/bin/env bash
# pandas 3.1.1, to_timedelta and Timedelta: a decimal comma makes a time ten times as long,
# and a second decimal point is passed over.
#
# The guess: "1,5 min" is an error, or a minute and a half, as people write it in most of
# Europe. "1.5.2 hours" is an error.
#
# The behaviour: the comma is dropped, so "1,5 min" is 15 minutes and "0,5 h" is five
# hours. Of "1.5.2 hours" the second point is dropped: 1.52 hours. With errors="raise",
# the default, nothing is said. "1;5 min" and "1'5 min" raise ValueError.
#
# Seen: 0 days 00:15:00, 0 days 05:00:00, 0 days 01:31:12.
# Exits non-zero where that is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check pandas==3.1.1
"$folder/env/bin/python" - <<'PYTHON'
import pandas as pd

for text, seconds in (("1,5 min", 900), ("0,5 h", 18_000), ("1.5.2 hours", 5472)):
    for read in (pd.to_timedelta, pd.Timedelta):
        found = read(text)
        print(f"{read.__name__}({text!r}): {found}")
        assert found.total_seconds() == seconds
for text in ("1;5 min", "1'5 min"):
    try:
        raise SystemExit(f"{text!r} was read as {pd.to_timedelta(text)}")
    except ValueError as error:
        print(f"{text!r}: {error}")
print("as found")
PYTHON

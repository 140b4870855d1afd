"""Checks that other programs read the files of a history as they are: what they find is what the API answers.

Usage: history.py COLLECTOR VFLOW, the first built with the feature archive, with the packages duckdb and pyarrow at hand.
"""

import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

from collector import LISTS, Collector, until

try:
    import duckdb
    import pyarrow
    import pyarrow.parquet
except ImportError as missing:
    print(f"skipped: there is no package {missing.name}")
    sys.exit()

def collected(program, directory):
    """Has the emulated network end some connections and requests."""
    collector = Collector(program, "--demo", "--demo-rate", "100", "--history-dir", directory)
    kinds = LISTS.values()
    until(lambda: all(collector.kept().get(name, 0) >= 200 for name in kinds), "rows in the history")
    collector.leave()


def check(name, rows, files):
    """What DuckDB and pyarrow read is what the API answers, row by row and in types that say what it is."""
    table = pyarrow.concat_tables([pyarrow.parquet.read_table(file, partitioning=None) for file in files])
    types = {field.name: str(field.type) for field in table.schema}
    assert types["key"] == "string" and types["octetCount"] == "uint64", types
    assert types["endTime"] == "timestamp[us, tz=UTC]", types
    assert re.fullmatch(r"list<element: string( not null)?>", types["traceSites"]), types
    found = {row["key"]: row for row in table.to_pylist()}
    assert len(found) == table.num_rows == len(rows), (name, len(found), table.num_rows, len(rows))
    for row in rows:
        its = found[row["key"]]
        for property, value in row.items():
            other = its[property]
            if types[property].startswith("timestamp"):
                other = round(other.timestamp() * 1_000_000) if other else 0
            assert other == value, (name, row["key"], property, other, value)

    pattern = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(files[0]))), "*/*/*.parquet")
    database = duckdb.connect()
    pattern = pattern.replace("'", "''")
    relation = f"read_parquet('{pattern}', hive_partitioning = true, hive_types_autocast = false)"
    octets = database.sql(f"SELECT routingKey, count(*), sum(octetCount) FROM {relation} GROUP BY 1").fetchall()
    expected = {}
    for row in rows:
        count, sum = expected.get(row["routingKey"], (0, 0))
        expected[row["routingKey"]] = (count + 1, sum + row["octetCount"])
    assert {service: (count, sum) for service, count, sum in octets} == expected, (octets, expected)
    # Folders are named so that a time is found by them alone.
    folder = "strftime(endTime AT TIME ZONE 'UTC', '%Y-%m-%d %H') != date || ' ' || hour"
    [(strays,)] = database.sql(f"SELECT count(*) FROM {relation} WHERE {folder}").fetchall()
    assert strays == 0, strays
    print(f"{len(rows)} {name} in {len(files)} files are the same to the API, DuckDB and pyarrow")


def check_export(vflow, collector, name, rows, directory):
    """What vflow exports as Parquet is what the API answers."""
    path = os.path.join(directory, f"{name}.parquet")
    export = ["export", name, "--since", "2000-01-01", "-o", "parquet", "--to", path]
    subprocess.run([vflow, "--server", collector.address, *export], check=True, stderr=subprocess.DEVNULL)
    columns = "key, octetCount, epoch_us(endTime), list_aggregate(traceSites, 'string_agg', '|')"
    found = duckdb.connect().sql(f"SELECT {columns} FROM '{path}'").fetchall()
    expected = [
        (row["key"], row["octetCount"], row["endTime"], "|".join(row["traceSites"]) or None) for row in rows
    ]
    assert sorted(found) == sorted(expected), (name, len(found), len(expected))
    print(f"{len(found)} {name} are exported as Parquet that DuckDB reads")


def check_sql(vflow, directory, expected):
    """What vflow prints opens the files, with their names as they are."""
    counts = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in expected)
    sql = ["sql", counts, "--history-dir", directory, "--with", "duckdb"]
    printed = subprocess.run([vflow, *sql], check=True, capture_output=True, text=True).stdout
    program, option, statements = shlex.split(printed)
    assert (program, option) == ("duckdb", "-c"), printed
    found = dict(duckdb.connect().execute(statements).fetchall())
    assert found == expected, (found, expected)
    print(f"what `vflow sql` prints finds {found}")


def main(program, vflow):
    # A name that has to be quoted, for shells and for SQL.
    with tempfile.TemporaryDirectory() as above:
        directory = os.path.join(above, "it's here")
        collected(program, directory)
        # What the first left in its log, the second makes files of. There is no router where it asks for one.
        collector = Collector(program, "--router", "amqp://127.0.0.1:9", "--history-dir", directory)
        try:
            counts = {}
            for path, name in LISTS.items():
                rows = collector.list(path)
                check(name, rows, glob.glob(f"{directory}/{name}/*/*/*.parquet"))
                check_export(vflow, collector, name, rows, above)
                counts[name] = len(rows)
            check_sql(vflow, directory, counts)
        finally:
            collector.leave()


main(*sys.argv[1:])

"""Checks what a collector sends to a ClickHouse against a real one: the engine, in this process, behind a small HTTP server.

Usage: clickhouse.py COLLECTOR VFLOW COMMAND…, the first built with the feature archive, with the package chdb-core at hand. The
command has tests done that need a ClickHouse, at VANFLOW_TEST_CLICKHOUSE.
"""

import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.parse

from collector import EVER, LISTS, Collector, questions, random_questions, refused, until

try:
    from chdb import session
except ImportError as missing:
    print(f"skipped: there is no package {missing.name}")
    sys.exit()


class Engine:
    """A ClickHouse that answers over HTTP, as far as a collector asks it; one statement at a time."""

    def __init__(self, directory):
        self.session = session.Session(os.path.join(directory, "engine"))
        self.directory = directory
        self.lock = threading.Lock()
        self.inserts = 0
        self.questions = 0
        self.server = None
        self.port = 0

    def ask(self, statement, form="JSONCompact"):
        return self.session.query(statement, form)

    def rows(self, statement):
        return [tuple(row) for row in json.loads(str(self.ask(statement)))["data"]]

    def insert(self, statement, settings, body):
        """An insert of data that came along is one of a file here."""
        path = os.path.join(self.directory, "body.parquet")
        with open(path, "wb") as file:
            file.write(body)
        into, found = re.subn(r" FORMAT Parquet$", "", statement)
        assert found == 1, statement
        given = ", ".join(f"{name} = '{value}'" for name, value in settings.items())
        self.ask(f"{into} FROM INFILE '{path}' SETTINGS {given} FORMAT Parquet")
        self.inserts += 1

    def listen(self):
        engine = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, strict_parsing=True))
                with engine.lock:
                    engine.ask(f"USE {query['database']}")
                    text = engine.ask(query["query"], query["default_format"]).bytes()
                self.send_response(200)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_POST(self):
                if engine.server is None:
                    # A connection that was kept from before.
                    self.close_connection = True
                    return
                query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, strict_parsing=True))
                body = self.rfile.read(int(self.headers["content-length"]))
                statement = query.pop("query")
                status, text = 200, b""
                try:
                    with engine.lock:
                        if statement.startswith("INSERT"):
                            engine.insert(statement, query, body)
                        else:
                            if statement.startswith("SELECT"):
                                # Whoever asks changes nothing. Here it would be so for all that follows.
                                assert query.pop("readonly") == "1"
                                engine.questions += 1
                            for name, value in query.items():
                                quoted = value.replace("\\", "\\\\").replace("'", "\\'")
                                engine.ask(f"SET {name} = '{quoted}'")
                            text = engine.ask(statement, "TabSeparated").bytes()
                except Exception as error:  # What the engine says is what is answered.
                    print(f"{statement[:300]}: {error}", file=sys.stderr)
                    status, text = 400, str(error).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop_listening(self):
        server, self.server = self.server, None
        server.shutdown()
        server.server_close()


def compare(engine, name, rows):
    """What is in a table is what the API answers, row by row, each once."""
    (types,) = [dict(engine.rows(f"SELECT name, type FROM system.columns WHERE database = 'van' AND table = '{name}'"))]
    assert types["endTime"] == "DateTime64(6, 'UTC')" and types["octetCount"] == "Nullable(UInt64)", types
    names = [property for property in types if property in rows[0]]
    assert len(names) > 20, names
    columns = ", ".join(
        f"toUnixTimestamp64Micro({name})" if "DateTime64" in types[name] else name for name in names
    )
    listed = engine.rows(f"SELECT {columns}, network FROM van.{name} FINAL")
    found = {row[names.index("key")]: row for row in listed}
    assert len(found) == len(listed), (name, len(found), len(listed))
    for row in rows:
        *its, network = found.pop(row["key"])
        assert network == "demo"
        for property, value in zip(names, its):
            if "Int64" in types[property] or "DateTime64" in types[property]:
                value = int(value) if value is not None else None
            expected = row[property] or (None if "DateTime64" in types[property] else row[property])
            assert value == expected, (name, row["key"], property, value, expected)
    assert not found, (name, list(found)[:3])
    print(f"{len(rows)} {name} are the same to the API and to ClickHouse")


def main(program, vflow, *tests):
    with tempfile.TemporaryDirectory() as directory:
        engine = Engine(directory)
        engine.listen()
        server = f"http://127.0.0.1:{engine.port}"
        url = f"{server}/van"
        subprocess.run(tests, check=True, env=os.environ | {"VANFLOW_TEST_CLICKHOUSE": server})
        print(f"random rows are what a plain list has, over {engine.inserts} inserts and {engine.questions} questions")
        engine.ask("DROP DATABASE IF EXISTS van")
        keep = ["--history-clickhouse", url, "--network-id", "demo", "--history-clickhouse-keep", "90d"]
        first = os.path.join(directory, "first")
        collector = Collector(program, "--demo", "--demo-rate", "100", "--history-dir", first, *keep)
        until(lambda: collector.became("clickhouse").get("written", 0) >= 200, "rows in the ClickHouse")

        # It goes away for a while: what ends meanwhile is on disk, and there afterwards.
        engine.stop_listening()
        outbox = os.path.join(first, "outbox", "clickhouse")
        until(lambda: len(os.listdir(outbox)) >= 2, "batches that wait")
        before = engine.inserts
        engine.listen()
        until(lambda: engine.inserts > before and not os.listdir(outbox), "batches that were sent")
        engine.stop_listening()
        until(lambda: os.listdir(outbox), "a batch that waits")
        collector.leave()
        left = os.listdir(outbox)
        assert left

        # Another sends what was left, whatever it is of itself. A batch that comes twice is there once.
        copy = os.path.join(directory, left[0])
        with open(os.path.join(outbox, left[0]), "rb") as file:
            twice = file.read()
        engine.listen()
        collector = Collector(program, "--router", "amqp://127.0.0.1:9", "--history-dir", first, *keep)
        until(lambda: not os.listdir(outbox), "what was left")
        with open(os.path.join(outbox, left[0]), "wb") as file:
            file.write(twice)
        collector.leave()
        before = engine.rows("SELECT count() FROM van.connections"), engine.rows("SELECT count() FROM van.requests")
        collector = Collector(program, "--router", "amqp://127.0.0.1:9", "--history-dir", first, *keep)
        until(lambda: not os.listdir(outbox), "what is sent again")
        after = engine.rows("SELECT count() FROM van.connections"), engine.rows("SELECT count() FROM van.requests")
        assert after == before, (before, after)
        assert collector.became("clickhouse")["lost"] == 0
        for path, name in LISTS.items():
            compare(engine, name, collector.list(path))
        (sums,) = engine.rows("SELECT count() FROM van.events")
        assert sums[0] >= collector.kept()["events"] > 0, (sums, collector.kept())
        (made,) = engine.rows("SELECT create_table_query FROM system.tables WHERE database = 'van' AND name = 'requests'")
        assert "ReplacingMergeTree(written)" in made[0] and "TTL" in made[0], made
        statement = "SELECT routingKey, count() AS number FROM requests FINAL GROUP BY 1 ORDER BY 1"
        asked = [vflow, "sql", statement, "--history-clickhouse", url, "-o", "ndjson"]
        lines = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.splitlines()
        expected = {}
        for request in collector.list("applicationflows"):
            expected[request["routingKey"]] = expected.get(request["routingKey"], 0) + 1
        found = {line["routingKey"]: int(line["number"]) for line in map(json.loads, lines)}
        assert found == expected, (found, expected)
        print(f"`vflow sql` counts requests of {len(found)} services")
        # Events of a ClickHouse are not answered yet where the directory is new: see docs/history.md.
        asked = questions(collector) + random_questions(collector, 150)
        answers = {path: collector.get(path) for path in asked}
        collector.leave()

        # One whose disk has nothing answers the same, from the ClickHouse.
        asked = engine.questions
        second = os.path.join(directory, "second")
        collector = Collector(program, "--router", "amqp://127.0.0.1:9", "--history-dir", second, *keep)
        for path, expected in answers.items():
            found = collector.get(path)
            assert found == expected, (path, str(found)[:500], str(expected)[:500])
        print(f"{len(answers)} questions have the same answers from the disk and from ClickHouse")
        assert engine.questions >= asked + len(answers)
        engine.stop_listening()
        code, said = refused(collector, f"api/v2alpha1/connections?{EVER}")
        assert code == 500 and "the ClickHouse at http://127.0.0.1" in said, (code, said)
        collector.leave()


main(*sys.argv[1:])

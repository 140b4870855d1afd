"""A collector that runs, for checks that hold it to other programs."""

import atexit
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

# All that there ever was.
EVER = "timeRangeStart=2000-01-01T00:00:00Z"

# Lists of the API, and what the history calls what they list.
LISTS = {"connections": "connections", "applicationflows": "requests"}


class Collector:
    """A collector that runs, and its address."""

    def __init__(self, program, *arguments, environment=None):
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("VANFLOW_", "AWS_"))}
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [program, "--listen", "127.0.0.1:0", "--log", "info", *arguments],
            stderr=self.log, text=True, env=inherited | (environment or {}),
        )
        # Whatever fails, it does not outlive the check.
        atexit.register(self.process.kill)
        self.address = None
        until(self.find_address, "an address of the collector")
        if not self.address:
            sys.exit("the collector has left: " + self.said())

    def find_address(self):
        found = re.search(r"answering on (http://\S+):", self.said())
        self.address = found and found[1]
        return found or self.process.poll() is not None

    def said(self):
        """What it logged."""
        # It goes on writing where it was: this reads by another position.
        with open(f"/proc/self/fd/{self.log.fileno()}") as log:
            return log.read()

    def text(self, path):
        with urllib.request.urlopen(f"{self.address}/{path}") as answer:
            return answer.read().decode()

    def get(self, path):
        return json.loads(self.text(path))

    def list(self, path, query=EVER):
        return self.get(f"api/v2alpha1/{path}?{query}")["results"]

    def kept(self):
        """How many rows of each kind are on its disk."""
        return {kind["kind"]: kind["rows"] for kind in self.get("api/v1/verdict").get("ended", [])}

    def became(self, to):
        """How many rows were written there, and how many were lost; nothing before it has looked."""
        counted = rf'^vanflow_collector_ended_(written|lost)_total\{{.*to="{to}".*\}} (\S+)$'
        return {name: float(count) for name, count in re.findall(counted, self.text("metrics"), re.M)}

    def leave(self):
        self.process.terminate()
        assert self.process.wait() == 0, self.said()
        return self.said()


def until(is_so, what):
    """Waits for something, and gives it back."""
    for _ in range(900):
        found = is_so()
        if found:
            return found
        time.sleep(0.2)
    sys.exit(f"{what} did not come to be")


def questions(collector):
    """Paths of lists and records that are asked for, of all kinds, by what a collector has."""
    some = collector.list("connections")[17]
    request = collector.list("applicationflows")[11]
    span = f"timeRangeStart={some['endTime'] - 3_000_000}&timeRangeEnd={some['endTime'] + 1_000_000}"
    service = urllib.parse.quote(some["routingKey"])
    sort = "sortBy=endTime.desc&limit=7&offset=3"
    odd = urllib.parse.quote("it's \\ {p0:String}\t%")
    lists = [
        f"connections?{EVER}&sortBy=key.asc&limit=50",
        f"connections?{EVER}&routingKey={service}&{sort}",
        f"connections?{EVER}&sourceSiteName={urllib.parse.quote(some['sourceSiteName'][:3])}&{sort}",
        f"connections?{EVER}&connectorError=*&{sort}",
        f"connections?{EVER}&routingKey={odd}",
        f"connections?{span}&timeRangeOperation=intersects&sortBy=key.asc",
        f"connections?{EVER}&groupBy=routingKey",
        f"connections/{urllib.parse.quote(some['key'])}",
        f"connections/{urllib.parse.quote(some['identity'])}",
        f"applicationflows?{EVER}&status=200&method=GET&{sort}",
        f"applicationflows?{EVER}&groupBy=status,routingKey",
        f"applicationflows/{urllib.parse.quote(request['key'])}",
    ]
    return [f"api/v2alpha1/{path}" for path in lists]


def random_questions(collector, count, seed=7):
    """Paths of lists and groups by random filters, times and orders, of what a collector has."""
    chosen = random.Random(seed)
    texts = ["routingKey", "protocol", "sourceSiteName", "destSiteName", "sourceProcessName", "destProcessName"]
    asked = []
    rows = {path: collector.list(path) for path in LISTS}
    for _ in range(count):
        path = chosen.choice(list(LISTS))
        row, other = chosen.choices(rows[path], k=2)
        own = texts + (["method", "status"] if path == "applicationflows" else ["connectorError"])
        query = []
        if chosen.random() < 0.5:
            begin, end = sorted([row["endTime"], other["endTime"]])
            query += [("timeRangeStart", begin), ("timeRangeEnd", end)]
            query += [("timeRangeOperation", chosen.choice(["contains", "intersects", "within"]))]
        else:
            query += [tuple(EVER.split("="))]
        for name in chosen.sample(own, chosen.randrange(3)):
            how = chosen.choice([name, name, name + "!"])
            query.append((how, chosen.choice([row, other]).get(name) or "*"))
        if chosen.random() < 0.4:
            query.append(("groupBy", ",".join(chosen.sample(own, chosen.randint(1, 2)))))
            measures = ["count", "sum(octetCount)", "max(octetReverseCount)", "min(octetCount)", "p95(octetCount)"]
            query.append(("aggregate", ",".join(["count", *chosen.sample(measures[1:], chosen.randrange(3))])))
        else:
            order = chosen.choice([*own, "endTime", "startTime", "octetCount"])
            query.append(("sortBy", f"{order}.{chosen.choice(['asc', 'desc'])}"))
            query.append(("limit", chosen.choice([1, 7, 50])))
            query.append(("offset", chosen.choice([0, 0, 5])))
        asked.append(f"api/v2alpha1/{path}?{urllib.parse.urlencode(query)}")
    return asked


def answered(collector, path):
    """An answer, or nothing where there is none yet."""
    try:
        return collector.get(path)
    except urllib.error.HTTPError:
        return None


def refused(collector, path):
    """What a collector says where it has no answer."""
    try:
        collector.get(path)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    sys.exit(f"{path} is answered")

"""A collector that runs, for checks that hold it to other programs."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
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

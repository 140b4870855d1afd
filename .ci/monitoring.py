"""Checks what Prometheus and Grafana are given: rules, the queries of the dashboard, and a live scrape.

Usage: monitoring.py COLLECTOR, with promtool in the path and the package prometheus-client at hand.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

# What the network observer's names are against. They are kept for those who know them.
OBSERVERS = {
    'legacy_flow_latency_microseconds use base unit "seconds" instead of "microseconds"',
    'skupper_routers_total non-counter metrics should not have "_total" suffix',
    'skupper_site_connectors_total non-counter metrics should not have "_total" suffix',
    'skupper_site_links_total non-counter metrics should not have "_total" suffix',
    'skupper_site_listeners_total non-counter metrics should not have "_total" suffix',
}


def promtool(*arguments, given=None):
    return subprocess.run(["promtool", *arguments], input=given, capture_output=True, text=True)


def passes(*arguments):
    outcome = promtool(*arguments)
    print(outcome.stdout.strip())
    if outcome.returncode != 0:
        sys.exit(outcome.stderr)


def check_dashboard(file):
    """Each query parses: as a rule, for that is what promtool can read."""
    with open(file) as text:
        panels = json.load(text)["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    assert len(queries) > 20, queries
    filled = [query.replace("$__rate_interval", "1m").replace("$site", ".*") for query in queries]
    assert not any("$" in query for query in filled), filled
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(filled)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as text:
        # JSON is YAML.
        json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, text)
        text.flush()
        passes("check", "rules", text.name)


def scrape(address, accept):
    request = urllib.request.Request(f"{address}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def samples(families):
    return {
        (sample.name, tuple(sorted((name, str(float(value)) if name == "le" else value) for name, value in sample.labels.items())))
        for family in families
        for sample in family.samples
    }


def check_scrape(address):
    kind, text = scrape(address, "text/plain")
    assert kind == "text/plain; version=0.0.4; charset=utf-8", kind
    complaints = set(filter(None, promtool("check", "metrics", given=text).stderr.splitlines()))
    assert complaints == OBSERVERS, complaints ^ OBSERVERS
    kind, openmetrics = scrape(address, "application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text"), kind
    # The same in both, but for requests that were counted in between.
    ours = {sample for sample in samples(parse_text(text)) if not sample[0].startswith("vanflow_collector_http")}
    theirs = samples(parse_openmetrics(openmetrics))
    assert ours <= theirs, ours - theirs
    assert any(name == "skupper_connections_opened_total" for name, _ in ours), ours
    print(f"{len(ours)} samples are as they should be in both formats")


def check_live(collector):
    capture = "tests/captures/router-3.5.jsonl"
    arguments = [collector, "--listen", "127.0.0.1:0", "--replay", capture, "--speed", "max", "--metrics-zero-for", "0s"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VANFLOW_")}
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            address = None
            for line in process.stderr:
                found = re.search(r"answering on (http://\S+):", line)
                if found:
                    address = found[1]
                    break
            assert address, "the collector said nowhere where it answers"
            while True:
                try:
                    urllib.request.urlopen(f"{address}/readyz").close()
                    break
                except urllib.error.HTTPError as error:
                    assert error.code == 503, error
            check_scrape(address)
        finally:
            process.terminate()


passes("check", "rules", "monitoring/alerts.yaml")
passes("test", "rules", "monitoring/alerts-test.yaml")
check_dashboard("monitoring/grafana-dashboard.json")
check_live(sys.argv[1])

"""Renders the Helm chart with Helm itself, for each file of values in tests/chart, and checks what comes of it: each document
against its schema, that what one names is what another makes, and all of it against the file that was kept.

Usage: chart.py [--renew], with the packages helm-python-sdk, kubernetes-validate, jsonschema and PyYAML at hand. --renew
keeps what is rendered now.
"""

import json
import pathlib
import sys

import helm_python
import jsonschema
import kubernetes_validate
import yaml

CHART = pathlib.Path("charts/network-observer")
CASES = pathlib.Path("tests/chart")

# Who knows what is no part of Kubernetes.
SCHEMAS = {
    "skupper.io/v2alpha1": ".ci/skupper-certificate.schema.json",
    "route.openshift.io/v1": ".ci/openshift-route.schema.json",
    "monitoring.coreos.com/v1": ".ci/servicemonitor.schema.json",
}


def validators():
    found = {}
    for version, file in SCHEMAS.items():
        with open(file) as text:
            schema = json.load(text)
        jsonschema.Draft202012Validator.check_schema(schema)
        found[version] = jsonschema.Draft202012Validator(schema)
    return found


def render(values):
    """The manifests by their templates, and what is said to whoever installs them."""
    with helm_python.Chart.load(CHART) as chart:
        rendered = chart.render(values, name="observer", namespace="my-site")
    rendered = {pathlib.PurePath(path).name: text for path, text in sorted(rendered.items())}
    notes = rendered.pop("NOTES.txt", "")
    return {name: text.strip() for name, text in rendered.items() if text.strip()}, notes


def documents(manifests):
    """All documents by kind and name, each valid."""
    found = {}
    for name, text in manifests.items():
        for document in yaml.safe_load_all(text):
            if document is None:
                continue
            version = document["apiVersion"]
            if version in VALIDATORS:
                VALIDATORS[version].validate(document)
            else:
                kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
            key = document["kind"], document["metadata"]["name"]
            assert key not in found, f"{name}: two of {key}"
            found[key] = document
    return found


def check_references(case, found):
    """What is mounted is made, by whom it should be, or was named in the values; selectors find what they should."""
    (deployment,) = [document for (kind, _), document in found.items() if kind == "Deployment"]
    pod = deployment["spec"]["template"]
    labels = pod["metadata"]["labels"]
    containers = pod["spec"]["containers"]
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    made = {name for kind, name in found if kind == "Certificate"}
    for (kind, _), document in found.items():
        if kind == "Job":
            made.add(document["spec"]["template"]["spec"]["containers"][0]["args"][-1])
        if kind == "Service":
            made.add(document["metadata"].get("annotations", {}).get("service.beta.openshift.io/serving-cert-secret-name"))
    for volume in volumes.values():
        secret = volume.get("secret", {}).get("secretName")
        assert secret is None or secret in made or secret.startswith("my-"), (case, secret, made)
    mounted = [mount["name"] for container in containers for mount in container["volumeMounts"]]
    assert set(mounted) == set(volumes), (case, mounted, volumes)

    ports = {port["name"] for container in containers for port in container["ports"]}
    jobs = [document["spec"]["template"]["metadata"]["labels"] for (kind, _), document in found.items() if kind == "Job"]
    for (kind, name), document in found.items():
        spec = document.get("spec", {})
        if kind == "Service":
            assert spec["selector"].items() <= labels.items(), name
            assert not any(spec["selector"].items() <= job.items() for job in jobs), f"{name} selects the job"
            assert all(port["targetPort"] in ports for port in spec["ports"]), name
        if kind == "NetworkPolicy":
            assert spec["podSelector"]["matchLabels"].items() <= labels.items(), name
            assert {port["port"] for rule in spec["ingress"] for port in rule["ports"]} == {"https", "metrics"}, name
        if kind == "ServiceMonitor":
            monitored = [
                service
                for (kind, _), service in found.items()
                if kind == "Service" and spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
            ]
            assert len(monitored) == 1, (name, monitored)
            assert spec["endpoints"][0]["port"] == monitored[0]["spec"]["ports"][0]["name"]
        if kind == "Route":
            service = found["Service", spec["to"]["name"]]
            assert spec["port"]["targetPort"] in {port["name"] for port in service["spec"]["ports"]}
        if kind == "RoleBinding":
            assert ("Role", spec.get("roleRef", document["roleRef"])["name"]) in found
            assert ("ServiceAccount", document["subjects"][0]["name"]) in found
        if kind == "PersistentVolumeClaim":
            assert volumes["kept"]["persistentVolumeClaim"]["claimName"] == name
    # Only what is under a mount can be written.
    for container in containers:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, container["name"]


def check_errors():
    """Values that make no sense are refused by Helm, with what would."""
    for values, expected in [
        ({"auth": {"strategy": "ldap"}}, "auth"),
        ({"tls": {"skupperIssued": False}}, "set one of tls.secretName, tls.openshiftIssued and tls.skupperIssued"),
        ({"router": {"endpoint": "http://router"}}, "endpoint"),
        ({"service": {"port": 0}}, "port"),
    ]:
        try:
            with helm_python.Chart.load(CHART) as chart:
                chart.validate_schema(values)
            render(values)
        except helm_python.HelmError as error:
            assert expected in str(error), (values, error)
        else:
            raise AssertionError(f"{values} are taken")


def main():
    renew = sys.argv[1:] == ["--renew"]
    report = helm_python.lint(CHART, strict=True, quiet=True)
    wrong = [message for message in report["messages"] if message["severity"] > 1]
    assert not wrong and not report["errors"], report
    cases = sorted(CASES.glob("*.values.yaml"))
    assert cases
    for case in cases:
        name = case.name.removesuffix(".values.yaml")
        manifests, notes = render(yaml.safe_load(case.read_text()))
        found = documents(manifests)
        check_references(name, found)
        text = "".join(f"---\n# {template}\n{text.removeprefix('---').strip()}\n" for template, text in manifests.items())
        text += "---\n# NOTES.txt\n" + "".join(f"# {line}".rstrip() + "\n" for line in notes.strip().splitlines())
        kept = CASES / f"{name}.yaml"
        if renew:
            kept.write_text(text)
        assert kept.read_text() == text, f"{kept} is not what the chart renders; chart.py --renew keeps what is"
        print(f"{name}: {len(found)} documents are valid, and as they were")
    check_errors()


VALIDATORS = validators()
main()

"""Checks the manifests: each document against its schema, and that what one names is what another makes.

Usage: deployment.py, with the packages kubernetes-validate, jsonschema and PyYAML at hand.
"""

import copy
import json

import jsonschema
import kubernetes_validate
import yaml

SKUPPER_2 = "deploy.yaml"
SKUPPER_1 = "deploy-skupper-1.yaml"

# What a secret of a Certificate has in it, and which setting takes which.
KEYS = {"VANFLOW_CA": "ca.crt", "VANFLOW_CERT": "tls.crt", "VANFLOW_KEY": "tls.key"}


def certificates():
    with open(".ci/skupper-certificate.schema.json") as text:
        schema = json.load(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def documents(file):
    """The documents of a manifest by their kind, each valid."""
    validator = certificates()
    found = {}
    with open(file) as text:
        for document in yaml.safe_load_all(text):
            kind = document["kind"]
            assert kind not in found, f"{file} has two of {kind}"
            if document["apiVersion"].startswith("skupper.io/"):
                validator.validate(document)
            else:
                kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
            found[kind] = document
            print(f"{file}: {kind} {document['metadata']['name']} is valid")
    return found


def container(documents):
    (only,) = documents["Deployment"]["spec"]["template"]["spec"]["containers"]
    return only


def environment(documents):
    return {variable["name"]: variable["value"] for variable in container(documents)["env"]}


def check_schema_refuses(good):
    """A schema that takes anything would say nothing."""
    validator = certificates()
    for spoil in [
        lambda bad: bad["spec"].pop("ca"),
        lambda bad: bad["spec"].pop("subject"),
        lambda bad: bad["spec"].update(client="true"),
        lambda bad: bad["spec"].update(host=["skupper-router-local"]),
        lambda bad: bad["spec"].update(hosts="skupper-router-local"),
        lambda bad: bad["metadata"].pop("name"),
        lambda bad: bad.update(apiVersion="skupper.io/v1alpha1"),
    ]:
        bad = copy.deepcopy(good)
        spoil(bad)
        assert not validator.is_valid(bad), bad


def check_certificate_is_mounted(documents):
    """The collector reads its certificate where the secret that the Certificate makes is mounted."""
    certificate = documents["Certificate"]
    (volume,) = documents["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert volume["secret"]["secretName"] == certificate["metadata"]["name"], volume
    (mount,) = container(documents)["volumeMounts"]
    assert mount["name"] == volume["name"], mount
    settings = environment(documents)
    for variable, key in KEYS.items():
        assert settings[variable] == f"{mount['mountPath']}/{key}", (variable, settings[variable])
    assert certificate["spec"]["client"] is True, certificate
    router = settings["VANFLOW_ROUTER"]
    assert router == f"amqps://{certificate['spec']['hosts'][0]}:5671", router


def check_ports(documents):
    """Probes, the Service and what is listened on name the same ports."""
    ports = {port["name"]: port["containerPort"] for port in container(documents)["ports"]}
    settings = environment(documents)
    assert settings["VANFLOW_LISTEN"].endswith(f":{ports['api']}")
    assert settings["VANFLOW_METRICS_LISTEN"].endswith(f":{ports['metrics']}")
    for probe in ["livenessProbe", "readinessProbe"]:
        assert container(documents)[probe]["httpGet"]["port"] in ports, probe
    for port in documents["Service"]["spec"]["ports"]:
        assert ports[port["targetPort"]] == port["port"], port
    labels = documents["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert documents["Service"]["spec"]["selector"].items() <= labels.items()


def without_router(documents):
    """What does not depend on how the router is reached."""
    rest = copy.deepcopy({kind: document for kind, document in documents.items() if kind != "Certificate"})
    del rest["Deployment"]["spec"]["template"]["spec"]["volumes"][0]["secret"]["secretName"]
    reach = {"VANFLOW_ROUTER", "VANFLOW_CONNECT_JSON", *KEYS}
    only = container(rest)
    only["env"] = [variable for variable in only["env"] if variable["name"] not in reach]
    return rest


two, one = documents(SKUPPER_2), documents(SKUPPER_1)
check_schema_refuses(two["Certificate"])
check_certificate_is_mounted(two)
assert "Certificate" not in one
assert environment(one)["VANFLOW_CONNECT_JSON"] == "/etc/messaging/connect.json"
for manifest in [two, one]:
    check_ports(manifest)
assert without_router(two) == without_router(one), "the two manifests differ in more than how the router is reached"

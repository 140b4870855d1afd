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

# The same for the certificate of the API.
API_KEYS = {"VANFLOW_TLS_CERT": "tls.crt", "VANFLOW_TLS_KEY": "tls.key"}


def certificates():
    with open(".ci/skupper-certificate.schema.json") as text:
        schema = json.load(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def documents(file):
    """The documents of a manifest by their kind, and certificates by their name, each valid."""
    validator = certificates()
    found = {}
    with open(file) as text:
        for document in yaml.safe_load_all(text):
            kind = document["kind"]
            if kind == "Certificate":
                kind = document["metadata"]["name"]
            assert kind not in found, f"{file} has two of {kind}"
            if document["apiVersion"].startswith("skupper.io/"):
                validator.validate(document)
            else:
                kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
            found[kind] = document
            print(f"{file}: {document['kind']} {document['metadata']['name']} is valid")
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


def volumes(documents):
    """What is mounted, by where."""
    found = {volume["name"]: volume for volume in documents["Deployment"]["spec"]["template"]["spec"]["volumes"]}
    mounts = container(documents)["volumeMounts"]
    assert sorted(mount["name"] for mount in mounts) == sorted(found), mounts
    return {mount["mountPath"]: found[mount["name"]] for mount in mounts}


def check_certificate_is_mounted(documents, name, keys, mount):
    """The collector reads a certificate where the secret that the Certificate makes is mounted."""
    certificate = documents[name]
    assert volumes(documents)[mount]["secret"]["secretName"] == certificate["metadata"]["name"]
    settings = environment(documents)
    for variable, key in keys.items():
        assert settings[variable] == f"{mount}/{key}", (variable, settings[variable])
    return certificate["spec"]


def check_certificates(documents):
    client = check_certificate_is_mounted(documents, "skupper-collector-client", KEYS, "/etc/messaging")
    assert client["client"] is True, client
    router = environment(documents)["VANFLOW_ROUTER"]
    assert router == f"amqps://{client['hosts'][0]}:5671", router
    server = check_certificate_is_mounted(documents, "skupper-collector-tls", API_KEYS, "/etc/certificates")
    assert server["server"] is True, server
    assert documents["Service"]["metadata"]["name"] in server["hosts"], server


def check_credentials_and_volume(documents):
    """Who may look is read from the secret that the job makes; what is written goes to the volume."""
    mounted = volumes(documents)
    job = documents["Job"]["spec"]["template"]["spec"]
    (setup,) = job["containers"]
    command, form, secret = setup["args"]
    assert (command, form) == ("ensure-secret", "--format=htpasswd"), setup
    assert mounted["/etc/httpusers"]["secret"]["secretName"] == secret
    settings = environment(documents)
    assert settings["VANFLOW_AUTH"] == "htpasswd=/etc/httpusers/htpasswd"
    assert setup["image"] == container(documents)["image"]
    account = documents["ServiceAccount"]["metadata"]["name"]
    assert job["serviceAccountName"] == documents["RoleBinding"]["subjects"][0]["name"] == account
    assert documents["RoleBinding"]["roleRef"]["name"] == documents["Role"]["metadata"]["name"]
    claim = documents["PersistentVolumeClaim"]["metadata"]["name"]
    (kept,) = [path for path, volume in mounted.items() if volume.get("persistentVolumeClaim", {}).get("claimName") == claim]
    for variable in ["VANFLOW_STATE", "VANFLOW_HISTORY_DIR"]:
        assert settings[variable].startswith(kept + "/"), variable
    assert container(documents)["securityContext"]["readOnlyRootFilesystem"] is True


def check_ports(documents):
    """Probes, the Service and what is listened on name the same ports."""
    ports = {port["name"]: port["containerPort"] for port in container(documents)["ports"]}
    settings = environment(documents)
    assert settings["VANFLOW_LISTEN"].endswith(f":{ports['api']}")
    assert settings["VANFLOW_METRICS_LISTEN"].endswith(f":{ports['metrics']}")
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"]:
        assert container(documents)[probe]["httpGet"]["port"] in ports, probe
    for port in documents["Service"]["spec"]["ports"]:
        assert ports[port["targetPort"]] == port["port"], port
    labels = documents["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert documents["Service"]["spec"]["selector"].items() <= labels.items()
    job = documents["Job"]["spec"]["template"]["metadata"]["labels"]
    assert not documents["Service"]["spec"]["selector"].items() <= job.items(), "the Service selects the job"
    policy = documents["NetworkPolicy"]["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} == set(ports)


def without_router(documents):
    """What does not depend on how the router is reached, and on who issues certificates."""
    rest = copy.deepcopy(
        {kind: document for kind, document in documents.items() if document["kind"] != "Certificate"}
    )
    pod, only = rest["Deployment"]["spec"]["template"]["spec"], container(rest)
    pod["volumes"] = [volume for volume in pod["volumes"] if volume["name"] not in ("messaging", "certificates")]
    only["volumeMounts"] = [mount for mount in only["volumeMounts"] if mount["name"] != "certificates"]
    reach = {"VANFLOW_ROUTER", "VANFLOW_CONNECT_JSON", *KEYS, *API_KEYS}
    only["env"] = [variable for variable in only["env"] if variable["name"] not in reach]
    return rest


two, one = documents(SKUPPER_2), documents(SKUPPER_1)
check_schema_refuses(two["skupper-collector-client"])
check_certificates(two)
assert not any(document["kind"] == "Certificate" for document in one.values())
assert environment(one)["VANFLOW_CONNECT_JSON"] == "/etc/messaging/connect.json"
for manifest in [two, one]:
    check_ports(manifest)
    check_credentials_and_volume(manifest)
assert without_router(two) == without_router(one), "the two manifests differ in more than how the router is reached"

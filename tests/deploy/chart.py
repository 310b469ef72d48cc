"""The Helm chart and the Argo CD application: rendered by Helm, held against Kubernetes' schemas, and read by the program."""

import json
import pathlib
import tomllib

import helm_python
import image
import jsonschema
import kubernetes_validate
import yaml

from sources import DEPLOY, SECRET, TOP, accepts, check_image, check_variables, settings, stop_seconds, version

CHART = DEPLOY / "helm/carillon"
# The first release of Kubernetes that the chart says it is for, and one of now.
RELEASES = ["1.27.0", "1.37.0"]
# Of other makers: their schemas are not among those of Kubernetes.
OTHERS = {"ServiceMonitor"}
# What the chart sets by itself, in variables, and what a ConfigMap must not hold.
OWN = {"server.host", "server.port", "server.public_url", "server.shutdown_delay_ms", "store.backend", "store.data_path"}
OWN |= {"store.database_url", "store.database_url_file", "auth.api_key_file", "auth.secrets_key_file"}
KEPT_OUT = {"auth.api_key", "auth.secrets_key", "events.signing_secret", "events.push_token"}
KEY = "b7Qk2mXw9ZtR4vLs8PnDqwertz"
URL = "postgresql://carillon:a-password@postgres:5432/carillon"

NODES = {
    "store": "postgres",
    "publicUrl": "https://scim.example.com",
    "auth": {"existingSecret": "auth", "key": "token"},
    "database": {"existingSecret": "database"},
}
EVERYTHING = NODES | {
    "replicas": 3,
    "publicUrl": "",
    "image": {"repository": "example/carillon", "tag": "0.1.0-rc.1"},
    "imagePullSecrets": [{"name": "images"}],
    "secretsKey": {"existingSecret": "seal"},
    "settings": {
        "auth": {"keys": [{"name": "entra", "key_file": "/run/secrets/entra/key", "scopes": ["scim:read", "scim:write"]}]},
        "events": {
            "mode": "full",
            "retention_events": 5000000,
            "streams": [{"name": "hr", "push": "https://hr.example.com/events", "audience": ["https://hr.example.com"], "lanes": 8}],
        },
        "groups": {"unique_names": False},
        "limits": {"page_size": 50, "body_bytes": 33554432},
        "server": {"base_path": "/scim/v2"},
        "store": {"indexed_attributes": ["User:name.familyName"]},
    },
    "shutdownDelayMs": 12500,
    "ingress": {"enabled": True, "className": "nginx", "host": "scim.example.com", "tlsSecret": "tls", "annotations": {"a": "b"}},
    "autoscaling": {"enabled": True},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {
        "enabled": True,
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
        "to": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": [{"port": 5432, "protocol": "TCP"}]}],
    },
    "serviceAccount": {"annotations": {"a": "b"}},
    "podAnnotations": {"a": "b"},
    "podLabels": {"team": "identity"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "priorityClassName": "high",
    "extraEnv": [{"name": "PGSSLROOTCERT", "value": "/etc/ssl/database.pem"}],
    "extraVolumes": [{"name": "entra", "secret": {"secretName": "entra"}}],
    "extraVolumeMounts": [{"name": "entra", "mountPath": "/run/secrets/entra", "readOnly": True}],
}
# What the chart is for, by name.
CASES = {
    "as it comes": {},
    "one node with a key": {"publicUrl": "http://localhost:8000", "auth": {"apiKey": KEY}, "persistence": {"storageClassName": "fast"}},
    "nodes": NODES,
    "nodes with secrets of the chart": NODES | {"auth": {"apiKey": KEY}, "database": {"url": URL}},
    "everything": EVERYTHING,
}
# What is refused, and a word of why.
REFUSED = [
    ({"store": "mysql"}, "store"),
    ({"surprise": 1}, "surprise"),
    ({"replicas": 0}, "replicas"),
    ({"settings": {"limits": {"page_sizes": 1}}}, "page_sizes"),
    ({"settings": {"auth": {"api_key": KEY}}}, "api_key"),
    ({"settings": {"auth": {"keys": [{"name": "a", "key": KEY}]}}}, "keys"),
    ({"settings": {"events": {"streams": [{"name": "a", "authorization": "Bearer a"}]}}}, "streams"),
    ({"publicUrl": "scim.example.com"}, "publicUrl"),
    ({"auth": {"apiKey": "short"}}, "apiKey"),
    ({"database": {"url": "mysql://a/b"}}, "url"),
    (NODES | {"auth": {}}, "auth.existingSecret"),
    (NODES | {"database": {}}, "database.existingSecret"),
    (NODES | {"publicUrl": ""}, "publicUrl"),
    ({"autoscaling": {"enabled": True}}, "autoscaling"),
    ({"serviceMonitor": {"enabled": True}}, "serviceMonitor"),
]


def rendered(values, name="demo"):
    """Every object by its kind. The notes are under "notes"."""
    objects = {}
    with helm_python.Chart.load(CHART) as chart:
        chart.validate_schema(values)
        for path, text in chart.render(values, name=name, namespace="identity").items():
            if path.endswith("NOTES.txt"):
                objects["notes"] = text
                continue
            for document in yaml.safe_load_all(text):
                if document:
                    assert document["kind"] not in objects, path
                    objects[document["kind"]] = document
    return objects


def cases():
    return [(name, rendered(values)) for name, values in CASES.items()]


def workload(objects):
    return objects.get("Deployment") or objects["StatefulSet"]


def pod(objects):
    return workload(objects)["spec"]["template"]["spec"]


def container(objects):
    return pod(objects)["containers"][0]


def environment(objects):
    return {item["name"]: item["value"] for item in container(objects)["env"]}


def test_helm_finds_nothing():
    for name, values in CASES.items():
        report = helm_python.lint(CHART, values, strict=True)
        severe = [message for message in report["messages"] if message["severity"] > 1]
        assert not report["errors"] and not severe, (name, report)


def test_the_values_obey_their_schema():
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    validator.validate(defaults)
    for values in CASES.values():
        validator.validate(values)
    assert set(schema["properties"]) == set(defaults) | {"global"}
    for name, below in schema["properties"].items():
        if "properties" in below and name != "settings":
            assert set(below["properties"]) == set(defaults[name]), name


def test_what_cannot_work_is_refused():
    for values, word in REFUSED:
        try:
            rendered(values)
        except helm_python.HelmError as error:
            assert word in str(error), (values, str(error))
        else:
            raise AssertionError(f"taken: {values}")


def test_kubernetes_takes_every_object():
    for name, objects in cases():
        for kind, document in objects.items():
            if kind == "notes" or kind in OTHERS:
                continue
            for release in RELEASES:
                kubernetes_validate.validate(document, release, strict=True)
            assert document["metadata"]["name"] == "demo-carillon", (name, kind)
            assert document["metadata"]["labels"]["app.kubernetes.io/instance"] == "demo"


def test_each_store_has_its_workload():
    one, nodes = rendered(CASES["as it comes"]), rendered(NODES)
    assert set(one) == {"notes", "ConfigMap", "Service", "ServiceAccount", "StatefulSet"}
    assert set(nodes) == {"notes", "ConfigMap", "Service", "ServiceAccount", "Deployment", "PodDisruptionBudget"}
    assert one["StatefulSet"]["spec"]["replicas"] == 1 and nodes["Deployment"]["spec"]["replicas"] == 2
    assert nodes["Deployment"]["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert {spread["topologyKey"] for spread in pod(nodes)["topologySpreadConstraints"]} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    everything = rendered(EVERYTHING)
    assert set(everything) == set(nodes) | {"Ingress", "HorizontalPodAutoscaler", "ServiceMonitor", "NetworkPolicy"}
    assert "replicas" not in everything["Deployment"]["spec"]
    assert everything["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == everything["Deployment"]["metadata"]["name"]


def test_the_settings_of_the_schema_are_those_of_the_program():
    sections = json.loads((CHART / "values.schema.json").read_text())["properties"]["settings"]["properties"]
    keys = {f"{section}.{name}" for section, below in sections.items() for name in below["properties"]}
    program = set(settings().values())
    assert OWN <= program and KEPT_OUT <= program
    assert keys == (program - OWN - KEPT_OUT) | {"auth.keys", "events.streams"}, keys ^ (program - OWN - KEPT_OUT)


def test_the_program_reads_what_is_rendered():
    for name, objects in cases():
        variables = environment(objects)
        given = {item["name"] for item in CASES[name].get("extraEnv", [])}
        check_variables(set(variables) - given)
        assert not SECRET & set(variables), variables
        assert ("DATABASE_URL_FILE" in variables) == (variables["STORE"] == "postgres")
        toml = objects["ConfigMap"]["data"]["carillon.toml"]
        tomllib.loads(toml)
        places = {item["mountPath"]: item["name"] for item in container(objects)["volumeMounts"]}
        content = {"DATABASE_URL_FILE": URL + "\n"}
        files = {path: content.get(variable, KEY) for variable, path in variables.items() if variable.endswith("_FILE")}
        files |= {f"{place}/key": KEY + "2" for place in places if place.startswith("/run/secrets/entra")}
        assert all(str(pathlib.PurePath(path).parent) in places for path in files), files
        report = accepts(variables, toml, files)
        assert KEY not in report and "a-password" not in report
        assert container(objects)["args"] == ["--config", "/etc/carillon/carillon.toml"] and places["/etc/carillon"] == "config"


def test_texts_survive_the_way_into_the_file():
    odd = 'a "quoted" \\ <b> & é \u2028 ${X} {{ .Values }}\n#'
    toml = rendered({"settings": {"auth": {"user_name": odd}, "server": {"trusted_proxies": ["10.0.0.0/8"], "reverse_proxy": True}}})
    read = tomllib.loads(toml["ConfigMap"]["data"]["carillon.toml"])
    assert read["auth"] == {"user_name": odd} and read["log"] == {"format": "json"}, read
    assert read["server"] == {"trusted_proxies": ["10.0.0.0/8"], "reverse_proxy": True}


def test_ports_and_paths_agree():
    expected = image.variables(image.steps()[-1])
    for _, objects in cases():
        assert environment(objects)["PORT"] == expected["PORT"] and environment(objects)["DATA_PATH"] == expected["DATA_PATH"]
        assert container(objects)["ports"] == [{"name": "http", "containerPort": int(expected["PORT"])}]
        assert objects["Service"]["spec"]["ports"][0]["targetPort"] == "http"
        router = "".join((TOP / f"src/http/{name}.rs").read_text() for name in ("router", "table"))
        for probe, path in {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"}.items():
            assert container(objects)[probe]["httpGet"] == {"path": path, "port": "http"} and f'"{path}"' in router, path
        user = image.of(image.steps()[-1], "USER")[0]
        assert user == "{runAsUser}:{runAsGroup}".format(**pod(objects)["securityContext"])


def test_pods_are_hardened():
    for _, objects in cases():
        context = pod(objects)["securityContext"]
        assert context["runAsNonRoot"] is True and context["seccompProfile"] == {"type": "RuntimeDefault"}
        hardened = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert container(objects)["securityContext"] == hardened
        assert pod(objects)["automountServiceAccountToken"] is False and pod(objects)["enableServiceLinks"] is False
        check_image(container(objects)["image"])
        assert "lifecycle" not in container(objects)


def test_selectors_find_the_pods():
    for _, objects in cases():
        labels = workload(objects)["spec"]["template"]["metadata"]["labels"].items()
        selectors = [workload(objects)["spec"]["selector"]["matchLabels"], objects["Service"]["spec"]["selector"]]
        for kind, member in {"PodDisruptionBudget": "selector", "NetworkPolicy": "podSelector"}.items():
            selectors += [objects[kind]["spec"][member]["matchLabels"]] if kind in objects else []
        assert all(selector.items() <= labels for selector in selectors), selectors
        if "ServiceMonitor" in objects:
            assert objects["ServiceMonitor"]["spec"]["selector"]["matchLabels"].items() <= objects["Service"]["metadata"]["labels"].items()


def test_what_is_mounted_is_there():
    for name, objects in cases():
        claims = {claim["metadata"]["name"] for claim in workload(objects)["spec"].get("volumeClaimTemplates", [])}
        volumes = {volume["name"]: volume for volume in pod(objects)["volumes"]}
        mounted = {mount["name"] for mount in container(objects)["volumeMounts"]}
        assert mounted == set(volumes) | claims and not set(volumes) & claims, name
        assert volumes["config"]["configMap"]["name"] == objects["ConfigMap"]["metadata"]["name"]
        own = objects.get("Secret", {"metadata": {"name": None}, "data": {}})
        asked = [(one["secret"]["name"], one["secret"]["items"][0]["key"]) for one in volumes.get("secrets", {"projected": {"sources": []}})["projected"]["sources"]]
        kept = {("auth", "token"), ("database", "database-url"), ("seal", "secrets-key")}
        assert all(pair in kept or (pair[0] == own["metadata"]["name"] and pair[1] in own["data"]) for pair in asked), (name, asked)
        if own["data"]:
            assert {key for _, key in asked} == set(own["data"]), name


def test_a_stop_has_the_time_that_it_may_take():
    for name, objects in cases():
        delay = int(environment(objects)["SHUTDOWN_DELAY_MS"])
        grace = pod(objects)["terminationGracePeriodSeconds"]
        assert grace > stop_seconds(delay), (name, grace)
        # By then two looks at /ready have failed. One node alone does not wait.
        assert delay == 0 if "StatefulSet" in objects else delay > 2000 * container(objects)["readinessProbe"]["periodSeconds"]


def test_versions_are_those_of_the_program():
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert about["version"] == about["appVersion"] == version()
    assert container(rendered({}))["image"] == f"carillon:{version()}"


def test_the_notes_say_where_it_is():
    assert "logs statefulset/demo-carillon" in rendered({})["notes"]
    assert "https://scim.example.com" in rendered(EVERYTHING)["notes"]
    assert "publicUrl is not set" in rendered({})["notes"] and "publicUrl is not set" not in rendered(NODES)["notes"]


def test_a_long_name_is_cut():
    objects = rendered(NODES, name="a" * 53)
    names = {document["metadata"]["name"] for kind, document in objects.items() if kind != "notes"}
    assert names == {"a" * 50}, names


def test_argo_cd_installs_the_chart():
    application = yaml.safe_load((DEPLOY / "argocd/application.yaml").read_text())
    assert (application["apiVersion"], application["kind"]) == ("argoproj.io/v1alpha1", "Application")
    spec = application["spec"]
    assert (TOP / spec["source"]["path"] / "Chart.yaml").is_file() and TOP / spec["source"]["path"] == CHART
    objects = rendered(spec["source"]["helm"]["valuesObject"], name=spec["source"]["helm"]["releaseName"])
    assert "Secret" not in objects, "a secret would stand in the application"
    assert workload(objects)["metadata"]["name"] == "carillon"
    assert {"project", "source", "destination", "syncPolicy"} == set(spec)

"""The compose file, as Docker Compose resolves it, and the proxy's file."""

import json
import pathlib
import re
import shutil
import tempfile

import image
from sources import DEPLOY, SECRET, TOP, accepts, check_image, check_variables, command, stop_seconds, tool, version

SECRETS = {
    "api-key": "b7Qk2mXw9ZtR4vLs8PnDqwertz",
    "database-password": "a-password",
    "database-url": "postgresql://carillon:a-password@postgres:5432/carillon\n",
}


def resolved(profile):
    """The services of a profile. A warning is a failure."""
    with tempfile.TemporaryDirectory() as folder:
        deploy = pathlib.Path(folder) / "deploy"
        shutil.copytree(DEPLOY, deploy, ignore=shutil.ignore_patterns("secrets"))
        (deploy / "secrets").mkdir()
        for name, content in SECRETS.items():
            (deploy / "secrets" / name).write_text(content)
        done = command(tool("docker-compose"), "--profile", profile, "config", "--format", "json", cwd=deploy)
        assert done.returncode == 0 and not done.stderr, done.stderr
        return json.loads(done.stdout)


def services(profile):
    return resolved(profile)["services"]


def gateways():
    return {"sqlite": services("sqlite")["carillon"], "postgres": services("postgres")["node"]}


def seconds(duration):
    units = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([0-9.]+)(h|ms|m|s)", duration))


def test_each_profile_has_its_services():
    assert set(services("sqlite")) == {"carillon"}
    assert set(services("postgres")) == {"node", "postgres", "proxy"}
    assert gateways()["postgres"]["deploy"]["replicas"] == 2


def test_every_service_is_hardened():
    for profile in ("sqlite", "postgres"):
        for name, service in services(profile).items():
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"] and "cap_add" not in service, name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert service["pids_limit"] > 0 and not service.get("privileged"), name
            check_image(service["image"])
            assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports", [])), name


def test_the_database_is_reached_by_the_nodes_alone():
    whole = resolved("postgres")
    inner = [name for name, network in whole["networks"].items() if network.get("internal")]
    within = {name for name, service in whole["services"].items() if set(inner) & set(service["networks"])}
    assert within == {"node", "postgres"}, within
    assert list(whole["services"]["postgres"]["networks"]) == inner
    assert "ports" not in whole["services"]["postgres"]


def test_the_gateways_read_their_settings():
    for profile, service in gateways().items():
        environment = service["environment"]
        check_variables(environment)
        assert environment["STORE"] == profile
        files = {f"/run/secrets/{secret['source']}": SECRETS[secret["source"]] for secret in service["secrets"]}
        named = {path for variable, path in environment.items() if variable.endswith("_FILE")}
        assert named == set(files) and environment["API_KEY_FILE"] in named, environment
        assert ("DATABASE_URL_FILE" in environment) == (profile == "postgres")
        report = accepts(environment, files=files)
        assert all(secret.strip() not in report for secret in SECRETS.values()), "a secret is shown"


def test_no_secret_stands_in_the_file():
    for service in gateways().values():
        assert not SECRET & set(service["environment"]), service["environment"]
        assert "env_file" not in service
    ignored = (TOP / ".gitignore").read_text().splitlines()
    assert "/deploy/secrets" in ignored


def test_ports_and_folders_agree_with_the_image():
    environment = image.variables(image.steps()[-1])
    for service in gateways().values():
        assert service["environment"]["PORT"] == environment["PORT"]
        assert service["environment"]["DATA_PATH"] == environment["DATA_PATH"]
        assert service["image"] == f"carillon:{version()}"
        assert service["build"]["dockerfile"] == "deploy/Dockerfile"
    single = gateways()["sqlite"]
    assert [port["target"] for port in single["ports"]] == [int(environment["PORT"])]
    assert [volume["target"] for volume in single["volumes"]] == ["/data"]
    user = image.of(image.steps()[-1], "USER")[0].split(":")[0]
    assert any(mount.startswith("/data:") and f"uid={user}" in mount for mount in gateways()["postgres"]["tmpfs"])


def test_each_waits_for_what_it_needs():
    of = services("postgres")
    assert of["node"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert of["proxy"]["depends_on"]["node"]["condition"] == "service_healthy"
    check = image.of(image.steps()[-1], "HEALTHCHECK")[0]
    for service in gateways().values():
        assert service["healthcheck"]["test"] == ["CMD", *json.loads(check.split("CMD", 1)[1])]
    assert of["postgres"]["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]


def test_a_stop_has_the_time_that_it_may_take():
    for service in gateways().values():
        delay = int(service["environment"].get("SHUTDOWN_DELAY_MS", 0))
        assert seconds(service["stop_grace_period"]) > stop_seconds(delay), service["stop_grace_period"]
        assert service["stop_signal"] == "SIGTERM"


def test_the_proxy_reads_its_file_and_asks_for_readiness():
    mounts = services("postgres")["proxy"]["volumes"]
    assert [(pathlib.Path(mount["source"]).name, mount["read_only"]) for mount in mounts] == [("haproxy.cfg", True)]
    done = command("haproxy", "-c", "-f", str(DEPLOY / "haproxy.cfg"))
    assert done.returncode == 0, done.stdout + done.stderr
    text = (DEPLOY / "haproxy.cfg").read_text()
    port = gateways()["postgres"]["environment"]["PORT"]
    target = services("postgres")["proxy"]["ports"][0]["target"]
    assert "option httpchk GET /ready" in text and f" node:{port} " in text and f"bind :{target}\n" in text
    # The nodes say that they stop before the proxy's next look at them.
    looks = int(re.search(r"check inter (\d+)s", text).group(1))
    assert int(gateways()["postgres"]["environment"]["SHUTDOWN_DELAY_MS"]) > 2 * looks * 1000

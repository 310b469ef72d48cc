"""What the checks share: the folders, the settings and limits as the sources have them, and the program."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = TOP / "deploy"
PROGRAM_SECONDS = 60
# Where images are named: in the compose file, in the chart, in the Dockerfile.
IMAGE = re.compile(r"^[ \t]*(?:image:|repository:|FROM|# syntax=)[ \t]*(?:--\S+[ \t]+)*[\"']?([^\s\"']+)", re.MULTILINE)
# Settings whose value is a secret, or may hold one.
SECRET = {"API_KEY", "DATABASE_URL", "SECRETS_KEY", "SET_SIGNING_SECRET", "SET_PUSH_TOKEN"}

_program = None


def use(program):
    global _program
    _program = str(pathlib.Path(program).resolve())


def program():
    return _program


def tool(name):
    """A program of the same environment of Python, or of the system."""
    beside = pathlib.Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


def command(*arguments, **more):
    environment = {"PATH": os.environ["PATH"] + ":/usr/sbin", "HOME": tempfile.gettempdir(), "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    environment |= more.pop("environment", {})
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=PROGRAM_SECONDS, **more)


def settings():
    """Every setting: its variable, and its key in the file."""
    table = (TOP / "src/config/table.rs").read_text()
    table = table.split("SETTINGS: &[(&str, &str)] = &[", 1)[1].split("\n];", 1)[0]
    return dict(re.findall(r'\("([A-Z_]+)", "([a-z_]+\.[a-z_]+)"\)', table))


def limit_ms(name):
    found = re.search(rf"pub const {name}: u64 = ([0-9_]+);", (TOP / "src/base/limits.rs").read_text())
    return int(found.group(1).replace("_", ""))


def stop_seconds(delay_ms):
    """How long a stop may take: the delay, requests in flight, deliveries under way, what was delivered."""
    return (delay_ms + sum(limit_ms(name) for name in ("SHUTDOWN_MS", "DELIVERY_STOP_MS", "PERSIST_STOP_MS"))) / 1000


def version():
    return tomllib.loads((TOP / "Cargo.toml").read_text())["package"]["version"]


def check_image(name):
    """An image of a fixed release from where images come from by default."""
    assert re.fullmatch(r"[a-z0-9_/-]+:[a-zA-Z0-9][a-zA-Z0-9._-]*", name), f"{name}: expected name:tag without a host"
    assert "latest" not in name.split(":")[1], name


def check_variables(names):
    unknown = set(names) - set(settings())
    assert not unknown, f"no settings: {sorted(unknown)}"


def accepts(environment, toml="", files=None):
    """Has the program read these settings. `files` are paths in the container, and what each holds; the rest is as it is deployed."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "data").mkdir()

        def here(text):
            for path, content in (files or {}).items():
                local = root / path.strip("/").replace("/", "_")
                local.write_text(content)
                local.chmod(0o600)
                text = text.replace(path, str(local))
            return text

        (root / "carillon.toml").write_text(here(toml))
        environment = {name: here(value) for name, value in environment.items()}
        done = command(program(), "check", environment=environment, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def test_yaml_is_well_formed():
    files = [path for path in DEPLOY.rglob("*.yaml") if "templates" not in path.parts and "secrets" not in path.parts]
    assert len(files) >= 4, files
    for path in files:
        assert all(document is not None for document in yaml.safe_load_all(path.read_text())), path


def test_no_host_of_images_is_named():
    images = []
    for path in DEPLOY.rglob("*"):
        if path.is_file() and "secrets" not in path.parts:
            images += IMAGE.findall(path.read_text())
    assert len(images) >= 5, images
    for image in images:
        # What is a host has a dot or a port, or is this machine.
        first, slash, _ = image.partition("/")
        assert not slash or not re.search(r"[.:]|^localhost$", first), image


def test_the_readme_has_every_variable_that_is_used():
    readme = (TOP / "README.md").read_text()
    used = set()
    for path in DEPLOY.rglob("*"):
        if path.is_file() and "secrets" not in path.parts:
            used |= set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)*\b", path.read_text())) & set(settings())
    assert {"HOST", "PORT", "DATA_PATH", "API_KEY_FILE", "DATABASE_URL_FILE", "SHUTDOWN_DELAY_MS"} <= used
    missing = [name for name in sorted(used) if f"`{name}`" not in readme]
    assert not missing, missing

"""The systemd unit: that systemd takes it, that it is hardened, and that the program does nothing which it forbids."""

import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

from sources import DEPLOY, SECRET, accepts, check_variables, command, program, stop_seconds

FILE = DEPLOY / "carillon.service"
# Ten times what `systemd-analyze security` calls the exposure: 0 is none.
MOST_EXPOSURE = 15
PATIENCE_SECONDS = 60
# Whose the traced program is where this runs as root: what root does is not what a service does.
USER = 65532
ON = ["NoNewPrivileges", "DynamicUser", "ProtectHome", "PrivateDevices", "PrivateTmp", "PrivateUsers", "MemoryDenyWriteExecute"]
ON += ["ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups", "ProtectClock", "ProtectHostname"]
ON += ["RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality"]
_trace = _folder = None


def keys(text=None):
    """What each key says, in order."""
    found = {}
    for line in (text or FILE.read_text()).splitlines():
        if "=" in line and not line.startswith("#"):
            key, said = line.split("=", 1)
            found.setdefault(key, []).append(said)
    return found


def with_database():
    """The unit with the lines for a database, which are comments in it."""
    return re.sub(r"^#(?=[A-Z]\w+=)", "", FILE.read_text(), flags=re.MULTILINE)


def environment(text=None):
    places = {"%S": "/var/lib", "%d": "/run/credentials/carillon.service"}
    text = " ".join(keys(text)["Environment"])
    for short, whole in places.items():
        text = text.replace(short, whole)
    return dict(pair.split("=", 1) for pair in text.split())


def test_systemd_takes_it():
    for text in (FILE.read_text(), with_database()):
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / FILE.name
            # The program need not be installed for that.
            copy.write_text(text.replace("/usr/local/bin/carillon", program()))
            done = command("systemd-analyze", "verify", "--man=no", str(copy))
            assert done.returncode == 0 and not done.stdout + done.stderr, done.stdout + done.stderr


def test_it_is_hardened():
    said = keys()
    for key in ON:
        assert said.get(key) == ["yes"], key
    assert said["ProtectSystem"] == ["strict"] and said["CapabilityBoundingSet"] == [""] and said["UMask"] == ["0077"]
    done = command("systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", "--no-pager", str(FILE))
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_settings_are_read():
    variables = environment()
    check_variables(variables)
    assert not SECRET & set(variables)
    credential, origin = keys()["LoadCredential"][0].split(":")
    assert variables["API_KEY_FILE"] == f"/run/credentials/carillon.service/{credential}" and origin.startswith("/etc/carillon/")
    assert variables["DATA_PATH"] == f"/var/lib/{keys()['StateDirectory'][0]}"
    report = accepts(variables, files={variables["API_KEY_FILE"]: "b7Qk2mXw9ZtR4vLs8PnDqwertz"})
    assert report.endswith("No warnings\n") or "PUBLIC_URL is not set" in report, report


def test_a_database_is_handed_over_as_a_credential():
    text = with_database()
    variables = environment(text)
    assert variables == environment() | {"DATABASE_URL_FILE": "/run/credentials/carillon.service/database-url"}
    assert keys(text)["LoadCredential"] == keys()["LoadCredential"] + ["database-url:/etc/carillon/database-url"]
    url = "postgresql://carillon:a-password@host/carillon?sslmode=verify-full"
    report = accepts(variables, files={variables["API_KEY_FILE"]: "b7Qk2mXw9ZtR4vLs8PnDqwertz", variables["DATABASE_URL_FILE"]: url})
    assert re.search(r"STORE +store\.backend +postgres ", report) and "a-password" not in report, report


def test_a_stop_has_the_time_that_it_may_take():
    assert float(keys()["TimeoutStopSec"][0].removesuffix("s")) > stop_seconds(int(environment().get("SHUTDOWN_DELAY_MS", 0)))
    assert keys()["KillSignal"] == ["SIGTERM"]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def request(url, key, body=None):
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/scim+json"}
    sent = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sent, timeout=PATIENCE_SECONDS) as answer:
        return answer.status, answer.read()


def is_ready(variables):
    return command(program(), "ready", environment=variables).returncode == 0


def serve_and_stop(folder, tracer):
    """Runs the program under a tracer, not as root: a start, writes, reads, a push that reaches nobody, a stop."""
    served = shutil.copy(program(), folder / "carillon")
    key = secrets.token_hex(24)
    port = free_port()
    (folder / "key").write_text(key)
    (folder / "key").chmod(0o600)
    variables = {"HOST": "0.0.0.0", "PORT": port, "BASE_PATH": "/scim/v2", "DATA_PATH": str(folder / "data"), "LOG_FORMAT": "json"}
    variables |= {"API_KEY_FILE": str(folder / "key"), "SET_PUSH_URL": f"http://localhost:{free_port()}/", "SET_ISSUER": "https://a.example"}
    assert not is_ready(variables)
    user = {}
    if os.geteuid() == 0:
        user = {"user": USER, "group": USER, "extra_groups": []}
        for path in (folder, *folder.iterdir()):
            os.chown(path, USER, USER)
    with open(folder / "log", "w") as log:
        outputs = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        server = subprocess.Popen([*tracer, served], env=variables | {"PATH": os.environ["PATH"]}, cwd=folder, **outputs, **user)
        try:
            until = time.monotonic() + PATIENCE_SECONDS
            while not is_ready(variables):
                assert server.poll() is None and time.monotonic() < until, (folder / "log").read_text()
            base = f"http://127.0.0.1:{port}/scim/v2"
            schema = "urn:ietf:params:scim:schemas:core:2.0:User"
            for number in range(3):
                user = {"schemas": [schema], "userName": f"user{number}", "password": "a long enough password"}
                assert request(f"{base}/Users", key, user)[0] == 201
            assert request(f"{base}/Users?filter=userName+sw+%22user%22", key)[0] == 200
            assert request(f"{base}/Events/Feeds/default/Stream?format=jwt", key)[0] == 200
            assert request(f"http://127.0.0.1:{port}/metrics", key)[0] == 200
        finally:
            # The tracer hands on no signal: the program is its child.
            children = pathlib.Path(f"/proc/{server.pid}/task/{server.pid}/children")
            for child in children.read_text().split() if server.poll() is None else []:
                subprocess.run(["kill", f"-{signal.SIGTERM.value}", child], check=True)
            status = server.wait(PATIENCE_SECONDS)
    assert status == 0, (folder / "log").read_text()
    assert not is_ready(variables)


def trace():
    """The system calls of a run, a line each; what the program did before it was one, as the tracer's child, is not among them."""
    global _trace, _folder
    if _trace is None:
        folder = _folder = pathlib.Path(tempfile.mkdtemp(prefix="carillon-unit-"))
        try:
            serve_and_stop(folder, ["strace", "-f", "-qq", "-e", "signal=none", "-o", str(folder / "calls")])
            lines = (folder / "calls").read_text().splitlines()
            _trace = [line.split(maxsplit=1)[1] for line in lines if "resumed>" not in line]
        finally:
            shutil.rmtree(folder)
    return _trace


def calls_of(group):
    """The system calls of a group of systemd's, and of the groups in it."""
    done = command("systemd-analyze", "syscall-filter", "--no-pager", group)
    assert done.returncode == 0, done.stderr
    calls = set()
    for line in done.stdout.splitlines()[1:]:
        name = line.strip()
        if name.startswith("@"):
            calls |= calls_of(name)
        elif name and not name.startswith("#"):
            calls.add(name)
    return calls


def test_it_lets_the_program_do_what_it_does():
    allowed = set()
    for said in keys()["SystemCallFilter"]:
        of = set().union(*(calls_of(group) for group in said.lstrip("~").split()))
        allowed = allowed - of if said.startswith("~") else allowed | of
    used = {re.match(r"(\w+)\(", line).group(1) for line in trace() if re.match(r"\w+\(", line)}
    assert {"accept4", "openat", "fdatasync"} & used and "execve" in used, used
    assert used <= allowed, used - allowed


def test_no_memory_is_both_written_and_run():
    # What MemoryDenyWriteExecute refuses; the loader maps code from files that are not written.
    refused = [line for line in trace() if line.startswith("mprotect(") and "PROT_EXEC" in line]
    refused += [line for line in trace() if line.startswith("mmap(") and "PROT_EXEC" in line and "PROT_WRITE" in line]
    assert not refused, refused


def test_only_allowed_families_of_addresses_are_used():
    families = {match.group(1) for line in trace() if (match := re.match(r"socket\((AF_\w+)", line))}
    # The resolver asks the kernel which addresses there are, and does without an answer.
    assert families <= set(keys()["RestrictAddressFamilies"][0].split()) | {"AF_NETLINK"}, families


def test_it_writes_in_its_folder_alone():
    # So its root file system can be read-only, there and in a container.
    opened = [match.groups() for line in trace() if (match := re.match(r'open(?:at)?\((?:AT_FDCWD, )?"([^"]*)", ([A-Z_|]+)', line))]
    written = {path for path, how in opened if {"O_WRONLY", "O_RDWR", "O_CREAT"} & set(how.split("|"))}
    assert any(path.endswith("/carillon.db") for path in written), written
    elsewhere = {path for path in written if not path.startswith(f"{_folder}/data/") and not path.startswith("/dev/")}
    assert not elsewhere, elsewhere

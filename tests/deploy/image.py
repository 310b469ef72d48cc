"""The Dockerfile: its steps, what it is made of, and that what it copies is enough to build."""

import json
import pathlib
import re
import shutil
import tempfile

from sources import DEPLOY, SECRET, TOP, accepts, check_image, check_variables, command, program, tool, version

FILE = DEPLOY / "Dockerfile"
# The libraries of a slim Debian that the program may be linked to.
LIBRARIES = {"linux-vdso.so.1", "libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


def steps():
    """Stages, each a list of (instruction, what it says)."""
    text = re.sub(r"^\s*#.*\n", "", FILE.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    stages = [[]]
    for instruction, said in (line.split(maxsplit=1) for line in lines if line.strip()):
        if instruction == "FROM":
            stages.append([])
        stages[-1].append((instruction, said))
    return stages


def defaults():
    return dict(said.split("=", 1) for instruction, said in steps()[0] if instruction == "ARG")


def of(stage, instruction):
    return [said for name, said in stage if name == instruction]


def variables(stage):
    return dict(pair.split("=", 1) for said in of(stage, "ENV") for pair in said.split())


def let_through():
    return [line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")]


def test_hadolint_finds_nothing():
    done = command(tool("hadolint"), "--failure-threshold", "style", str(FILE))
    assert done.returncode == 0 and not done.stdout, done.stdout + done.stderr


def test_the_images_are_of_fixed_releases_of_one_debian():
    names = []
    for stage in steps()[1:]:
        name = of(stage, "FROM")[0].split()[0]
        for argument, value in defaults().items():
            name = name.replace("${" + argument + "}", value)
        check_image(name)
        names.append(name)
    assert len(names) == 2, names
    assert defaults()["DEBIAN"] in names[0] and defaults()["DEBIAN"] in names[1], names
    rust = re.search(r'^rust-version = "(.+)"', (TOP / "Cargo.toml").read_text(), re.MULTILINE).group(1)
    assert defaults()["RUST"] == rust, (defaults()["RUST"], rust)


def test_nobody_is_root_and_one_folder_is_written():
    last = steps()[-1]
    assert of(last, "USER") == ["65532:65532"]
    assert of(last, "VOLUME") == ["/data"]
    assert "--from=build --chown=65532:65532 /data /data" in of(last, "COPY")
    assert not of(last, "RUN"), "nothing is installed in the image"
    assert json.loads(of(last, "ENTRYPOINT")[0]) == ["carillon"]
    assert of(last, "STOPSIGNAL") == ["SIGTERM"]


def test_the_settings_are_read_and_none_is_a_secret():
    last = steps()[-1]
    environment = variables(last)
    check_variables(environment)
    assert not SECRET & set(environment)
    assert environment["HOST"] == "0.0.0.0" and of(last, "EXPOSE") == [environment["PORT"]]
    assert f'version="{version()}"' in of(last, "LABEL")[0]
    report = accepts(environment)
    assert "/data" in report, report


def test_the_health_check_needs_no_shell():
    check = of(steps()[-1], "HEALTHCHECK")[0]
    words = json.loads(check.split("CMD", 1)[1])
    assert words[0] == "carillon"
    done = command(program(), *words[1:], "--help")
    assert done.returncode == 0, done.stderr


def test_what_is_copied_is_there_and_let_through():
    for stage in steps()[1:]:
        for said in of(stage, "COPY"):
            if "--from=" in said:
                continue
            *origins, _ = said.split()
            for origin in origins:
                assert (TOP / origin).exists(), origin
                assert any(origin == path or origin.startswith(path + "/") for path in let_through()), f"{origin} is not let through"
    for path in let_through():
        assert (TOP / path).exists(), path


def test_cargo_takes_what_the_layer_of_dependencies_has():
    """The steps before the first build, done here: Cargo must read the manifest and find the lock file as it should be."""
    build = steps()[1]
    with tempfile.TemporaryDirectory() as folder:
        for said in of(build, "COPY")[:2]:
            *origins, _ = said.split()
            for origin in origins:
                copy = shutil.copytree if (TOP / origin).is_dir() else shutil.copy
                copy(TOP / origin, pathlib.Path(folder) / origin)
        before, build_command = of(build, "RUN")[0].rsplit("&&", 1)
        assert build_command.split() == "cargo build --release --locked".split(), build_command
        done = command("sh", "-ec", before, cwd=folder)
        assert done.returncode == 0, done.stderr
        home = str(pathlib.Path.home())
        done = command("cargo", "metadata", "--no-deps", "--locked", "--offline", "--format-version=1", cwd=folder, environment={"HOME": home})
        assert done.returncode == 0, done.stderr
        targets = {target["name"] for target in json.loads(done.stdout)["packages"][0]["targets"] if "bin" in target["kind"]}
        assert targets == {"carillon"}, targets


def test_the_sources_that_are_copied_are_all_that_the_build_reads():
    outside = [
        (path, found)
        for path in (TOP / "src").rglob("*.rs")
        if "tests" not in path.parts and path.name != "tests.rs"
        for found in re.findall(r'include_(?:str|bytes)!\(\s*"(.+?)"', path.read_text().split("#[cfg(test)]")[0])
        if not (path.parent / found).resolve().is_relative_to(TOP / "src")
    ]
    assert not outside, outside


def test_the_program_needs_no_library_that_the_image_lacks():
    done = command("ldd", program())
    assert done.returncode == 0, done.stderr
    needed = {pathlib.Path(line.split()[0]).name for line in done.stdout.splitlines()}
    assert needed <= LIBRARIES, needed - LIBRARIES

"""Runs the commands that README.md shows, as they stand there, against a real server.

A block is run when the line before its fence is the marker:

    <!-- ci -->
    ```sh
    grpcurl -plaintext 127.0.0.1:50051 list
    ```

All marked blocks run in their order in ONE bash (`set -euo pipefail`), so that a variable set in one block can be used
in a later one. A block whose output matters has a text after the marker, which has to occur in what it prints:

    <!-- ci: VOICEMAIL_STATUS_DELIVERED -->

The working folder is a copy of the project (without `target` and `data`), so that what a block writes is thrown away.
`ringless serve` runs there on an empty data folder, on free ports: the default addresses in the commands (127.0.0.1 or
localhost with 50051, 8080, 9090) are replaced by those, and the next ones (50052, 8081, 9091), which a block may give
to a server of its own, by other free ones. `ringless`, `ringless-vendors`, `grpcurl` and `python3` with grpcio and
grpcio-tools are on the PATH, RINGLESS_ADDR is set, and the start-up output of the server is in `serve.log`. What a
block leaves in the background is killed at the end; its output must go elsewhere than the block's.

    python scripts/readme_commands.py               run README.md's blocks; not one marked block is a failure
    python scripts/readme_commands.py --self-test   test the extraction and the running, without a server
"""

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MARKER = re.compile(r"^\s*<!-- ci(?:: *(?P<expect>.+?))? -->\s*$")
BLOCK_SECONDS = 300


@dataclass
class Block:
    line: int
    commands: str
    expect: str | None


def blocks_of(markdown: str) -> list[Block]:
    """The marked blocks; a marker with no ```sh fence right behind it is a mistake."""
    found: list[Block] = []
    lines = markdown.splitlines()
    for number, line in enumerate(lines):
        marker = MARKER.match(line)
        if marker is None:
            if line.strip().startswith("<!-- ci"):
                raise ValueError(f"line {number + 1}: not a marker: {line.strip()}")
            continue
        if number + 1 >= len(lines) or lines[number + 1].strip() != "```sh":
            raise ValueError(f"line {number + 1}: the marker is not followed by a ```sh fence")
        indent = len(lines[number + 1]) - len(lines[number + 1].lstrip())
        end = next((i for i in range(number + 2, len(lines)) if lines[i].strip() == "```"), None)
        if end is None:
            raise ValueError(f"line {number + 2}: the fence is not closed")
        commands = "\n".join(text[indent:] for text in lines[number + 2 : end])
        found.append(Block(number + 3, commands, marker["expect"]))
    return found


def with_ports(commands: str, ports: dict[int, int]) -> str:
    """The same commands with the default loopback ports replaced."""
    for default, free in ports.items():
        commands = re.sub(rf"\b(127\.0\.0\.1|localhost):{default}\b", rf"127.0.0.1:{free}", commands)
    return commands


def run(blocks: list[Block], folder: Path, env: dict[str, str], ports: dict[int, int]) -> list[str]:
    """Runs the blocks in one bash and returns what failed, one sentence each."""
    script = ["set -euo pipefail"]
    for index, block in enumerate(blocks):
        script += [f"echo '@@begin {index}'", with_ports(block.commands, ports), f"printf '\\n@@end {index}\\n'"]
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
        file.write("\n".join(script) + "\n")
        file.flush()
        shell = subprocess.Popen(
            ["bash", file.name], cwd=folder, env=env, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        too_long = threading.Timer(BLOCK_SECONDS * len(blocks), lambda: os.killpg(shell.pid, signal.SIGKILL))
        too_long.start()
        try:
            return follow(shell, blocks, ports)
        finally:
            too_long.cancel()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)


def follow(shell: subprocess.Popen[str], blocks: list[Block], ports: dict[int, int]) -> list[str]:
    """Prints what the shell prints, and notes where it ended and which expected text did not come."""
    assert shell.stdout
    problems: list[str] = []
    current: Block | None = None
    printed = ""
    for line in shell.stdout:
        if line.startswith("@@begin "):
            current, printed = blocks[int(line.split()[1])], ""
            print(f"--- README.md line {current.line}\n{with_ports(current.commands, ports)}\n---", flush=True)
        elif line.startswith("@@end ") and current is not None:
            if current.expect is not None and current.expect not in printed:
                problems.append(f"README.md line {current.line}: the output has no {current.expect!r}")
            current = None
        else:
            printed += line
            print(line, end="", flush=True)
    code = shell.wait()
    if code != 0 or current is not None:
        where = f"line {current.line}" if current else "between the blocks (is it valid bash?)"
        problems.append(f"README.md {where}: exit code {code}")
    return problems


def main() -> int:
    readme = ROOT / "README.md"
    blocks = blocks_of(readme.read_text())
    if not blocks:
        print("README.md has no block marked with <!-- ci -->: nothing was run")
        return 1
    sys.path.insert(0, str(ROOT / "tests" / "outside"))
    from support import VENDORS, Server, free_ports  # the same server handling as the tests from outside
    from vendors import NAMES

    with tempfile.TemporaryDirectory(prefix="ringless-readme.") as temporary:
        folder = Path(temporary) / "ringless"
        shutil.copytree(
            ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns("target", "data", ".git", "__pycache__")
        )
        server = Server(data_dir=folder / "data", database_url=None)
        server.start()
        try:
            (folder / "serve.log").write_text(server.output())
            env = dict(os.environ)
            env["PATH"] = f"{server.binary.parent}:{VENDORS.parent}:{Path(sys.executable).parent}:{env['PATH']}"
            env["RINGLESS_ADDR"] = f"http://{server.grpc_addr}"
            env["CARGO_TARGET_DIR"] = env.get("CARGO_TARGET_DIR") or str(ROOT / "target")
            env |= {f"RINGLESS_VENDORS_{name.upper()}": "127.0.0.1:0" for name in NAMES}
            ports = {50051: server.grpc_port, 8080: server.http_port, 9090: server.admin_port}
            ports |= dict(zip((50052, 8081, 9091), free_ports(3), strict=True))
            problems = run(blocks, folder, env, ports)
        finally:
            server.kill()
    for problem in problems:
        print(f"error: {problem}")
    print(f"README.md: {len(blocks)} marked blocks, {len(problems)} problems")
    return 1 if problems else 0


def self_test() -> int:
    markdown = """
<!-- ci -->
```sh
word=hello
cat   # must not swallow the blocks behind it
```
```sh
exit 9   # not marked
```
 <!-- ci: hello 127.0.0.1:7 -->
 ```sh
 echo "$word localhost:50051"
 ```
"""
    ports = {50051: 7}
    env = dict(os.environ)

    def problems(text: str) -> list[str]:
        with contextlib.redirect_stdout(io.StringIO()):
            return run(blocks_of(text), Path(tempfile.gettempdir()), env, ports)

    assert [block.line for block in blocks_of(markdown)] == [4, 12]
    assert (
        with_ports("127.0.0.1:50051 localhost:50051 127.0.0.1:500511", ports)
        == "127.0.0.1:7 127.0.0.1:7 127.0.0.1:500511"
    )
    assert problems(markdown) == []
    assert problems("<!-- ci: absent -->\n```sh\necho present\n```\n") == [
        "README.md line 3: the output has no 'absent'"
    ]
    assert problems("<!-- ci -->\n```sh\nfalse\necho not reached\n```\n") == ["README.md line 3: exit code 1"]
    assert problems("<!-- ci -->\n```sh\ntrue\n```\n<!-- ci -->\n```sh\nexit 3 | cat\n```\n") == [
        "README.md line 7: exit code 3"
    ]
    left = "<!-- ci -->\n```sh\n(sleep 1; touch late) &>/dev/null &\n```\n"
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        assert run(blocks_of(left), Path(folder), env, ports) == []
        time.sleep(1.5)
        assert not Path(folder, "late").exists(), "what was left in the background is not killed"
    assert problems("<!-- ci: no-newline -->\n```sh\nprintf no-newline\n```\n") == []
    assert problems("<!-- ci -->\n```sh\nexit 0\n```\n") == ["README.md line 3: exit code 0"]
    assert blocks_of("no marker\n```sh\nfalse\n```\n") == []
    for mistake in (
        "<!-- ci -->\n\n```sh\ntrue\n```\n",
        "<!-- ci -->\n```sh\ntrue\n",
        "<!-- ci expect -->\n```sh\ntrue\n```\n",
    ):
        try:
            blocks_of(mistake)
        except ValueError:
            continue
        raise AssertionError(f"taken without a word: {mistake!r}")
    print("README runner: self-test passed")
    return 0


if __name__ == "__main__":
    sys.exit(self_test() if sys.argv[1:] == ["--self-test"] else main())

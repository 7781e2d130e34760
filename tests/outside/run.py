"""Runs the tests from outside on one database: `python tests/outside/run.py sqlite|postgres [TEST…]`.

Postgres needs RINGLESS_TEST_POSTGRES_URL: scripts/with-postgres sets it. TEST is a name as unittest takes it, such as
test_sending or test_sending.Sending.test_validate_only_stores_nothing. The program is RINGLESS_BIN, or else
target/debug/ringless; that of the played vendors RINGLESS_VENDORS_BIN, or else examples/ringless-vendors beside it.
"""

import os
import sys
import unittest
from pathlib import Path


class Counting(unittest.TextTestResult):
    passed = 0

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self.passed += 1


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1] not in ("sqlite", "postgres"):
        print(__doc__, file=sys.stderr)
        return 2
    database, names = sys.argv[1], sys.argv[2:]
    os.environ["RINGLESS_OUTSIDE_DATABASE"] = database
    folder = Path(__file__).resolve().parent
    sys.path.insert(0, str(folder))
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(names) if names else loader.discover(str(folder))
    result = unittest.TextTestRunner(verbosity=2, resultclass=Counting).run(suite)
    told = lines_with_whole_numbers()
    bad = {test.id().split(" ")[0] for test, _ in result.failures + result.errors}  # one for all subtests of a test
    print(f"outside-{database}: {result.passed} passed, {len(bad)} failed, {len(result.skipped)} skipped")
    for line in told:
        print(f"a whole phone number stands in a log: {line}")
    return 0 if result.wasSuccessful() and result.passed and not told else 1


def lines_with_whole_numbers() -> list[str]:
    """In the logs of all servers that the tests have started, at whichever level."""
    from support import NUMBER, SCRATCH

    logs = [file.read_text(errors="replace") for file in SCRATCH.glob("server.*/serve.*.log")]
    lines = [line for log in logs for line in log.splitlines() if line.startswith("{")]
    print(f"{len(lines)} lines of {len(logs)} logs were looked through for phone numbers")
    return [line for line in lines if NUMBER.search(line)]


if __name__ == "__main__":
    sys.exit(main())

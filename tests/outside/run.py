"""Runs the tests from outside on one database: `python tests/outside/run.py sqlite|postgres [TEST…]`.

Postgres needs RINGLESS_TEST_POSTGRES_URL: scripts/with-postgres sets it. TEST is a name as unittest takes it, such as
test_sending or test_sending.Sending.test_validate_only_stores_nothing. The program is RINGLESS_BIN, or else
target/debug/ringless.
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
    bad = {test.id().split(" ")[0] for test, _ in result.failures + result.errors}  # one for all subtests of a test
    print(f"outside-{database}: {result.passed} passed, {len(bad)} failed, {len(result.skipped)} skipped")
    return 0 if result.wasSuccessful() and result.passed else 1


if __name__ == "__main__":
    sys.exit(main())

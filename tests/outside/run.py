"""Runs the tests from outside on one database: `python tests/outside/run.py sqlite|postgres [TEST…]`.

Postgres needs RINGLESS_TEST_POSTGRES_URL: scripts/with-postgres sets it. TEST is a name as unittest takes it, such as
test_sending or test_sending.Sending.test_delivered_byte_for_byte.
"""

import os
import sys
import unittest
from pathlib import Path


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
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    bad = {test.id().split(" ")[0] for test, _ in result.failures + result.errors}  # one for all subtests of a test
    skipped = len(result.skipped)
    print(f"outside-{database}: {result.testsRun - len(bad) - skipped} passed, {len(bad)} failed, {skipped} skipped")
    return 0 if result.wasSuccessful() and result.testsRun > 0 else 1


if __name__ == "__main__":
    sys.exit(main())

-- Back to sending to whoever is asked for.
DROP TABLE consents;
DROP TABLE suppressions;

-- Batches are listed by reading all of them, as before.

DROP INDEX batch_members_by_create_time;
ALTER TABLE batch_members DROP COLUMN create_time;
ALTER TABLE voicemails ALTER COLUMN sender RESET (n_distinct);

-- What expires is found by an index of its own, and nothing else is. Where few voicemails wait, Postgres' planner expects as much
-- of this index as of the lanes' own, and then read a lane by it: past all that had left the queue and could not be cleared
-- away yet. So the index is for those alone who say these words, which hold for every row.

DROP INDEX voicemails_expiring;
CREATE INDEX voicemails_expiring ON voicemails (expire_time) WHERE status = 1 AND next_time IS NOT NULL AND attempt_count >= 0;

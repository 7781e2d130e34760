-- Any look at what waits may be made by the index of what expires, as before.

DROP INDEX voicemails_expiring;
CREATE INDEX voicemails_expiring ON voicemails (expire_time) WHERE status = 1 AND next_time IS NOT NULL;

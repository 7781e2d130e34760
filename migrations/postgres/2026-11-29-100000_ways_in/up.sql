-- A batch is listed in the order of its voicemails, page by page, without reading all of it.

ALTER TABLE batch_members ADD COLUMN create_time TIMESTAMPTZ;
UPDATE batch_members SET create_time = voicemails.create_time FROM voicemails WHERE voicemails.id = voicemail_id;
ALTER TABLE batch_members ALTER COLUMN create_time SET NOT NULL;
CREATE INDEX batch_members_by_create_time ON batch_members (workspace_id, batch_id, create_time, voicemail_id);

-- A number that was never used is looked for too. Where statistics say that nearly all voicemails are from the same one, the
-- planner walks through all of them in their order for it. So it is told that there are many.
ALTER TABLE voicemails ALTER COLUMN sender SET (n_distinct = 10000);
-- Statistics of an empty table would mislead the planner as well.
DO $$
BEGIN
    IF EXISTS (SELECT FROM voicemails) THEN
        ANALYZE voicemails;
    END IF;
END $$;

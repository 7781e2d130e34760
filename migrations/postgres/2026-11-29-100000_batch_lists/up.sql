-- A batch is listed in the order of its voicemails, page by page, without reading all of it.

ALTER TABLE batch_members ADD COLUMN create_time TIMESTAMPTZ;
UPDATE batch_members SET create_time = voicemails.create_time FROM voicemails WHERE voicemails.id = voicemail_id;
ALTER TABLE batch_members ALTER COLUMN create_time SET NOT NULL;
CREATE INDEX batch_members_by_create_time ON batch_members (workspace_id, batch_id, create_time, voicemail_id);

-- A batch is listed in the order of its voicemails, page by page, without reading all of it.

ALTER TABLE batch_members ADD COLUMN create_time INTEGER NOT NULL DEFAULT 0;
UPDATE batch_members SET create_time = (SELECT create_time FROM voicemails WHERE id = voicemail_id);
CREATE INDEX batch_members_by_create_time ON batch_members (workspace_id, batch_id, create_time, voicemail_id);

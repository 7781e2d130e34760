-- Back to reports that count the voicemails themselves.
DELETE FROM sweeps WHERE name = 'ended_changes';
DROP TRIGGER note_ended_update;
DROP TRIGGER note_ended_delete;
DROP TRIGGER note_ended_insert;
DROP TABLE ended_counts;
DROP TABLE ended_changes;

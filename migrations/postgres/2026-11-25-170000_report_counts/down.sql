-- Back to reports that count the voicemails themselves.
DELETE FROM sweeps WHERE name = 'ended_changes';
DROP TRIGGER note_ended_update ON voicemails;
DROP TRIGGER note_ended_delete ON voicemails;
DROP TRIGGER note_ended_insert ON voicemails;
DROP FUNCTION note_ended();
DROP TABLE ended_counts;
DROP TABLE ended_changes;

-- Back to carriers that say everything in their answers.
DELETE FROM sweeps WHERE name = 'webhook_events';
DROP TABLE webhook_events;
DROP TABLE callbacks;
DROP TABLE carrier_uploads;
ALTER TABLE attempts DROP COLUMN cost_currency;
ALTER TABLE attempts DROP COLUMN cost_micros;
DROP INDEX hand_overs_by_reference;
DROP INDEX hand_overs_by_token;
ALTER TABLE hand_overs DROP COLUMN void;
ALTER TABLE hand_overs DROP COLUMN token_hash;

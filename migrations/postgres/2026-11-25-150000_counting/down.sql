-- Back to hand-overs that are not counted, and use cases that are never paused.
ALTER TABLE use_cases DROP COLUMN senders_full_until;
ALTER TABLE use_cases DROP COLUMN pause_reason;
ALTER TABLE use_cases DROP COLUMN pause_time;
ALTER TABLE use_cases DROP COLUMN main_phone_number_id;
ALTER TABLE use_cases DROP COLUMN sticky_sender;
ALTER TABLE use_cases DROP COLUMN sender_policy;
ALTER TABLE phone_numbers DROP COLUMN warm_up_start_time;
ALTER TABLE phone_numbers DROP COLUMN warm_up;
ALTER TABLE phone_numbers DROP COLUMN daily_cap;
DROP INDEX hand_overs_by_sender;
DROP INDEX hand_overs_by_recipient;
ALTER TABLE hand_overs DROP COLUMN counts_time;
ALTER TABLE hand_overs DROP COLUMN sender_id;
ALTER TABLE hand_overs DROP COLUMN recipient;

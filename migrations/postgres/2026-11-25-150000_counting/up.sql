-- What counts against caps, who may send, and use cases that are paused.

ALTER TABLE hand_overs ADD COLUMN recipient TEXT NOT NULL DEFAULT '';
ALTER TABLE hand_overs ADD COLUMN sender_id UUID;
-- Since when it counts as an attempt against caps; none: it is certain that nothing was sent by it.
ALTER TABLE hand_overs ADD COLUMN counts_time TIMESTAMPTZ;

-- What was sent before counts too: SENDING, SENT, DELIVERED, NOT_DELIVERED and UNCONFIRMED.
UPDATE hand_overs SET recipient = voicemails.recipient, sender_id = voicemails.sender_id
    FROM voicemails WHERE voicemails.id = hand_overs.voicemail_id;
UPDATE hand_overs SET counts_time = hand_overs.create_time FROM voicemails
    WHERE voicemails.id = hand_overs.voicemail_id AND voicemails.status IN (2, 3, 4, 5, 9)
    AND NOT hand_overs.void AND (hand_overs.refused_round IS NULL OR hand_overs.turn = (
        SELECT max(other.turn) FROM hand_overs AS other WHERE other.voicemail_id = hand_overs.voicemail_id
    ));

CREATE INDEX hand_overs_by_recipient ON hand_overs (workspace_id, recipient, counts_time) WHERE counts_time IS NOT NULL;
CREATE INDEX hand_overs_by_sender ON hand_overs (sender_id, counts_time) WHERE counts_time IS NOT NULL;

-- Hand-overs from it within 24 hours; 0: no limit.
ALTER TABLE phone_numbers ADD COLUMN daily_cap INTEGER NOT NULL DEFAULT 0;
-- A JSON array of [from_day, daily_cap], by the age in days.
ALTER TABLE phone_numbers ADD COLUMN warm_up TEXT NOT NULL DEFAULT '[]';
-- From when on its age is counted; none: from its create_time.
ALTER TABLE phone_numbers ADD COLUMN warm_up_start_time TIMESTAMPTZ;

-- 1: by the area code.
ALTER TABLE use_cases ADD COLUMN sender_policy SMALLINT NOT NULL DEFAULT 1;
ALTER TABLE use_cases ADD COLUMN sticky_sender BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE use_cases ADD COLUMN main_phone_number_id UUID;
-- Since when its queue is stopped; none: it is not.
ALTER TABLE use_cases ADD COLUMN pause_time TIMESTAMPTZ;
ALTER TABLE use_cases ADD COLUMN pause_reason TEXT NOT NULL DEFAULT '';
-- All its numbers have reached their caps, so its lane is passed over until then.
ALTER TABLE use_cases ADD COLUMN senders_full_until TIMESTAMPTZ;

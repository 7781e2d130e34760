-- A voicemail can go from carrier to carrier, and come back to one in its next round.

-- The order of the turns of a voicemail's hand-overs: the one with the greatest is what it stands at.
ALTER TABLE hand_overs ADD COLUMN turn INTEGER NOT NULL DEFAULT 1;
-- The round in which the carrier certainly did not take it; none: it has not refused.
ALTER TABLE hand_overs ADD COLUMN refused_round INTEGER;

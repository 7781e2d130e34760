-- Back to one line of hand-overs, in the order of their making.
ALTER TABLE hand_overs DROP COLUMN refused_round;
ALTER TABLE hand_overs DROP COLUMN turn;

//! How much one worker process takes on at once: no setup takes all of it, and neither what is to be
//! rescued nor what is to be asked about keeps the rest from its turn.

use std::collections::HashMap;

use super::ids::SetupId;

/// What a worker does with a voicemail that it claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It was ACCEPTED: hand it over.
    Send,
    /// It was SENDING and nobody holds it (any more): find out what may be done.
    Rescue,
    /// It is SENT: ask the carrier.
    Ask,
}

/// What a process can begin now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Room {
    total: usize,
    running: HashMap<SetupId, usize>,
    kinds: HashMap<Kind, usize>,
}

impl Room {
    /// Nothing runs yet.
    pub fn new(total: usize) -> Room {
        Room {
            total,
            ..Room::default()
        }
    }

    pub fn free(&self) -> usize {
        self.total.saturating_sub(self.running.values().sum())
    }

    /// What of a kind may begin now. A carrier whose calls or answers hang holds at most half of the
    /// places with what is in doubt, and a quarter with questions.
    pub fn free_for_kind(&self, kind: Kind) -> usize {
        let share = match kind {
            Kind::Send => self.total,
            Kind::Rescue => (self.total / 2).max(1),
            Kind::Ask => (self.total / 4).max(1),
        };
        let own = self.kinds.get(&kind).copied().unwrap_or(0);
        share.saturating_sub(own).min(self.free())
    }

    /// What a setup may begin now: in all it has at most three quarters of what the others leave, so
    /// that one with a slow carrier leaves room for the next.
    pub fn free_for(&self, setup: SetupId) -> usize {
        let own = self.running.get(&setup).copied().unwrap_or(0);
        let left = self.free() + own;
        let share = (left * 3 / 4).max(1);
        share.saturating_sub(own).min(self.free())
    }

    pub fn take(&mut self, setup: SetupId, kind: Kind) {
        *self.running.entry(setup).or_insert(0) += 1;
        *self.kinds.entry(kind).or_insert(0) += 1;
    }

    pub fn give_back(&mut self, setup: SetupId, kind: Kind) {
        let is_over = self.running.get_mut(&setup).is_some_and(|count| {
            *count = count.saturating_sub(1);
            *count == 0
        });
        if is_over {
            self.running.remove(&setup);
        }
        if let Some(count) = self.kinds.get_mut(&kind) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(room: &mut Room, setup: SetupId) -> usize {
        let mut taken = 0;
        while room.free_for(setup) > 0 {
            room.take(setup, Kind::Send);
            taken += 1;
        }
        taken
    }

    #[test]
    fn each_setup_leaves_a_quarter_of_what_it_found() {
        let mut room = Room::new(16);
        let taken: Vec<usize> = (0..4)
            .map(|_| fill(&mut room, SetupId::generate()))
            .collect();
        assert_eq!(taken, [12, 3, 1, 0]);
        assert_eq!(room.free(), 0);
    }

    #[test]
    fn even_the_smallest_has_room_for_one() {
        let (one, other) = (SetupId::generate(), SetupId::generate());
        let mut room = Room::new(1);
        assert_eq!(fill(&mut room, one), 1);
        assert_eq!(room.free_for(other), 0);
        room.give_back(one, Kind::Send);
        room.give_back(one, Kind::Send);
        assert_eq!((room.free(), room.free_for(other)), (1, 1));
    }

    #[test]
    fn questions_have_a_quarter_and_rescues_a_half() {
        for (total, rescues, questions) in [(1, 1, 1), (4, 2, 1), (16, 8, 4)] {
            for (kind, share) in [(Kind::Rescue, rescues), (Kind::Ask, questions)] {
                let mut room = Room::new(total);
                let mut taken = 0;
                while room.free_for_kind(kind) > 0 {
                    room.take(SetupId::generate(), kind);
                    taken += 1;
                }
                assert_eq!(taken, share, "{kind:?} of {total}");
                assert_eq!(room.free_for_kind(Kind::Send), total - share);
            }
        }
    }
}

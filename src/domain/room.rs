//! How much one worker process takes on at once, and that no setup takes all of it.

use std::collections::HashMap;

use super::ids::SetupId;

/// What a process can begin now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Room {
    total: usize,
    running: HashMap<SetupId, usize>,
}

impl Room {
    /// Nothing runs yet.
    pub fn new(total: usize) -> Room {
        Room {
            total,
            running: HashMap::new(),
        }
    }

    pub fn free(&self) -> usize {
        self.total.saturating_sub(self.running.values().sum())
    }

    /// What a setup may begin now: in all it has at most three quarters of what the others leave, so
    /// that one with a slow carrier leaves room for the next.
    pub fn free_for(&self, setup: SetupId) -> usize {
        let own = self.running.get(&setup).copied().unwrap_or(0);
        let left = self.free() + own;
        let share = (left * 3 / 4).max(1);
        share.saturating_sub(own).min(self.free())
    }

    pub fn take(&mut self, setup: SetupId) {
        *self.running.entry(setup).or_insert(0) += 1;
    }

    pub fn give_back(&mut self, setup: SetupId) {
        if let Some(count) = self.running.get_mut(&setup) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.running.remove(&setup);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(room: &mut Room, setup: SetupId) -> usize {
        let mut taken = 0;
        while room.free_for(setup) > 0 {
            room.take(setup);
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
        room.give_back(one);
        room.give_back(one);
        assert_eq!((room.free(), room.free_for(other)), (1, 1));
    }
}

//! When it leaves and expires, as far as the caller may still change that.

use super::Delivery;
use crate::domain::status::Status;
use crate::domain::time::Time;

impl Delivery {
    /// While it waits, and nothing has been tried yet: from the first attempt on a carrier may have been
    /// told.
    pub fn may_change_times(&self) -> bool {
        self.status == Status::Accepted && self.attempt_count == 0
    }

    /// One that is held stays put aside until the operator says what shall become of it.
    pub fn set_times(&mut self, due_time: Time, expire_time: Time) {
        self.expire_time = expire_time;
        if due_time == self.due_time {
            return;
        }
        self.due_time = due_time;
        if !self.held {
            self.status_detail.clear();
            self.next_time = Some(due_time);
        }
    }
}

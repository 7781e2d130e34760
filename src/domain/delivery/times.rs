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

    /// `is_rescheduled`: the gates are asked anew when it is due, whatever held it. One that is put aside stays so
    /// until the operator says what shall become of it.
    pub fn set_times(&mut self, due_time: Time, expire_time: Time, is_rescheduled: bool) {
        self.expire_time = expire_time;
        if is_rescheduled {
            self.due_time = due_time;
        }
        if self.held {
            return;
        }
        if is_rescheduled {
            self.status_detail.clear();
            self.hold_gate = None;
            self.next_time = Some(due_time);
        }
        self.next_time = self.next_time.map(|next| next.min(expire_time));
    }
}

//! What the gates hold or refuse.

use super::*;

#[test]
fn a_gate_holds_it_until_its_time_and_at_the_latest_until_it_expires() {
    for (until, next) in [(3_600, 3_600), (73 * 3_600, 72 * 3_600)] {
        let (mut delivery, _) = sending();
        delivery.attempt_count = 0;
        delivery
            .hold(Gate::Window, "it is closed".to_owned(), at(until), at(9))
            .expect("it is under way");
        assert_eq!(delivery.status, Status::Accepted);
        assert_eq!(delivery.next_time, Some(at(next)));
        assert_eq!(delivery.hold_gate, Some(Gate::Window));
        assert_eq!(delivery.lease_token, None);
        // Nobody is slow as long as the window is closed.
        assert_eq!(delivery.due_time, at(next));
        delivery
            .claim(LeaseToken::generate(), at(next + 60))
            .expect("it waits");
        assert_eq!(delivery.hold_gate, None);
    }
}

#[test]
fn a_hold_after_the_first_try_and_one_by_another_gate_leave_the_time_it_is_due() {
    for (gate, attempts) in [(Gate::Window, 1), (Gate::Cap, 0)] {
        let (mut delivery, _) = sending();
        delivery.attempt_count = attempts;
        delivery
            .hold(gate, String::new(), at(3_600), at(9))
            .expect("it is under way");
        assert_eq!(delivery.due_time, at(0), "{gate}");
    }
}

#[test]
fn what_expires_ends_for_the_reason_of_the_gate_that_held_it() {
    for (gate, reason) in [
        (None, FailureReason::Expired),
        (Some(Gate::Window), FailureReason::QuietHoursExpired),
        (Some(Gate::Cap), FailureReason::FrequencyCap),
        (Some(Gate::Sender), FailureReason::Expired),
    ] {
        let mut delivery = accepted();
        delivery.hold_gate = gate;
        delivery.status_detail = "it is 03:00".to_owned();
        delivery.expire(at(72 * 3_600)).expect("it waits");
        assert_eq!(delivery.status, Status::Skipped);
        assert_eq!(delivery.failure_reason, Some(reason));
        let says_why = delivery.status_detail.contains("it is 03:00");
        assert_eq!(says_why, gate.is_some());
        assert_eq!(delivery.hold_gate, None);
    }
}

#[test]
fn a_gate_that_refuses_ends_it_without_a_try() {
    let (mut delivery, _) = sending();
    let why = "the number was suppressed".to_owned();
    delivery
        .refuse(FailureReason::InternalDnc, why.clone(), at(9))
        .expect("it is under way");
    assert_eq!(delivery.status, Status::Skipped);
    assert_eq!(delivery.failure_reason, Some(FailureReason::InternalDnc));
    assert_eq!(
        (delivery.status_detail, delivery.end_time),
        (why, Some(at(9)))
    );
    // A reason that ends otherwise is no gate's.
    let (mut other, _) = sending();
    assert!(
        other
            .refuse(FailureReason::MailboxFull, String::new(), at(9))
            .is_err()
    );
}

#[test]
fn times_that_the_caller_changes_hold_whatever_held_it() {
    let (mut delivery, _) = sending();
    delivery.attempt_count = 0;
    delivery
        .hold(Gate::Cap, String::new(), at(48 * 3_600), at(9))
        .expect("it is under way");
    delivery.set_times(delivery.due_time, at(3_600), false);
    assert_eq!(delivery.next_time, Some(at(3_600)), "it expires in time");
    assert_eq!(delivery.hold_gate, Some(Gate::Cap));
    delivery.set_times(at(1_800), at(3_600), true);
    assert_eq!(
        (delivery.next_time, delivery.due_time, delivery.hold_gate),
        (Some(at(1_800)), at(1_800), None)
    );
    // Put aside it stays so, and once it is let go it leaves when its caller wants it.
    delivery.held = true;
    delivery.next_time = None;
    delivery.set_times(at(2_400), at(3_600), true);
    assert_eq!(delivery.next_time, None);
    delivery.release(at(10)).expect("it is put aside");
    assert_eq!(delivery.next_time, Some(at(2_400)));
}

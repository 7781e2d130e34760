//! The breakers of carriers: who may call one that fails, and what a call says about it.

use crate::domain::breaker::{Breaker, Sign};
use crate::domain::time::Time;
use crate::ops::error::Result;
use crate::storage::Tx;

/// May this carrier be called now?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Clear,
    /// Its breaker is open, and this call is the trial.
    Trial,
    /// Not before then.
    Closed(Time),
}

/// Takes the trial where one is due; others keep off it until `until`.
pub(super) fn way(
    tx: &mut dyn Tx,
    carrier: &str,
    breakers: &[Breaker],
    until: Time,
) -> Result<Way> {
    let Some(breaker) = breakers.iter().find(|breaker| breaker.carrier == carrier) else {
        return Ok(Way::Clear);
    };
    let now = tx.now()?;
    if breaker.next_trial_time > now {
        return Ok(Way::Closed(breaker.next_trial_time));
    }
    match tx.take_trial(carrier, until)? {
        true => Ok(Way::Trial),
        false => Ok(Way::Closed(until)),
    }
}

/// A carrier failed again and again: its breaker opens. Says whether it was not open before.
pub fn trip(tx: &mut dyn Tx, carrier: &str) -> Result<bool> {
    let now = tx.now()?;
    Ok(tx.open_breaker(&Breaker::open(carrier, now))?)
}

/// What the trial call of an open breaker says: the carrier is back, or it is left alone for longer.
/// Says whether the breaker was closed.
pub fn end_trial(tx: &mut dyn Tx, carrier: &str, sign: Sign) -> Result<bool> {
    if sign == Sign::Alive {
        return Ok(tx.close_breaker(carrier)?);
    }
    let now = tx.now()?;
    let open = tx.breakers()?;
    if let Some(mut breaker) = open.into_iter().find(|breaker| breaker.carrier == carrier) {
        breaker.failed_again(now);
        tx.save_trial(&breaker)?;
    }
    Ok(false)
}

//! When a connection to Postgres has its plans made anew.
//!
//! The server keeps the plan of a prepared statement, and of what it does for a foreign key, until it has new statistics of a
//! table, which in a new database may take a minute. Meanwhile a plan made for a few rows walks through a hundred thousand.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt};

use super::prepared::Prepared;

/// How large the tables are that grow by themselves; one that is not there is empty.
const SIZES: &str = "
    SELECT ARRAY(
        SELECT coalesce(pg_relation_size(to_regclass(name)), 0)
        FROM unnest(ARRAY['voicemails', 'audios', 'hand_overs', 'suppressions', 'consents']) WITH ORDINALITY AS tables (name, place)
        ORDER BY place
    ) AS bytes";

/// What a connection's plans were made for.
#[derive(Debug, Default)]
pub struct Plans {
    looked_at: Option<Instant>,
    /// Bytes of each table.
    sizes: Vec<i64>,
}

#[derive(QueryableByName)]
struct SizesRow {
    #[diesel(sql_type = Array<BigInt>)]
    bytes: Vec<i64>,
}

impl Plans {
    const LOOK_EVERY: Duration = Duration::from_millis(250);
    /// A page; with so few rows any plan is as good as another.
    const SMALL: i64 = 8_192;

    /// Looks now and then how large the tables are, outside any transaction.
    pub fn refresh(&mut self, conn: &mut PgConnection, now: Instant) -> QueryResult<()> {
        if !self.is_time_to_look(now) {
            return Ok(());
        }
        let row: SizesRow = Prepared(diesel::sql_query(SIZES)).get_result(conn)?;
        match self.are_outgrown(row.bytes) {
            true => conn.batch_execute("DISCARD PLANS"),
            false => Ok(()),
        }
    }

    fn is_time_to_look(&mut self, now: Instant) -> bool {
        let is_time = self
            .looked_at
            .is_none_or(|looked_at| now - looked_at >= Plans::LOOK_EVERY);
        if is_time {
            self.looked_at = Some(now);
        }
        is_time
    }

    /// Has a table grown to more than double? Then plans are made for these sizes.
    fn are_outgrown(&mut self, sizes: Vec<i64>) -> bool {
        let known = self.sizes.iter().copied().chain(std::iter::repeat(0));
        let has_grown = |(now, then): (&i64, i64)| *now > then.max(Plans::SMALL) * 2;
        let are_outgrown = sizes.iter().zip(known).any(has_grown);
        if are_outgrown {
            self.sizes = sizes;
        }
        are_outgrown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_serve_until_a_table_is_more_than_twice_as_large() {
        let mut plans = Plans::default();
        for (sizes, are_outgrown) in [
            ([0, 0], false),
            ([2 * Plans::SMALL, 0], false),
            ([2 * Plans::SMALL + 1, 0], true),
            ([2 * Plans::SMALL + 1, 0], false),
            ([4 * Plans::SMALL + 2, 0], false),
            ([4 * Plans::SMALL + 3, 0], true),
            ([0, 2 * Plans::SMALL + 1], true),
            ([2 * Plans::SMALL, 2 * Plans::SMALL + 1], false),
        ] {
            assert_eq!(
                plans.are_outgrown(sizes.to_vec()),
                are_outgrown,
                "{sizes:?}"
            );
        }
    }

    #[test]
    fn sizes_are_looked_at_now_and_then() {
        let start = Instant::now();
        let mut plans = Plans::default();
        let looks: Vec<u64> = (0..1_000)
            .step_by(50)
            .filter(|ms| plans.is_time_to_look(start + Duration::from_millis(*ms)))
            .collect();
        assert_eq!(looks, [0, 250, 500, 750]);
    }
}

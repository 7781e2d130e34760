//! How ids and times are written in each database: UUID and TIMESTAMPTZ on Postgres, 16 bytes and
//! an INTEGER of microseconds on SQLite. These types never leave the storage room.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::data_types::PgTimestamp;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{BigInt, Binary, Timestamptz, Uuid as SqlUuid};
use diesel::sqlite::Sqlite;
use uuid::Uuid;

use crate::domain::time::Time;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = SqlUuid)]
#[diesel(sql_type = Binary)]
pub struct Id(pub Uuid);

impl ToSql<SqlUuid, Pg> for Id {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<SqlUuid, Pg>::to_sql(&self.0, out)
    }
}

impl FromSql<SqlUuid, Pg> for Id {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        FromSql::<SqlUuid, Pg>::from_sql(value).map(Id)
    }
}

impl ToSql<Binary, Sqlite> for Id {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.as_bytes().to_vec());
        Ok(IsNull::No)
    }
}

impl FromSql<Binary, Sqlite> for Id {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let bytes: Vec<u8> = FromSql::<Binary, Sqlite>::from_sql(value)?;
        Ok(Id(Uuid::from_slice(&bytes)?))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = Timestamptz)]
#[diesel(sql_type = BigInt)]
pub struct Ts(pub Time);

/// Postgres counts from 2000-01-01.
const PG_EPOCH_MICROS: i64 = 946_684_800_000_000;

impl ToSql<Timestamptz, Pg> for Ts {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let since_2000 = PgTimestamp(self.0.micros() - PG_EPOCH_MICROS);
        ToSql::<Timestamptz, Pg>::to_sql(&since_2000, &mut out.reborrow())
    }
}

impl FromSql<Timestamptz, Pg> for Ts {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let PgTimestamp(since_2000) = FromSql::<Timestamptz, Pg>::from_sql(value)?;
        Ok(Ts(Time::from_micros(
            since_2000.saturating_add(PG_EPOCH_MICROS),
        )))
    }
}

impl ToSql<BigInt, Sqlite> for Ts {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.micros());
        Ok(IsNull::No)
    }
}

impl FromSql<BigInt, Sqlite> for Ts {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let micros: i64 = FromSql::<BigInt, Sqlite>::from_sql(value)?;
        Ok(Ts(Time::from_micros(micros)))
    }
}

macro_rules! ids_in_the_database {
    ($($name:ident),+) => {$(
        impl From<crate::domain::ids::$name> for Id {
            fn from(id: crate::domain::ids::$name) -> Id {
                Id(id.uuid())
            }
        }

        impl From<Id> for crate::domain::ids::$name {
            fn from(id: Id) -> Self {
                id.0.into()
            }
        }
    )+};
}

ids_in_the_database!(
    SetupId,
    PhoneNumberId,
    UseCaseId,
    VoicemailId,
    AudioId,
    HandOverId,
    LeaseToken,
    SuppressionId,
    ConsentId
);

impl From<Time> for Ts {
    fn from(time: Time) -> Ts {
        Ts(time)
    }
}

impl From<Ts> for Time {
    fn from(ts: Ts) -> Time {
        ts.0
    }
}

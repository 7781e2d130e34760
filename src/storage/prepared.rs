//! Statements that a connection prepares once.

use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{HasSqlType, Untyped};

/// A statement whose text is the same at each call but for what is bound. A connection keeps it prepared, by its text;
/// the library does so by itself for few kinds of statements, and each other costs Postgres a way more and a plan.
///
/// Not for one that holds a list of values, because each length of it is another text. And for reading only: what is
/// executed the library sees through a reference, past what is said here; see [`Statement`].
#[derive(Debug, Clone, Copy)]
pub struct Prepared<Q>(pub Q);

impl<Q: Query> Query for Prepared<Q> {
    type SqlType = Q::SqlType;
}

impl<Q, Conn> RunQueryDsl<Conn> for Prepared<Q> {}

impl<Q> QueryId for Prepared<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q, DB> QueryFragment<DB> for Prepared<Q>
where
    DB: Backend,
    Q: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

/// A statement by its text, which is always the same. A connection keeps it prepared.
#[derive(Debug, Clone, Copy)]
pub struct Statement(pub &'static str);

/// A statement, more of its text, and the value that stands behind it.
#[derive(Debug, Clone, Copy)]
pub struct Bound<Q, V, ST> {
    statement: Q,
    text: &'static str,
    value: V,
    sql_type: PhantomData<ST>,
}

/// A statement and the last of its text.
#[derive(Debug, Clone, Copy)]
pub struct Ended<Q> {
    statement: Q,
    text: &'static str,
}

macro_rules! takes_values {
    () => {
        /// More of the text, and a value behind it.
        pub fn bind<ST2, V2>(self, text: &'static str, value: V2) -> Bound<Self, V2, ST2> {
            Bound {
                statement: self,
                text,
                value,
                sql_type: PhantomData,
            }
        }
    };
}

impl Statement {
    takes_values!();
}

impl<Q, V, ST> Bound<Q, V, ST> {
    takes_values!();

    /// The last of the text.
    pub fn text(self, text: &'static str) -> Ended<Self> {
        Ended {
            statement: self,
            text,
        }
    }
}

impl<Q> Query for Ended<Q> {
    type SqlType = Untyped;
}

impl<Q> QueryId for Ended<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q, Conn> RunQueryDsl<Conn> for Ended<Q> {}

impl<DB: Backend> QueryFragment<DB> for Statement {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(self.0);
        Ok(())
    }
}

impl<DB, Q, V, ST> QueryFragment<DB> for Bound<Q, V, ST>
where
    DB: Backend + HasSqlType<ST>,
    Q: QueryFragment<DB>,
    V: ToSql<ST, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.statement.walk_ast(out.reborrow())?;
        out.push_sql(self.text);
        out.push_bind_param(&self.value)
    }
}

impl<DB, Q> QueryFragment<DB> for Ended<Q>
where
    DB: Backend,
    Q: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.statement.walk_ast(out.reborrow())?;
        out.push_sql(self.text);
        Ok(())
    }
}

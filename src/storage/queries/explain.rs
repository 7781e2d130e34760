//! The plan that the database makes for a query: what the tests of indexes look at.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::LoadQuery;
use diesel::result::QueryResult;

use super::super::{Conn, Db, EXPLAIN, PlanLine, PlanSql};
use crate::storage::Result;

pub struct Explain<Q>(pub Q);

impl<Q> QueryId for Explain<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> Query for Explain<Q> {
    type SqlType = PlanSql;
}

impl<Q> RunQueryDsl<Conn> for Explain<Q> {}

impl<Q: QueryFragment<Db>> QueryFragment<Db> for Explain<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        out.push_sql(EXPLAIN);
        self.0.walk_ast(out)
    }
}

impl<Q> Explain<Q> {
    /// The plan's lines, one below the other.
    pub fn text<'q>(self, conn: &mut Conn) -> Result<String>
    where
        Explain<Q>: LoadQuery<'q, Conn, PlanLine>,
    {
        let lines: Vec<PlanLine> = self.load(conn)?;
        let texts: Vec<String> = lines.into_iter().map(super::super::plan_text).collect();
        Ok(texts.join("\n"))
    }
}

//! What all lists share: their order and paging, and the filters of voicemails.

/// Newest first by (create_time, id), from behind the page before. The first condition is what an
/// index can seek to; the second sorts out rows of the same microsecond.
macro_rules! page {
    ($query:expr, $table:ident, $page:expr) => {
        page!($query, $table::create_time, $table::id, $page)
    };
    ($query:expr, $create_time:path, $id:path, $page:expr) => {{
        let mut query = $query;
        if let Some((time, id)) = $page.after {
            let (time, id) = (
                $crate::storage::values::Ts(time),
                $crate::storage::values::Id(id),
            );
            query = query
                .filter($create_time.le(time))
                .filter($create_time.lt(time).or($id.lt(id)));
        }
        query
            .order(($create_time.desc(), $id.desc()))
            .limit($page.limit)
    }};
}

/// Every filter that is given, on a boxed query over `voicemails`.
macro_rules! filtered {
    ($query:expr, $workspace:expr, $filter:expr) => {{
        let filter: &$crate::storage::VoicemailFilter = $filter;
        let mut query = $query.filter(voicemails::workspace_id.eq($workspace.0));
        if let Some(id) = filter.use_case_id {
            query = query.filter(voicemails::use_case_id.eq(Id::from(id)));
        }
        if let Some(id) = filter.setup_id {
            query = query.filter(voicemails::setup_id.eq(Id::from(id)));
        }
        // One value is asked for by `=`: Postgres reads an index in its order for that, and not for a list.
        match filter.statuses.as_slice() {
            [] => {}
            [one] => query = query.filter(voicemails::status.eq(*one as i16)),
            many => query = query.filter(voicemails::status.eq_any(many.iter().map(|s| *s as i16).collect::<Vec<_>>())),
        }
        match filter.failure_reasons.as_slice() {
            [] => {}
            [one] => query = query.filter(voicemails::failure_reason.eq(*one as i16)),
            many => query = query.filter(voicemails::failure_reason.eq_any(many.iter().map(|r| *r as i16).collect::<Vec<_>>())),
        }
        if let Some(number) = &filter.recipient {
            query = query.filter(voicemails::recipient.eq(number.e164().to_owned()));
        }
        if let Some(number) = &filter.sender {
            query = query.filter(voicemails::sender.eq(number.e164().to_owned()));
        }
        if let Some(request_id) = &filter.request_id {
            query = query.filter(voicemails::request_id.eq(request_id.clone()));
        }
        for (key, value) in &filter.labels {
            let labelled = voicemail_labels::table
                .filter(voicemail_labels::workspace_id.eq($workspace.0))
                .filter(voicemail_labels::key.eq(key.clone()))
                .filter(voicemail_labels::value.eq(value.clone()))
                .select(voicemail_labels::voicemail_id);
            query = query.filter(voicemails::id.eq_any(labelled));
        }
        if let Some(batch_id) = &filter.batch_id {
            let (one_of, end) = ONE_OF;
            let members = diesel::dsl::sql::<diesel::sql_types::Bool>(&format!(
                "voicemails.id {one_of}SELECT voicemail_id FROM batch_members WHERE workspace_id = "
            ))
            .bind::<diesel::sql_types::BigInt, _>($workspace.0)
            .sql(" AND batch_id = ")
            .bind::<diesel::sql_types::Text, _>(batch_id.clone())
            .sql(end);
            query = query.filter(members);
        }
        if let Some(time) = filter.create_time_from {
            query = query.filter(voicemails::create_time.ge(Ts(time)));
        }
        if let Some(time) = filter.create_time_to {
            query = query.filter(voicemails::create_time.lt(Ts(time)));
        }
        if let Some(time) = filter.end_time_from {
            query = query.filter(voicemails::end_time.ge(Ts(time)));
        }
        if let Some(time) = filter.end_time_to {
            query = query.filter(voicemails::end_time.lt(Ts(time)));
        }
        if let Some(time) = filter.update_time_from {
            query = query.filter(updated_since!(Ts(time)));
        }
        query
    }};
}

pub(super) use {filtered, page};

//! SuppressionService: convert, call ops, convert back. An import goes through `import.rs`, an export through
//! `export.rs`.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Streaming};

use super::convert::suppression::{
    import_header, line, new_suppression, suppression_filter, to_suppression,
};
use super::convert::{Fields, required_id};
use super::export::{self, Answers};
use super::import::{self, Import, Incoming};
use super::pb::suppression_service_server::SuppressionService;
use super::sends::meter;
use super::{Answer, Api, Repeat, TURN_WAIT, answer, go_on, pb, to_status};
use crate::domain::ids::SuppressionId;
use crate::domain::names::check_filled_line;
use crate::domain::suppression::LINE_MAX;
use crate::ops::error::{OpError, Result};
use crate::ops::suppressions;
use crate::storage::{Error, Tx};

/// Answers of an import that are made ahead of a slow reader.
const IMPORT_AHEAD: usize = 64;

pub struct Suppressions(pub Arc<Api>);

impl Suppressions {
    async fn create(
        &self,
        request: pb::CreateSuppressionRequest,
    ) -> Result<pb::CreateSuppressionResponse> {
        let new = new_suppression(request, &self.0.numbers)?;
        let (scope, reason) = (new.scope.clone(), new.reason);
        let (rows, one) = (Arc::new(vec![new.clone()]), new);
        let mut created = self
            .0
            .write(move |api, tx| suppressions::create(tx, api.workspace, &one))
            .await?;
        while created.is_more {
            let more = import::skip_more(&self.0, scope.clone(), rows.clone()).await?;
            created.skipped += more.0;
            created.is_more = more.1;
        }
        import::note_skipped(&self.0, &[reason], created.skipped);
        Ok(pb::CreateSuppressionResponse {
            suppression: Some(to_suppression(created.suppression)),
            skipped_count: i64::try_from(created.skipped).unwrap_or(i64::MAX),
            on_its_way_count: i64::try_from(created.on_its_way).unwrap_or(i64::MAX),
        })
    }

    async fn page(
        &self,
        mut request: pb::ListSuppressionsRequest,
    ) -> Result<pb::ListSuppressionsResponse> {
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let mut fields = Fields::default();
        let limit = fields.page_size(size);
        let filter = suppression_filter(&mut fields, request.filter.as_ref(), &self.0.numbers);
        fields.finish(Some(()))?;
        let tokens = &self.0.page_tokens;
        let page = tokens.page(&token, limit, &request, "suppressions")?;
        let list = move |api: &Api, tx: &mut dyn Tx| {
            Ok(tx.list_suppressions(api.workspace, &filter, page)?)
        };
        let found = self.0.read(list).await?;
        let arguments = (&request, "suppressions");
        let (suppressions, next_page_token) = tokens.fill(found, limit, arguments, to_suppression);
        Ok(pb::ListSuppressionsResponse {
            suppressions,
            next_page_token,
        })
    }

    async fn import(
        &self,
        request: Request<Streaming<pb::ImportSuppressionsRequest>>,
    ) -> Result<ReceiverStream<import::Answer>> {
        let (_, extensions, stream) = request.into_parts();
        let turn = self.0.importing.clone().acquire_owned();
        let turn = tokio::time::timeout(TURN_WAIT, turn)
            .await
            .map_err(|_| Error::Unavailable("imports wait for too long for their turn".to_owned()))?
            .map_err(|closed| OpError::Internal(closed.to_string()))?;
        let mut incoming = Incoming::new(stream, meter(&extensions));
        let header = import_header(incoming.header(&self.0).await?)?;
        let scope = header.0.scope.clone();
        let now = self
            .0
            .read(move |api, tx| {
                suppressions::check_scope(tx, api.workspace, &scope)?;
                let now = tx.now()?;
                Ok(now)
            })
            .await?;
        let faults = suppressions::check_expiry("header.expire_time", header.0.expire_time, now);
        OpError::unless_empty(faults)?;
        let (answers, receiver) = mpsc::channel(IMPORT_AHEAD);
        let import = Import::new(self.0.clone(), header, now, answers.clone());
        go_on(async move {
            let _turn = turn;
            if let Err(error) = import.run(incoming).await {
                // A caller who takes nothing hears nothing.
                let status = to_status(error, Repeat::Safe);
                let _ = tokio::time::timeout(TURN_WAIT, answers.send(Err(status))).await;
            }
        });
        Ok(ReceiverStream::new(receiver))
    }
}

#[tonic::async_trait]
impl SuppressionService for Suppressions {
    async fn create_suppression(
        &self,
        request: Request<pb::CreateSuppressionRequest>,
    ) -> Answer<pb::CreateSuppressionResponse> {
        answer(self.create(request.into_inner()).await, Repeat::Safe)
    }

    async fn get_suppression(
        &self,
        request: Request<pb::GetSuppressionRequest>,
    ) -> Answer<pb::GetSuppressionResponse> {
        let done = async {
            let id = &request.get_ref().suppression_id;
            let id = required_id("suppression_id", id, SuppressionId::parse)?;
            self.0
                .read(move |api, tx| suppressions::get(tx, api.workspace, id))
                .await
        };
        let to_response = |found| pb::GetSuppressionResponse {
            suppression: Some(to_suppression(found)),
        };
        answer(done.await.map(to_response), Repeat::Safe)
    }

    async fn list_suppressions(
        &self,
        request: Request<pb::ListSuppressionsRequest>,
    ) -> Answer<pb::ListSuppressionsResponse> {
        answer(self.page(request.into_inner()).await, Repeat::Safe)
    }

    async fn delete_suppression(
        &self,
        request: Request<pb::DeleteSuppressionRequest>,
    ) -> Answer<pb::DeleteSuppressionResponse> {
        let done = async {
            let request = request.get_ref();
            let mut fields = Fields::default();
            let id = fields.id(
                "suppression_id",
                &request.suppression_id,
                SuppressionId::parse,
            );
            let reason = fields.text("reason", &request.reason, |text| {
                check_filled_line(text, LINE_MAX)
            });
            let actor = line(&mut fields, "actor", &request.actor);
            let all = id.zip(reason).zip(actor);
            let ((id, reason), actor) = fields.finish(all)?;
            self.0
                .write(move |api, tx| suppressions::delete(tx, api.workspace, id, &reason, &actor))
                .await
        };
        let to_response = |deleted| pb::DeleteSuppressionResponse {
            suppression: Some(to_suppression(deleted)),
        };
        answer(done.await.map(to_response), Repeat::Safe)
    }

    type ImportSuppressionsStream = ReceiverStream<import::Answer>;

    async fn import_suppressions(
        &self,
        request: Request<Streaming<pb::ImportSuppressionsRequest>>,
    ) -> Answer<Self::ImportSuppressionsStream> {
        answer(self.import(request).await, Repeat::Safe)
    }

    type ExportSuppressionsStream = Answers<pb::ExportSuppressionsResponse>;

    async fn export_suppressions(
        &self,
        request: Request<pb::ExportSuppressionsRequest>,
    ) -> Answer<Self::ExportSuppressionsStream> {
        let mut fields = Fields::default();
        let given = request.get_ref().filter.as_ref();
        let filter = suppression_filter(&mut fields, given, &self.0.numbers);
        let checked = fields.finish(Some(()));
        checked.map_err(|error| to_status(error, Repeat::Safe))?;
        let list = move |api: &Api, tx: &mut dyn Tx, page| {
            Ok(tx.list_suppressions(api.workspace, &filter, page)?)
        };
        let message = |csv_chunk| pb::ExportSuppressionsResponse { csv_chunk };
        Ok(Response::new(export::stream(self.0.clone(), list, message)))
    }
}

//! ConsentService: convert, call ops, convert back.

use std::sync::Arc;

use tonic::{Request, Response};

use super::convert::consent::{consent_filter, new_consent, revocation, to_consent};
use super::convert::{Fields, required_id};
use super::export::{self, Answers};
use super::pb::consent_service_server::ConsentService;
use super::status::refuse_blind_repeat;
use super::{Answer, Api, Repeat, answer, pb, to_status};
use crate::domain::ids::ConsentId;
use crate::ops::consents;
use crate::ops::error::Result;
use crate::storage::Tx;

pub struct Consents(pub Arc<Api>);

impl Consents {
    async fn page(&self, mut request: pb::ListConsentsRequest) -> Result<pb::ListConsentsResponse> {
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let mut fields = Fields::default();
        let limit = fields.page_size(size);
        let filter = consent_filter(&mut fields, request.filter.as_ref(), &self.0.numbers);
        fields.finish(Some(()))?;
        let tokens = &self.0.page_tokens;
        let page = tokens.page(&token, limit, &request, "consents")?;
        let list =
            move |api: &Api, tx: &mut dyn Tx| Ok(tx.list_consents(api.workspace, &filter, page)?);
        let found = self.0.read(list).await?;
        let arguments = (&request, "consents");
        let (consents, next_page_token) = tokens.fill(found, limit, arguments, to_consent);
        Ok(pb::ListConsentsResponse {
            consents,
            next_page_token,
        })
    }
}

#[tonic::async_trait]
impl ConsentService for Consents {
    async fn create_consent(
        &self,
        request: Request<pb::CreateConsentRequest>,
    ) -> Answer<pb::CreateConsentResponse> {
        let (metadata, _, request) = request.into_parts();
        let new = new_consent(request, &self.0.numbers)
            .map_err(|error| to_status(error, Repeat::Safe))?;
        let repeat = Repeat::if_given(&new.request_id, "CreateConsent");
        refuse_blind_repeat(&metadata, repeat).map_err(|error| to_status(error, repeat))?;
        let done = self
            .0
            .write(move |api, tx| consents::create(tx, api.workspace, &new))
            .await;
        let to_response = |consent| pb::CreateConsentResponse {
            consent: Some(to_consent(consent)),
        };
        answer(done.map(to_response), repeat)
    }

    async fn get_consent(
        &self,
        request: Request<pb::GetConsentRequest>,
    ) -> Answer<pb::GetConsentResponse> {
        let done = async {
            let id = &request.get_ref().consent_id;
            let id = required_id("consent_id", id, ConsentId::parse)?;
            self.0
                .read(move |api, tx| consents::get(tx, api.workspace, id))
                .await
        };
        let to_response = |consent| pb::GetConsentResponse {
            consent: Some(to_consent(consent)),
        };
        answer(done.await.map(to_response), Repeat::Safe)
    }

    async fn list_consents(
        &self,
        request: Request<pb::ListConsentsRequest>,
    ) -> Answer<pb::ListConsentsResponse> {
        answer(self.page(request.into_inner()).await, Repeat::Safe)
    }

    async fn revoke_consent(
        &self,
        request: Request<pb::RevokeConsentRequest>,
    ) -> Answer<pb::RevokeConsentResponse> {
        let done = async {
            let (id, new) = revocation(request.get_ref())?;
            self.0
                .write(move |api, tx| consents::revoke(tx, api.workspace, id, &new))
                .await
        };
        let to_response = |consent| pb::RevokeConsentResponse {
            consent: Some(to_consent(consent)),
        };
        answer(done.await.map(to_response), Repeat::Safe)
    }

    type ExportConsentsStream = Answers<pb::ExportConsentsResponse>;

    async fn export_consents(
        &self,
        request: Request<pb::ExportConsentsRequest>,
    ) -> Answer<Self::ExportConsentsStream> {
        let mut fields = Fields::default();
        let given = request.get_ref().filter.as_ref();
        let filter = consent_filter(&mut fields, given, &self.0.numbers);
        let checked = fields.finish(Some(()));
        checked.map_err(|error| to_status(error, Repeat::Safe))?;
        let list = move |api: &Api, tx: &mut dyn Tx, page| {
            Ok(tx.list_consents(api.workspace, &filter, page)?)
        };
        let message = |csv_chunk| pb::ExportConsentsResponse { csv_chunk };
        Ok(Response::new(export::stream(self.0.clone(), list, message)))
    }
}

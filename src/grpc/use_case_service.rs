//! UseCaseService: convert, call ops, convert back.

use std::sync::Arc;

use tonic::Request;

use super::convert::use_case::{new_use_case, pause, to_use_case, use_case_change};
use super::convert::{Fields, required_id};
use super::pb::use_case_service_server::UseCaseService;
use super::status::refuse_blind_repeat;
use super::{Answer, Api, Repeat, answer, pb, to_status};
use crate::domain::ids::{PhoneNumberId, SetupId, UseCaseId};
use crate::domain::use_case::{Channel, UseCase};
use crate::ops::error::Result;
use crate::ops::use_cases;
use crate::storage::{Tx, UseCaseFilter};

pub struct UseCases(pub Arc<Api>);

impl UseCases {
    async fn page(&self, mut request: pb::ListUseCasesRequest) -> Result<pb::ListUseCasesResponse> {
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let mut fields = Fields::default();
        let limit = fields.page_size(size);
        let filter = UseCaseFilter {
            setup_id: fields.optional_id("setup_id", &request.setup_id, SetupId::parse),
            entity_name: fields.optional_name("entity_name", &request.entity_name),
            name: fields.optional_name("name", &request.name),
            channels: fields.codes("channels", &request.channels, Channel::from_code),
        };
        fields.finish(Some(()))?;
        let tokens = &self.0.page_tokens;
        let page = tokens.page(&token, limit, &request, "use_cases")?;
        let list = move |api: &Api, tx: &mut dyn Tx| {
            Ok(tx.list_use_cases(api.workspace, &filter, page)?)
        };
        let found: Vec<UseCase> = self.0.read(list).await?;
        let arguments = (&request, "use_cases");
        let (use_cases, next_page_token) = tokens.fill(found, limit, arguments, to_use_case);
        Ok(pb::ListUseCasesResponse {
            use_cases,
            next_page_token,
        })
    }
}

fn both_ids(use_case_id: &str, phone_number_id: &str) -> Result<(UseCaseId, PhoneNumberId)> {
    let mut fields = Fields::default();
    let use_case = fields.id("use_case_id", use_case_id, UseCaseId::parse);
    let number = fields.id("phone_number_id", phone_number_id, PhoneNumberId::parse);
    fields.finish(use_case.zip(number))
}

#[tonic::async_trait]
impl UseCaseService for UseCases {
    async fn create_use_case(
        &self,
        request: Request<pb::CreateUseCaseRequest>,
    ) -> Answer<pb::CreateUseCaseResponse> {
        let (metadata, _, request) = request.into_parts();
        let new = new_use_case(request, &self.0.numbers)
            .map_err(|error| to_status(error, Repeat::Safe))?;
        let repeat = Repeat::if_given(&new.request_id, "CreateUseCase");
        refuse_blind_repeat(&metadata, repeat).map_err(|error| to_status(error, repeat))?;
        let done = self
            .0
            .write(move |api, tx| use_cases::create(tx, api.workspace, &new, &api.registry))
            .await;
        let to_response = |use_case| pb::CreateUseCaseResponse {
            use_case: Some(to_use_case(use_case)),
        };
        answer(done.map(to_response), repeat)
    }

    async fn get_use_case(
        &self,
        request: Request<pb::GetUseCaseRequest>,
    ) -> Answer<pb::GetUseCaseResponse> {
        let done = async {
            let id = required_id(
                "use_case_id",
                &request.get_ref().use_case_id,
                UseCaseId::parse,
            )?;
            self.0
                .read(move |api, tx| use_cases::get(tx, api.workspace, id))
                .await
        };
        let to_response = |use_case| pb::GetUseCaseResponse {
            use_case: Some(to_use_case(use_case)),
        };
        answer(done.await.map(to_response), Repeat::Safe)
    }

    async fn list_use_cases(
        &self,
        request: Request<pb::ListUseCasesRequest>,
    ) -> Answer<pb::ListUseCasesResponse> {
        answer(self.page(request.into_inner()).await, Repeat::Safe)
    }

    async fn update_use_case(
        &self,
        request: Request<pb::UpdateUseCaseRequest>,
    ) -> Answer<pb::UpdateUseCaseResponse> {
        let done = async {
            let (id, change) = use_case_change(request.into_inner(), &self.0.numbers)?;
            self.0
                .write(move |api, tx| {
                    use_cases::update(tx, api.workspace, id, change, &api.registry)
                })
                .await
        };
        let to_response = |use_case| pb::UpdateUseCaseResponse {
            use_case: Some(to_use_case(use_case)),
        };
        answer(done.await.map(to_response), Repeat::Safe)
    }

    async fn delete_use_case(
        &self,
        request: Request<pb::DeleteUseCaseRequest>,
    ) -> Answer<pb::DeleteUseCaseResponse> {
        let done = async {
            let id = required_id(
                "use_case_id",
                &request.get_ref().use_case_id,
                UseCaseId::parse,
            )?;
            self.0
                .write(move |api, tx| use_cases::delete(tx, api.workspace, id))
                .await
        };
        answer(
            done.await.map(|()| pb::DeleteUseCaseResponse {}),
            Repeat::Safe,
        )
    }

    async fn assign_phone_number(
        &self,
        request: Request<pb::AssignPhoneNumberRequest>,
    ) -> Answer<pb::AssignPhoneNumberResponse> {
        let done = async {
            let request = request.get_ref();
            let (id, number) = both_ids(&request.use_case_id, &request.phone_number_id)?;
            self.0
                .write(move |api, tx| use_cases::assign(tx, api.workspace, id, number))
                .await
        };
        let to_response = |use_case| pb::AssignPhoneNumberResponse {
            use_case: Some(to_use_case(use_case)),
        };
        answer(done.await.map(to_response), Repeat::Safe)
    }

    async fn unassign_phone_number(
        &self,
        request: Request<pb::UnassignPhoneNumberRequest>,
    ) -> Answer<pb::UnassignPhoneNumberResponse> {
        let done = async {
            let request = request.get_ref();
            let (id, number) = both_ids(&request.use_case_id, &request.phone_number_id)?;
            self.0
                .write(move |api, tx| use_cases::unassign(tx, api.workspace, id, number))
                .await
        };
        let to_response = |use_case| pb::UnassignPhoneNumberResponse {
            use_case: Some(to_use_case(use_case)),
        };
        answer(done.await.map(to_response), Repeat::Safe)
    }

    async fn pause_use_case(
        &self,
        request: Request<pb::PauseUseCaseRequest>,
    ) -> Answer<pb::PauseUseCaseResponse> {
        let done = async {
            let (id, reason) = pause(request.get_ref())?;
            self.0
                .write(move |api, tx| use_cases::pause(tx, api.workspace, id, &reason))
                .await
        };
        let to_response = |use_case| pb::PauseUseCaseResponse {
            use_case: Some(to_use_case(use_case)),
        };
        answer(done.await.map(to_response), Repeat::Safe)
    }

    async fn resume_use_case(
        &self,
        request: Request<pb::ResumeUseCaseRequest>,
    ) -> Answer<pb::ResumeUseCaseResponse> {
        let done = async {
            let id = &request.get_ref().use_case_id;
            let id = required_id("use_case_id", id, UseCaseId::parse)?;
            let resume = move |api: &Api, tx: &mut dyn Tx| use_cases::resume(tx, api.workspace, id);
            let resumed = self.0.write(resume).await?;
            // What waited may go on now.
            self.0.wake.wake();
            Ok(resumed)
        };
        let to_response = |use_case| pb::ResumeUseCaseResponse {
            use_case: Some(to_use_case(use_case)),
        };
        answer(done.await.map(to_response), Repeat::Safe)
    }
}

//! UseCaseService: convert, call ops, convert back.

use std::sync::Arc;

use tonic::Request;

use super::convert::Fields;
use super::convert::use_case::{new_use_case, to_use_case, use_case_change};
use super::pb::use_case_service_server::UseCaseService;
use super::status::refuse_blind_repeat;
use super::{Answer, Api, Repeat, answer, pb};
use crate::domain::ids::{PhoneNumberId, SetupId, UseCaseId};
use crate::domain::use_case::Channel;
use crate::ops::error::Result;
use crate::ops::use_cases;
use crate::storage::{Page, UseCaseFilter};

pub struct UseCases(pub Arc<Api>);

impl UseCases {
    async fn list(&self, mut request: pb::ListUseCasesRequest) -> Result<pb::ListUseCasesResponse> {
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let mut fields = Fields::default();
        let limit = fields.page_size(size);
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let filter = UseCaseFilter {
            setup_id: fields.optional_id("setup_id", &request.setup_id, SetupId::parse),
            entity_name: given(&request.entity_name),
            name: given(&request.name),
            channels: fields.codes("channels", &request.channels, Channel::from_code),
        };
        fields.finish(Some(()))?;
        let after = self.0.page_tokens.read(&token, &request, "use_cases")?;
        let workspace = self.0.workspace;
        let page = Page {
            limit: limit + 1,
            after,
        };
        let mut found = self
            .0
            .store
            .read(move |tx| tx.list_use_cases(workspace, &filter, page))
            .await?;
        let next_page_token = match found.len() as i64 > limit {
            false => String::new(),
            true => {
                found.pop();
                found
                    .last()
                    .map(|last| {
                        self.0.page_tokens.make(
                            last.create_time,
                            last.id.uuid(),
                            &request,
                            "use_cases",
                        )
                    })
                    .unwrap_or_default()
            }
        };
        Ok(pb::ListUseCasesResponse {
            use_cases: found.into_iter().map(to_use_case).collect(),
            next_page_token,
        })
    }
}

fn one_id(use_case_id: &str) -> Result<UseCaseId> {
    let mut fields = Fields::default();
    let id = fields.id("use_case_id", use_case_id, UseCaseId::parse);
    fields.finish(id)
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
            .map_err(|error| super::to_status(error, Repeat::Safe))?;
        let repeat = Repeat::if_given(&new.request_id, "CreateUseCase");
        refuse_blind_repeat(&metadata, repeat).map_err(|error| super::to_status(error, repeat))?;
        let workspace = self.0.workspace;
        let done = self
            .0
            .store
            .write(move |tx| use_cases::create(tx, workspace, &new))
            .await;
        answer(
            done.map(|use_case| pb::CreateUseCaseResponse {
                use_case: Some(to_use_case(use_case)),
            }),
            repeat,
        )
    }

    async fn get_use_case(
        &self,
        request: Request<pb::GetUseCaseRequest>,
    ) -> Answer<pb::GetUseCaseResponse> {
        let done = async {
            let id = one_id(&request.get_ref().use_case_id)?;
            let workspace = self.0.workspace;
            self.0
                .store
                .read(move |tx| use_cases::get(tx, workspace, id))
                .await
        };
        answer(
            done.await.map(|use_case| pb::GetUseCaseResponse {
                use_case: Some(to_use_case(use_case)),
            }),
            Repeat::Safe,
        )
    }

    async fn list_use_cases(
        &self,
        request: Request<pb::ListUseCasesRequest>,
    ) -> Answer<pb::ListUseCasesResponse> {
        answer(self.list(request.into_inner()).await, Repeat::Safe)
    }

    async fn update_use_case(
        &self,
        request: Request<pb::UpdateUseCaseRequest>,
    ) -> Answer<pb::UpdateUseCaseResponse> {
        let done = async {
            let (id, change) = use_case_change(request.into_inner(), &self.0.numbers)?;
            let workspace = self.0.workspace;
            self.0
                .store
                .write(move |tx| use_cases::update(tx, workspace, id, change))
                .await
        };
        answer(
            done.await.map(|use_case| pb::UpdateUseCaseResponse {
                use_case: Some(to_use_case(use_case)),
            }),
            Repeat::Safe,
        )
    }

    async fn delete_use_case(
        &self,
        request: Request<pb::DeleteUseCaseRequest>,
    ) -> Answer<pb::DeleteUseCaseResponse> {
        let done = async {
            let id = one_id(&request.get_ref().use_case_id)?;
            let workspace = self.0.workspace;
            self.0
                .store
                .write(move |tx| use_cases::delete(tx, workspace, id))
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
            let (id, number) = both_ids(
                &request.get_ref().use_case_id,
                &request.get_ref().phone_number_id,
            )?;
            let workspace = self.0.workspace;
            self.0
                .store
                .write(move |tx| use_cases::assign(tx, workspace, id, number))
                .await
        };
        answer(
            done.await.map(|use_case| pb::AssignPhoneNumberResponse {
                use_case: Some(to_use_case(use_case)),
            }),
            Repeat::Safe,
        )
    }

    async fn unassign_phone_number(
        &self,
        request: Request<pb::UnassignPhoneNumberRequest>,
    ) -> Answer<pb::UnassignPhoneNumberResponse> {
        let done = async {
            let (id, number) = both_ids(
                &request.get_ref().use_case_id,
                &request.get_ref().phone_number_id,
            )?;
            let workspace = self.0.workspace;
            self.0
                .store
                .write(move |tx| use_cases::unassign(tx, workspace, id, number))
                .await
        };
        answer(
            done.await.map(|use_case| pb::UnassignPhoneNumberResponse {
                use_case: Some(to_use_case(use_case)),
            }),
            Repeat::Safe,
        )
    }
}

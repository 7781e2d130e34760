//! TelephonyService: convert, call ops, convert back.

use std::sync::Arc;

use tonic::Request;

use super::convert::Fields;
use super::convert::telephony::{
    new_number, new_setup, number_change, setup_change, suspension, to_number, to_setup,
};
use super::pb::telephony_service_server::TelephonyService;
use super::status::refuse_blind_repeat;
use super::{Answer, Api, Repeat, answer, pb};
use crate::domain::ids::{PhoneNumberId, SetupId, UseCaseId};
use crate::domain::telephony::{NumberStatus, SenderNumber, Setup, SetupStatus};
use crate::ops::error::Result;
use crate::ops::{phone_numbers, setups};
use crate::storage::{NumberFilter, Page, Tx};

pub struct Telephony(pub Arc<Api>);

impl Telephony {
    /// A verb on one setup, in one unit of work.
    async fn setup(
        &self,
        setup_id: &str,
        verb: impl FnOnce(&Api, &mut dyn Tx, SetupId) -> Result<Setup> + Send + 'static,
    ) -> Result<pb::Setup> {
        let mut fields = Fields::default();
        let id = fields.id("setup_id", setup_id, SetupId::parse);
        let id = fields.finish(id)?;
        let api = self.0.clone();
        let setup = self.0.store.write(move |tx| verb(&api, tx, id)).await?;
        self.0.wake.wake();
        Ok(to_setup(setup))
    }

    /// A verb on one phone number, in one unit of work.
    async fn number(
        &self,
        phone_number_id: &str,
        verb: impl FnOnce(&Api, &mut dyn Tx, PhoneNumberId) -> Result<SenderNumber> + Send + 'static,
    ) -> Result<pb::PhoneNumber> {
        let mut fields = Fields::default();
        let id = fields.id("phone_number_id", phone_number_id, PhoneNumberId::parse);
        let id = fields.finish(id)?;
        let api = self.0.clone();
        Ok(to_number(
            self.0.store.write(move |tx| verb(&api, tx, id)).await?,
        ))
    }

    async fn list_all_setups(
        &self,
        mut request: pb::ListSetupsRequest,
    ) -> Result<pb::ListSetupsResponse> {
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let mut fields = Fields::default();
        let limit = fields.page_size(size);
        let statuses = fields.codes("statuses", &request.statuses, SetupStatus::from_code);
        fields.finish(Some(()))?;
        let after = self.0.page_tokens.read(&token, &request, "setups")?;
        let workspace = self.0.workspace;
        let page = Page {
            limit: limit + 1,
            after,
        };
        let mut found = self
            .0
            .store
            .read(move |tx| tx.list_setups(workspace, &statuses, page))
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
                            "setups",
                        )
                    })
                    .unwrap_or_default()
            }
        };
        let setups = found
            .into_iter()
            .map(|setup| to_setup(setups::shown(setup, &self.0.registry)))
            .collect();
        Ok(pb::ListSetupsResponse {
            setups,
            next_page_token,
        })
    }

    async fn list_all_numbers(
        &self,
        mut request: pb::ListPhoneNumbersRequest,
    ) -> Result<pb::ListPhoneNumbersResponse> {
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let mut fields = Fields::default();
        let limit = fields.page_size(size);
        let filter = NumberFilter {
            setup_id: fields.optional_id("setup_id", &request.setup_id, SetupId::parse),
            use_case_id: fields.optional_id("use_case_id", &request.use_case_id, UseCaseId::parse),
            statuses: fields.codes("statuses", &request.statuses, NumberStatus::from_code),
        };
        fields.finish(Some(()))?;
        let after = self.0.page_tokens.read(&token, &request, "phone_numbers")?;
        let workspace = self.0.workspace;
        let page = Page {
            limit: limit + 1,
            after,
        };
        let mut found = self
            .0
            .store
            .read(move |tx| tx.list_numbers(workspace, &filter, page))
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
                            "phone_numbers",
                        )
                    })
                    .unwrap_or_default()
            }
        };
        let phone_numbers = found.into_iter().map(to_number).collect();
        Ok(pb::ListPhoneNumbersResponse {
            phone_numbers,
            next_page_token,
        })
    }
}

#[tonic::async_trait]
impl TelephonyService for Telephony {
    async fn create_setup(
        &self,
        request: Request<pb::CreateSetupRequest>,
    ) -> Answer<pb::CreateSetupResponse> {
        let (metadata, _, request) = request.into_parts();
        let api = self.0.clone();
        let new = new_setup(request).map_err(|error| super::to_status(error, Repeat::Safe))?;
        let repeat = Repeat::if_given(&new.request_id, "CreateSetup");
        refuse_blind_repeat(&metadata, repeat).map_err(|error| super::to_status(error, repeat))?;
        let done = self
            .0
            .store
            .write(move |tx| setups::create(tx, api.workspace, &new, &api.registry))
            .await;
        answer(
            done.map(|setup| pb::CreateSetupResponse {
                setup: Some(to_setup(setup)),
            }),
            repeat,
        )
    }

    async fn get_setup(
        &self,
        request: Request<pb::GetSetupRequest>,
    ) -> Answer<pb::GetSetupResponse> {
        let done = async {
            let mut fields = Fields::default();
            let id = fields.id("setup_id", &request.get_ref().setup_id, SetupId::parse);
            let id = fields.finish(id)?;
            let api = self.0.clone();
            self.0
                .store
                .read(move |tx| setups::get(tx, api.workspace, id, &api.registry))
                .await
        };
        answer(
            done.await.map(|setup| pb::GetSetupResponse {
                setup: Some(to_setup(setup)),
            }),
            Repeat::Safe,
        )
    }

    async fn list_setups(
        &self,
        request: Request<pb::ListSetupsRequest>,
    ) -> Answer<pb::ListSetupsResponse> {
        answer(
            self.list_all_setups(request.into_inner()).await,
            Repeat::Safe,
        )
    }

    async fn update_setup(
        &self,
        request: Request<pb::UpdateSetupRequest>,
    ) -> Answer<pb::UpdateSetupResponse> {
        let done = async {
            let (id, change) = setup_change(request.into_inner())?;
            let api = self.0.clone();
            let setup = self
                .0
                .store
                .write(move |tx| setups::update(tx, api.workspace, id, &change, &api.registry))
                .await?;
            self.0.wake.wake();
            Ok(setup)
        };
        answer(
            done.await.map(|setup| pb::UpdateSetupResponse {
                setup: Some(to_setup(setup)),
            }),
            Repeat::Safe,
        )
    }

    async fn delete_setup(
        &self,
        request: Request<pb::DeleteSetupRequest>,
    ) -> Answer<pb::DeleteSetupResponse> {
        let done = async {
            let mut fields = Fields::default();
            let id = fields.id("setup_id", &request.get_ref().setup_id, SetupId::parse);
            let id = fields.finish(id)?;
            let workspace = self.0.workspace;
            self.0
                .store
                .write(move |tx| setups::delete(tx, workspace, id))
                .await
        };
        answer(
            done.await.map(|()| pb::DeleteSetupResponse {}),
            Repeat::Safe,
        )
    }

    async fn approve_setup(
        &self,
        request: Request<pb::ApproveSetupRequest>,
    ) -> Answer<pb::ApproveSetupResponse> {
        let verb =
            |api: &Api, tx: &mut dyn Tx, id| setups::approve(tx, api.workspace, id, &api.registry);
        let done = self.setup(&request.get_ref().setup_id, verb).await;
        answer(
            done.map(|setup| pb::ApproveSetupResponse { setup: Some(setup) }),
            Repeat::Safe,
        )
    }

    async fn suspend_setup(
        &self,
        request: Request<pb::SuspendSetupRequest>,
    ) -> Answer<pb::SuspendSetupResponse> {
        let done = async {
            let (id, reason) = suspension(request.get_ref())?;
            let verb = move |api: &Api, tx: &mut dyn Tx, id| {
                setups::suspend(tx, api.workspace, id, &reason, &api.registry)
            };
            self.setup(&id.to_string(), verb).await
        };
        answer(
            done.await
                .map(|setup| pb::SuspendSetupResponse { setup: Some(setup) }),
            Repeat::Safe,
        )
    }

    async fn resume_setup(
        &self,
        request: Request<pb::ResumeSetupRequest>,
    ) -> Answer<pb::ResumeSetupResponse> {
        let verb =
            |api: &Api, tx: &mut dyn Tx, id| setups::resume(tx, api.workspace, id, &api.registry);
        let done = self.setup(&request.get_ref().setup_id, verb).await;
        answer(
            done.map(|setup| pb::ResumeSetupResponse { setup: Some(setup) }),
            Repeat::Safe,
        )
    }

    async fn create_phone_number(
        &self,
        request: Request<pb::CreatePhoneNumberRequest>,
    ) -> Answer<pb::CreatePhoneNumberResponse> {
        let (metadata, _, request) = request.into_parts();
        let new = new_number(request, &self.0.numbers)
            .map_err(|error| super::to_status(error, Repeat::Safe))?;
        let repeat = Repeat::if_given(&new.request_id, "CreatePhoneNumber");
        refuse_blind_repeat(&metadata, repeat).map_err(|error| super::to_status(error, repeat))?;
        let workspace = self.0.workspace;
        let done = self
            .0
            .store
            .write(move |tx| phone_numbers::create(tx, workspace, &new))
            .await;
        answer(
            done.map(|number| pb::CreatePhoneNumberResponse {
                phone_number: Some(to_number(number)),
            }),
            repeat,
        )
    }

    async fn get_phone_number(
        &self,
        request: Request<pb::GetPhoneNumberRequest>,
    ) -> Answer<pb::GetPhoneNumberResponse> {
        let done = async {
            let mut fields = Fields::default();
            let id = fields.id(
                "phone_number_id",
                &request.get_ref().phone_number_id,
                PhoneNumberId::parse,
            );
            let id = fields.finish(id)?;
            let workspace = self.0.workspace;
            self.0
                .store
                .read(move |tx| phone_numbers::get(tx, workspace, id))
                .await
        };
        answer(
            done.await.map(|number| pb::GetPhoneNumberResponse {
                phone_number: Some(to_number(number)),
            }),
            Repeat::Safe,
        )
    }

    async fn list_phone_numbers(
        &self,
        request: Request<pb::ListPhoneNumbersRequest>,
    ) -> Answer<pb::ListPhoneNumbersResponse> {
        answer(
            self.list_all_numbers(request.into_inner()).await,
            Repeat::Safe,
        )
    }

    async fn update_phone_number(
        &self,
        request: Request<pb::UpdatePhoneNumberRequest>,
    ) -> Answer<pb::UpdatePhoneNumberResponse> {
        let done = async {
            let request = request.into_inner();
            let (id, change) = number_change(
                &request.phone_number.unwrap_or_default(),
                request.update_mask,
            )?;
            let workspace = self.0.workspace;
            self.0
                .store
                .write(move |tx| phone_numbers::update(tx, workspace, id, &change))
                .await
        };
        answer(
            done.await.map(|number| pb::UpdatePhoneNumberResponse {
                phone_number: Some(to_number(number)),
            }),
            Repeat::Safe,
        )
    }

    async fn delete_phone_number(
        &self,
        request: Request<pb::DeletePhoneNumberRequest>,
    ) -> Answer<pb::DeletePhoneNumberResponse> {
        let done = async {
            let mut fields = Fields::default();
            let id = fields.id(
                "phone_number_id",
                &request.get_ref().phone_number_id,
                PhoneNumberId::parse,
            );
            let id = fields.finish(id)?;
            let workspace = self.0.workspace;
            self.0
                .store
                .write(move |tx| phone_numbers::delete(tx, workspace, id))
                .await
        };
        answer(
            done.await.map(|()| pb::DeletePhoneNumberResponse {}),
            Repeat::Safe,
        )
    }

    async fn activate_phone_number(
        &self,
        request: Request<pb::ActivatePhoneNumberRequest>,
    ) -> Answer<pb::ActivatePhoneNumberResponse> {
        let verb = |api: &Api, tx: &mut dyn Tx, id| {
            phone_numbers::set_status(tx, api.workspace, id, NumberStatus::Active)
        };
        let done = self.number(&request.get_ref().phone_number_id, verb).await;
        answer(
            done.map(|number| pb::ActivatePhoneNumberResponse {
                phone_number: Some(number),
            }),
            Repeat::Safe,
        )
    }

    async fn deactivate_phone_number(
        &self,
        request: Request<pb::DeactivatePhoneNumberRequest>,
    ) -> Answer<pb::DeactivatePhoneNumberResponse> {
        let verb = |api: &Api, tx: &mut dyn Tx, id| {
            phone_numbers::set_status(tx, api.workspace, id, NumberStatus::Inactive)
        };
        let done = self.number(&request.get_ref().phone_number_id, verb).await;
        answer(
            done.map(|number| pb::DeactivatePhoneNumberResponse {
                phone_number: Some(number),
            }),
            Repeat::Safe,
        )
    }
}

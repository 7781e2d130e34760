//! TelephonyService: convert, call ops, convert back.

use std::sync::Arc;

use tonic::Request;

use super::convert::telephony::{
    new_number, new_setup, number_change, setup_change, suspension, to_number, to_setup,
};
use super::convert::{Fields, required_id};
use super::pb::telephony_service_server::TelephonyService;
use super::status::refuse_blind_repeat;
use super::{Answer, Api, Repeat, answer, pb, to_status};
use crate::domain::ids::{PhoneNumberId, SetupId, UseCaseId};
use crate::domain::telephony::{NumberStatus, SenderNumber, Setup, SetupStatus};
use crate::ops::error::Result;
use crate::ops::{phone_numbers, setups};
use crate::storage::{NumberFilter, Tx};

pub struct Telephony(pub Arc<Api>);

impl Telephony {
    /// A verb on one setup. What waited for it may go on after, so the worker is woken.
    async fn change_setup(
        &self,
        setup_id: &str,
        verb: impl FnOnce(&Api, &mut dyn Tx, SetupId) -> Result<Setup> + Send + 'static,
    ) -> Result<pb::Setup> {
        let id = required_id("setup_id", setup_id, SetupId::parse)?;
        let setup = self.0.write(move |api, tx| verb(api, tx, id)).await?;
        self.0.wake.wake();
        Ok(to_setup(setup))
    }

    async fn set_number_status(
        &self,
        phone_number_id: &str,
        status: NumberStatus,
    ) -> Result<pb::PhoneNumber> {
        let id = required_id("phone_number_id", phone_number_id, PhoneNumberId::parse)?;
        let verb = move |api: &Api, tx: &mut dyn Tx| {
            phone_numbers::set_status(tx, api.workspace, id, status)
        };
        Ok(to_number(self.0.write(verb).await?))
    }

    async fn page_of_setups(
        &self,
        mut request: pb::ListSetupsRequest,
    ) -> Result<pb::ListSetupsResponse> {
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let mut fields = Fields::default();
        let limit = fields.page_size(size);
        let statuses = fields.codes("statuses", &request.statuses, SetupStatus::from_code);
        fields.finish(Some(()))?;
        let page = self.0.page_tokens.page(&token, limit, &request, "setups")?;
        let list = move |api: &Api, tx: &mut dyn Tx| {
            Ok((
                tx.list_setups(api.workspace, &statuses, page)?,
                tx.breakers()?,
            ))
        };
        let (found, breakers) = self.0.read(list).await?;
        let shown = |setup: Setup| to_setup(setups::shown(setup, &self.0.registry, &breakers));
        let arguments = (&request, "setups");
        let (setups, next_page_token) = self.0.page_tokens.fill(found, limit, arguments, shown);
        Ok(pb::ListSetupsResponse {
            setups,
            next_page_token,
        })
    }

    async fn page_of_numbers(
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
        let tokens = &self.0.page_tokens;
        let page = tokens.page(&token, limit, &request, "phone_numbers")?;
        let list =
            move |api: &Api, tx: &mut dyn Tx| Ok(tx.list_numbers(api.workspace, &filter, page)?);
        let found: Vec<SenderNumber> = self.0.read(list).await?;
        let arguments = (&request, "phone_numbers");
        let (phone_numbers, next_page_token) = tokens.fill(found, limit, arguments, to_number);
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
        let new = new_setup(request).map_err(|error| to_status(error, Repeat::Safe))?;
        let repeat = Repeat::if_given(&new.request_id, "CreateSetup");
        refuse_blind_repeat(&metadata, repeat).map_err(|error| to_status(error, repeat))?;
        let done = self
            .0
            .write(move |api, tx| setups::create(tx, api.workspace, &new, &api.registry))
            .await;
        let to_response = |setup| pb::CreateSetupResponse {
            setup: Some(to_setup(setup)),
        };
        answer(done.map(to_response), repeat)
    }

    async fn get_setup(
        &self,
        request: Request<pb::GetSetupRequest>,
    ) -> Answer<pb::GetSetupResponse> {
        let done = async {
            let id = required_id("setup_id", &request.get_ref().setup_id, SetupId::parse)?;
            self.0
                .read(move |api, tx| setups::get(tx, api.workspace, id, &api.registry))
                .await
        };
        let to_response = |setup| pb::GetSetupResponse {
            setup: Some(to_setup(setup)),
        };
        answer(done.await.map(to_response), Repeat::Safe)
    }

    async fn list_setups(
        &self,
        request: Request<pb::ListSetupsRequest>,
    ) -> Answer<pb::ListSetupsResponse> {
        answer(
            self.page_of_setups(request.into_inner()).await,
            Repeat::Safe,
        )
    }

    async fn update_setup(
        &self,
        request: Request<pb::UpdateSetupRequest>,
    ) -> Answer<pb::UpdateSetupResponse> {
        let done = async {
            let (id, change) = setup_change(request.into_inner())?;
            let verb = move |api: &Api, tx: &mut dyn Tx, id| {
                setups::update(tx, api.workspace, id, &change, &api.registry)
            };
            self.change_setup(&id.to_string(), verb).await
        };
        let to_response = |setup| pb::UpdateSetupResponse { setup: Some(setup) };
        answer(done.await.map(to_response), Repeat::Safe)
    }

    async fn delete_setup(
        &self,
        request: Request<pb::DeleteSetupRequest>,
    ) -> Answer<pb::DeleteSetupResponse> {
        let done = async {
            let id = required_id("setup_id", &request.get_ref().setup_id, SetupId::parse)?;
            self.0
                .write(move |api, tx| setups::delete(tx, api.workspace, id))
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
        let done = self.change_setup(&request.get_ref().setup_id, verb).await;
        let to_response = |setup| pb::ApproveSetupResponse { setup: Some(setup) };
        answer(done.map(to_response), Repeat::Safe)
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
            self.change_setup(&id.to_string(), verb).await
        };
        let to_response = |setup| pb::SuspendSetupResponse { setup: Some(setup) };
        answer(done.await.map(to_response), Repeat::Safe)
    }

    async fn resume_setup(
        &self,
        request: Request<pb::ResumeSetupRequest>,
    ) -> Answer<pb::ResumeSetupResponse> {
        let verb =
            |api: &Api, tx: &mut dyn Tx, id| setups::resume(tx, api.workspace, id, &api.registry);
        let done = self.change_setup(&request.get_ref().setup_id, verb).await;
        let to_response = |setup| pb::ResumeSetupResponse { setup: Some(setup) };
        answer(done.map(to_response), Repeat::Safe)
    }

    async fn create_phone_number(
        &self,
        request: Request<pb::CreatePhoneNumberRequest>,
    ) -> Answer<pb::CreatePhoneNumberResponse> {
        let (metadata, _, request) = request.into_parts();
        let new =
            new_number(request, &self.0.numbers).map_err(|error| to_status(error, Repeat::Safe))?;
        let repeat = Repeat::if_given(&new.request_id, "CreatePhoneNumber");
        refuse_blind_repeat(&metadata, repeat).map_err(|error| to_status(error, repeat))?;
        let done = self
            .0
            .write(move |api, tx| phone_numbers::create(tx, api.workspace, &new))
            .await;
        let to_response = |number| pb::CreatePhoneNumberResponse {
            phone_number: Some(to_number(number)),
        };
        answer(done.map(to_response), repeat)
    }

    async fn get_phone_number(
        &self,
        request: Request<pb::GetPhoneNumberRequest>,
    ) -> Answer<pb::GetPhoneNumberResponse> {
        let done = async {
            let text = &request.get_ref().phone_number_id;
            let id = required_id("phone_number_id", text, PhoneNumberId::parse)?;
            self.0
                .read(move |api, tx| phone_numbers::get(tx, api.workspace, id))
                .await
        };
        let to_response = |number| pb::GetPhoneNumberResponse {
            phone_number: Some(to_number(number)),
        };
        answer(done.await.map(to_response), Repeat::Safe)
    }

    async fn list_phone_numbers(
        &self,
        request: Request<pb::ListPhoneNumbersRequest>,
    ) -> Answer<pb::ListPhoneNumbersResponse> {
        answer(
            self.page_of_numbers(request.into_inner()).await,
            Repeat::Safe,
        )
    }

    async fn update_phone_number(
        &self,
        request: Request<pb::UpdatePhoneNumberRequest>,
    ) -> Answer<pb::UpdatePhoneNumberResponse> {
        let done = async {
            let request = request.into_inner();
            let given = request.phone_number.unwrap_or_default();
            let (id, change) = number_change(&given, request.update_mask)?;
            self.0
                .write(move |api, tx| phone_numbers::update(tx, api.workspace, id, &change))
                .await
        };
        let to_response = |number| pb::UpdatePhoneNumberResponse {
            phone_number: Some(to_number(number)),
        };
        answer(done.await.map(to_response), Repeat::Safe)
    }

    async fn delete_phone_number(
        &self,
        request: Request<pb::DeletePhoneNumberRequest>,
    ) -> Answer<pb::DeletePhoneNumberResponse> {
        let done = async {
            let text = &request.get_ref().phone_number_id;
            let id = required_id("phone_number_id", text, PhoneNumberId::parse)?;
            self.0
                .write(move |api, tx| phone_numbers::delete(tx, api.workspace, id))
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
        let id = &request.get_ref().phone_number_id;
        let done = self.set_number_status(id, NumberStatus::Active).await;
        let to_response = |number| pb::ActivatePhoneNumberResponse {
            phone_number: Some(number),
        };
        answer(done.map(to_response), Repeat::Safe)
    }

    async fn deactivate_phone_number(
        &self,
        request: Request<pb::DeactivatePhoneNumberRequest>,
    ) -> Answer<pb::DeactivatePhoneNumberResponse> {
        let id = &request.get_ref().phone_number_id;
        let done = self.set_number_status(id, NumberStatus::Inactive).await;
        let to_response = |number| pb::DeactivatePhoneNumberResponse {
            phone_number: Some(number),
        };
        answer(done.map(to_response), Repeat::Safe)
    }
}

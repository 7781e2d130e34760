//! VoicemailService: convert, call ops, convert back. What brings audio or a message is in `sends`.

use std::sync::Arc;

use prost::bytes::Bytes;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::convert::gates::{check_request, to_checked};
use super::convert::voicemail::{filter, report_request, to_audio, to_report, to_voicemail};
use super::convert::{Fields, required_id};
use super::pb::voicemail_service_server::VoicemailService;
use super::status::refuse_blind_repeat;
use super::{Answer, Api, Repeat, answer, go_on, pb, to_status};
use crate::domain::ids::{AudioId, VoicemailId};
use crate::intake::IDLE_MAX;
use crate::ops::error::{OpError, Result, Violation};
use crate::ops::{audio, check_recipient, report, voicemails};

/// Chunks of a download that are made ahead of a slow reader.
const DOWNLOAD_AHEAD: usize = 2;

pub struct Voicemails(pub Arc<Api>);

impl Voicemails {
    async fn find_audio(&self, audio_id: &str) -> Result<crate::domain::voicemail::Audio> {
        let id = required_id("audio_id", audio_id, AudioId::parse)?;
        self.0
            .read(move |api, tx| audio::get(tx, api.workspace, id))
            .await
    }

    async fn list(
        &self,
        mut request: pb::ListVoicemailsRequest,
    ) -> Result<pb::ListVoicemailsResponse> {
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let mut fields = Fields::default();
        let limit = fields.page_size(size);
        let filter = filter(&mut fields, &request, &self.0.numbers);
        fields.finish(Some(()))?;
        let page = self
            .0
            .page_tokens
            .page(&token, limit, &request, "voicemails")?;
        let workspace = self.0.workspace;

        let found = self
            .0
            .store
            .read(move |tx| tx.list_voicemails(workspace, &filter, page))
            .await?;
        let (voicemails, next_page_token) =
            self.0
                .page_tokens
                .fill(found, limit, (&request, "voicemails"), |found| {
                    to_voicemail(found, true)
                });
        Ok(pb::ListVoicemailsResponse {
            voicemails,
            next_page_token,
        })
    }
}

/// How much of a voicemail is asked for: all of it?
fn is_full(view: i32) -> Result<bool> {
    match pb::VoicemailView::try_from(view) {
        Ok(pb::VoicemailView::Full) => Ok(true),
        Ok(pb::VoicemailView::Unspecified | pb::VoicemailView::Basic) => Ok(false),
        Err(_) => Err(OpError::InvalidFields(vec![Violation::field(
            "view",
            format!("{view} is unknown; give VOICEMAIL_VIEW_BASIC, VOICEMAIL_VIEW_FULL or none"),
        )])),
    }
}

fn voicemail_id(text: &str) -> Result<VoicemailId> {
    required_id("voicemail_id", text, VoicemailId::parse)
}

#[tonic::async_trait]
impl VoicemailService for Voicemails {
    async fn send_voicemail(
        &self,
        request: Request<Streaming<pb::SendVoicemailRequest>>,
    ) -> Answer<pb::SendVoicemailResponse> {
        let (done, repeat) = self.send(request).await;
        answer(
            done.map(|voicemail| pb::SendVoicemailResponse {
                voicemail: Some(voicemail),
            }),
            repeat,
        )
    }

    async fn create_voicemail(
        &self,
        request: Request<pb::CreateVoicemailRequest>,
    ) -> Answer<pb::CreateVoicemailResponse> {
        // The extensions hold the message's room in the memory budget until the call is done.
        let (metadata, _extensions, request) = request.into_parts();
        let has_id = request
            .metadata
            .as_ref()
            .is_some_and(|given| given.validate_only || !given.request_id.is_empty());
        let repeat = match has_id {
            true => Repeat::Safe,
            false => Repeat::Unsafe {
                method: "CreateVoicemail",
            },
        };
        refuse_blind_repeat(&metadata, repeat).map_err(|error| super::to_status(error, repeat))?;
        let done = self.create(request).await;
        answer(
            done.map(|voicemail| pb::CreateVoicemailResponse {
                voicemail: Some(voicemail),
            }),
            repeat,
        )
    }

    async fn upload_audio(
        &self,
        request: Request<Streaming<pb::UploadAudioRequest>>,
    ) -> Answer<pb::UploadAudioResponse> {
        let done = self.upload(request).await;
        answer(
            done.map(|audio| pb::UploadAudioResponse { audio: Some(audio) }),
            Repeat::Safe,
        )
    }

    async fn get_audio(
        &self,
        request: Request<pb::GetAudioRequest>,
    ) -> Answer<pb::GetAudioResponse> {
        let done = self.find_audio(&request.get_ref().audio_id).await;
        answer(
            done.map(|audio| pb::GetAudioResponse {
                audio: Some(to_audio(audio)),
            }),
            Repeat::Safe,
        )
    }

    type DownloadAudioStream =
        ReceiverStream<std::result::Result<pb::DownloadAudioResponse, Status>>;

    async fn download_audio(
        &self,
        request: Request<pb::DownloadAudioRequest>,
    ) -> Answer<Self::DownloadAudioStream> {
        use pb::download_audio_response::Part;
        let found = self.find_audio(&request.get_ref().audio_id).await;
        let found = found.map_err(|error| to_status(error, Repeat::Safe))?;
        let (sender, receiver) = tokio::sync::mpsc::channel(DOWNLOAD_AHEAD);
        let store = self.0.store.clone();
        let download = async move {
            let message = |part| Ok(pb::DownloadAudioResponse { part: Some(part) });
            let (id, size) = (found.id, found.size_bytes);
            // A reader who has gone ends it.
            if sender
                .send(message(Part::Audio(to_audio(found))))
                .await
                .is_err()
            {
                return;
            }
            let mut offset = 0;
            while offset < size {
                let part = store
                    .read(move |tx| tx.read_audio_part(id, offset, audio::DOWNLOAD_CHUNK_BYTES))
                    .await;
                let next = match part {
                    Ok(part) if !part.is_empty() => {
                        offset += part.len() as u64;
                        message(Part::Chunk(Bytes::from(part)))
                    }
                    Ok(_) => Err(to_status(
                        OpError::Internal("stored audio is shorter than it was".to_owned()),
                        Repeat::Safe,
                    )),
                    Err(error) => Err(to_status(OpError::Storage(error), Repeat::Safe)),
                };
                let is_over = next.is_err();
                // A reader who takes nothing for long is given up.
                let sent = tokio::time::timeout(IDLE_MAX, sender.send(next)).await;
                if is_over || !matches!(sent, Ok(Ok(()))) {
                    return;
                }
            }
        };
        go_on(download);
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn get_voicemail(
        &self,
        request: Request<pb::GetVoicemailRequest>,
    ) -> Answer<pb::GetVoicemailResponse> {
        let done = async {
            let request = request.get_ref();
            let id = voicemail_id(&request.voicemail_id)?;
            let is_full = is_full(request.view)?;
            // Its row and its attempts are of the same moment.
            self.0
                .read_one_moment(move |api, tx| {
                    let mut found = voicemails::explained(tx, api.workspace, id, &api.registry)?;
                    if is_full {
                        found.gate_checks = tx.gate_checks(id)?;
                    }
                    Ok(found)
                })
                .await
        };
        answer(
            done.await.map(|found| pb::GetVoicemailResponse {
                voicemail: Some(to_voicemail(found, true)),
            }),
            Repeat::Safe,
        )
    }

    async fn list_voicemails(
        &self,
        request: Request<pb::ListVoicemailsRequest>,
    ) -> Answer<pb::ListVoicemailsResponse> {
        answer(self.list(request.into_inner()).await, Repeat::Safe)
    }

    async fn cancel_voicemail(
        &self,
        request: Request<pb::CancelVoicemailRequest>,
    ) -> Answer<pb::CancelVoicemailResponse> {
        let done = async {
            let id = voicemail_id(&request.get_ref().voicemail_id)?;
            self.0
                .write(move |api, tx| voicemails::cancel(tx, api.workspace, id))
                .await
        };
        answer(
            done.await.map(|found| pb::CancelVoicemailResponse {
                voicemail: Some(to_voicemail(found, true)),
            }),
            Repeat::Safe,
        )
    }

    async fn check_recipient(
        &self,
        request: Request<pb::CheckRecipientRequest>,
    ) -> Answer<pb::CheckRecipientResponse> {
        let done = async {
            let request = check_request(request.get_ref(), &self.0.gates)?;
            self.0
                .read(move |api, tx| {
                    check_recipient::check(tx, api.workspace, &api.gates, &api.registry, &request)
                })
                .await
        };
        answer(done.await.map(to_checked), Repeat::Safe)
    }

    async fn get_delivery_report(
        &self,
        request: Request<pb::GetDeliveryReportRequest>,
    ) -> Answer<pb::GetDeliveryReportResponse> {
        let done = async {
            let request = report_request(request.get_ref(), &self.0.numbers)?;
            self.0
                .read_one_moment(move |api, tx| report::make(tx, api.workspace, &request))
                .await
        };
        answer(done.await.map(to_report), Repeat::Safe)
    }
    async fn batch_send_voicemails(
        &self,
        request: Request<pb::BatchSendVoicemailsRequest>,
    ) -> Answer<pb::BatchSendVoicemailsResponse> {
        // The extensions hold the message's room in the memory budget until the call is done.
        let (_, _extensions, request) = request.into_parts();
        answer(self.send_batch(request).await, Repeat::Safe)
    }

    async fn update_voicemail(
        &self,
        request: Request<pb::UpdateVoicemailRequest>,
    ) -> Answer<pb::UpdateVoicemailResponse> {
        answer(self.update(request.into_inner()).await, Repeat::Safe)
    }

    async fn cancel_voicemails(
        &self,
        request: Request<pb::CancelVoicemailsRequest>,
    ) -> Answer<pb::CancelVoicemailsResponse> {
        answer(self.cancel_many(request.into_inner()).await, Repeat::Safe)
    }
}

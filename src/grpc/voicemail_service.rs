//! VoicemailService: convert, call ops, convert back. The streaming calls go through `intake`.

use std::sync::Arc;
use std::time::Duration;

use prost::bytes::Bytes;
use tokio::sync::SemaphorePermit;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Request, Response, Status, Streaming};

use super::convert::gates::{check_request, to_checked};
use super::convert::voicemail::{draft, filter, report_request, to_audio, to_report, to_voicemail};
use super::convert::{Fields, required_id};
use super::pb::send_voicemail_request::Payload as SendPayload;
use super::pb::upload_audio_request::Payload as UploadPayload;
use super::pb::voicemail_service_server::VoicemailService;
use super::status::refuse_blind_repeat;
use super::{Answer, Api, Repeat, answer, go_on, pb, to_status};
use crate::audio::{BYTES_MAX, Judge};
use crate::crash;
use crate::domain::ids::{AudioId, VoicemailId};
use crate::intake::{
    Arrivals, Body, CHUNK_BYTES_MAX, IDLE_MAX, Incoming, Meter, Part, Received, Uploads,
};
use crate::ops::batch::Recipient;
use crate::ops::error::{OpError, Result, Violation};
use crate::ops::send_together::ReadySend;
use crate::ops::send_voicemail::{Accepted, AudioInput, Draft, time_faults};
use crate::ops::{audio, check_recipient, report, voicemails};

/// Audio in one message of CreateVoicemail: 3 MiB, which fits every client's default limit.
pub const CREATE_BYTES_MAX: u64 = 3 * 1_024 * 1_024;
/// How soon a stream ends whose caller has nothing more to say.
const END_COMES_WITHIN: Duration = Duration::from_millis(20);
/// Chunks of a download that are made ahead of a slow reader.
const DOWNLOAD_AHEAD: usize = 2;

pub struct Voicemails(pub Arc<Api>);

impl Voicemails {
    async fn send(
        &self,
        request: Request<Streaming<pb::SendVoicemailRequest>>,
    ) -> (Result<pb::Voicemail>, Repeat) {
        let (metadata, extensions, stream) = request.into_parts();
        let mut repeat = Repeat::Unsafe {
            method: "SendVoicemail",
        };
        let parts = parts(
            stream,
            meter(&extensions),
            &self.0.uploads,
            |message| match message.payload {
                Some(SendPayload::Metadata(metadata)) => Part::Metadata(metadata),
                Some(SendPayload::AudioChunk(chunk)) => Part::Chunk(chunk),
                None => Part::Nothing,
            },
        );
        let mut incoming = Incoming::new(parts, arrivals(&extensions));
        let done = async {
            let draft = self.read_draft(incoming.metadata().await?).await?;
            repeat = match draft.validate_only {
                true => Repeat::Safe,
                false => Repeat::if_given(&draft.request_id, "SendVoicemail"),
            };
            refuse_blind_repeat(&metadata, repeat)?;
            let input = match draft.audio_id {
                Some(_) => {
                    self.end_of_named(&mut incoming, &draft).await?;
                    Finished::NAMED
                }
                None => {
                    self.0.accepts.judge(&draft).await?;
                    let body = Body::new(self.0.uploads.admit()?);
                    self.finish_upload(incoming.audio(body).await?).await?
                }
            };
            self.accept(draft, input).await
        };
        (done.await, repeat)
    }

    async fn create(&self, request: pb::CreateVoicemailRequest) -> Result<pb::Voicemail> {
        let given = request.audio.len() as u64;
        let draft = match (request.metadata, given) {
            (Some(metadata), 0) => self.read_draft(metadata).await?,
            (Some(metadata), _) if metadata.audio_id.is_empty() => {
                self.read_draft(metadata).await?
            }
            (Some(metadata), _) => {
                let why = "it stands beside audio_id, which names stored audio. Give one of them";
                let mut violations = vec![Violation::field("audio", why)];
                if let Err(OpError::InvalidFields(more)) = self.read_draft(metadata).await {
                    violations.extend(more);
                }
                return Err(OpError::InvalidFields(violations));
            }
            (None, _) => {
                let why = "it is missing; give use_case_id and recipient_phone_number at least";
                return Err(OpError::InvalidFields(vec![Violation::field(
                    "metadata", why,
                )]));
            }
        };
        let input = match draft.audio_id {
            Some(_) => Finished::NAMED,
            None => {
                self.0.accepts.judge(&draft).await?;
                if given > CREATE_BYTES_MAX && given <= BYTES_MAX {
                    return Err(OpError::AudioTooLargeForOneMessage {
                        given: Some(given),
                        allowed: CREATE_BYTES_MAX,
                    });
                }
                let mut body = Body::new(self.0.uploads.admit()?);
                let mut judge = Judge::new();
                judge.push(&request.audio)?;
                body.push(&request.audio).await?;
                self.finish_upload(Received {
                    walked: judge.finish()?,
                    body,
                })
                .await?
            }
        };
        self.accept(draft, input).await
    }

    /// The end of a stream that names its audio. Who does not end it at once is judged before, so as not to hear only
    /// in the end what could be said at the beginning; the others are judged where they are stored.
    async fn end_of_named(
        &self,
        incoming: &mut Incoming<'_, pb::SendVoicemailMetadata>,
        draft: &Draft,
    ) -> Result<()> {
        let ended = tokio::time::timeout(END_COMES_WITHIN, incoming.end()).await;
        if let Ok(Ok(())) = ended {
            return Ok(());
        }
        self.0.accepts.judge(draft).await?;
        match ended {
            Ok(wrong) => wrong,
            Err(_) => incoming.end().await,
        }
    }

    /// A draft, or every bad field at once, those included that depend on today's time.
    async fn read_draft(&self, metadata: pb::SendVoicemailMetadata) -> Result<Draft> {
        match draft(metadata, &self.0.gates) {
            Recipient::Good(draft) => Ok(draft),
            Recipient::Bad {
                mut violations,
                schedule_time,
                expire_time,
            } => {
                if schedule_time.is_some() || expire_time.is_some() {
                    let now = self.0.store.now().await?;
                    violations.extend(time_faults("metadata.", schedule_time, expire_time, now));
                }
                Err(OpError::InvalidFields(violations))
            }
        }
    }

    /// Puts an upload together and checks its sound. Its permit lasts until it is stored.
    async fn finish_upload(&self, received: Received) -> Result<Finished<'_>> {
        let Received { walked, body } = received;
        let permit = self.0.finishing(body.size()).await?;
        let heard = self.0.heard.clone();
        let sounded = tokio::task::spawn_blocking(move || {
            let bytes = body.into_bytes()?;
            heard.check_sound(&walked, &bytes)?;
            Ok::<_, OpError>(AudioInput::New {
                audio: audio::describe(&walked),
                bytes,
            })
        });
        match sounded.await {
            Ok(sounded) => Ok(Finished {
                input: sounded?,
                _permit: Some(permit),
            }),
            Err(panicked) => Err(OpError::Internal(panicked.to_string())),
        }
    }

    async fn accept(&self, draft: Draft, finished: Finished<'_>) -> Result<pb::Voicemail> {
        let Finished { input, _permit } = finished;
        match self.0.accepts.accept(ReadySend { draft, input }).await? {
            Accepted::New(voicemail) => {
                self.0.metrics.accepted(1);
                self.0.wake.wake();
                Ok(to_voicemail(voicemail, true))
            }
            Accepted::Known(voicemail) => Ok(to_voicemail(voicemail, true)),
            Accepted::Judged(voicemail) => Ok(to_voicemail(voicemail, false)),
        }
    }

    async fn upload(
        &self,
        request: Request<Streaming<pb::UploadAudioRequest>>,
    ) -> Result<pb::Audio> {
        let (_, extensions, stream) = request.into_parts();
        let parts = parts(
            stream,
            meter(&extensions),
            &self.0.uploads,
            |message| match message.payload {
                Some(UploadPayload::Metadata(metadata)) => Part::Metadata(metadata),
                Some(UploadPayload::AudioChunk(chunk)) => Part::Chunk(chunk),
                None => Part::Nothing,
            },
        );
        let mut incoming = Incoming::new(parts, arrivals(&extensions));
        let pb::UploadAudioMetadata {} = incoming.metadata().await?;
        let body = Body::new(self.0.uploads.admit()?);
        let received = incoming.audio(body).await?;
        let Finished { input, _permit } = self.finish_upload(received).await?;
        let AudioInput::New { audio, bytes } = input else {
            return Err(OpError::Internal(
                "an upload came to stored audio".to_owned(),
            ));
        };
        let workspace = self.0.workspace;
        let stored = self
            .0
            .store
            .write(move |tx| {
                let stored = audio::upload(tx, workspace, &audio, &bytes);
                crash::after("upload.written", stored)
            })
            .await?;
        crash::point("upload.committed");
        Ok(to_audio(stored))
    }

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

/// Audio that is ready to be stored, with the permit of those whose bytes are held for it.
struct Finished<'p> {
    input: AudioInput,
    _permit: Option<SemaphorePermit<'p>>,
}

impl Finished<'_> {
    /// Audio that is stored already.
    const NAMED: Self = Finished {
        input: AudioInput::Named,
        _permit: None,
    };
}

/// The messages of a client stream as parts of an upload.
fn parts<T, M>(
    stream: Streaming<T>,
    meter: Option<Arc<Meter>>,
    uploads: &Uploads,
    part: impl Fn(T) -> Part<M> + Send,
) -> impl Stream<Item = Result<Part<M>>> + Send
where
    T: Send + 'static,
    M: Send,
{
    let uploads = uploads.clone();
    stream.map(move |message| match message {
        Ok(message) => {
            // What is whole is counted by who takes it.
            if let Some(meter) = &meter {
                meter.give_back();
            }
            Ok(part(message))
        }
        // The library's word for a message above the decoding limit, of which it does not say the size.
        Err(status) if status.code() == Code::OutOfRange => Err(OpError::ChunkTooLarge {
            given: None,
            allowed: CHUNK_BYTES_MAX,
        }),
        Err(status) => match status.code() {
            Code::Internal | Code::Unimplemented => Err(OpError::Undecodable),
            Code::ResourceExhausted => Err(uploads.refusal()),
            _ => Err(OpError::CallerGone),
        },
    })
}

pub(super) fn meter(extensions: &tonic::Extensions) -> Option<Arc<Meter>> {
    extensions.get::<Arc<Meter>>().cloned()
}

fn arrivals(extensions: &tonic::Extensions) -> Arrivals {
    extensions.get::<Arrivals>().cloned().unwrap_or_default()
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
            self.0
                .read(move |api, tx| {
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

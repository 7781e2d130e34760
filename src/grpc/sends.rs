//! What brings audio or a message: SendVoicemail, CreateVoicemail and UploadAudio, from the request to what is stored.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::SemaphorePermit;
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Request, Streaming};

use super::convert::voicemail::{draft, to_audio, to_voicemail};
use super::pb::send_voicemail_request::Payload as SendPayload;
use super::pb::upload_audio_request::Payload as UploadPayload;
use super::status::refuse_blind_repeat;
use super::voicemail_service::Voicemails;
use super::{Repeat, pb};
use crate::audio::{BYTES_MAX, Judge};
use crate::crash;
use crate::intake::{Arrivals, Body, CHUNK_BYTES_MAX, Incoming, Meter, Part, Received, Uploads};
use crate::ops::audio;
use crate::ops::batch::Recipient;
use crate::ops::error::{OpError, Result, Violation};
use crate::ops::send_together::ReadySend;
use crate::ops::send_voicemail::{Accepted, AudioInput, Draft, time_faults};

/// Audio in one message of CreateVoicemail: 3 MiB, which fits every client's default limit.
pub const CREATE_BYTES_MAX: u64 = 3 * 1_024 * 1_024;
/// How soon a stream ends whose caller has nothing more to say.
const END_COMES_WITHIN: Duration = Duration::from_millis(20);

impl Voicemails {
    pub(super) async fn send(
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

    pub(super) async fn create(
        &self,
        request: pb::CreateVoicemailRequest,
    ) -> Result<pb::Voicemail> {
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
                body.push(request.audio.clone()).await?;
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
            let known = heard.check_sound(&walked, &bytes)?;
            Ok::<_, OpError>(AudioInput::New {
                audio: audio::describe(&walked),
                bytes,
                known,
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

    pub(super) async fn upload(
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
        let AudioInput::New { audio, bytes, .. } = input else {
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

//! Audio over the wire: uploads, downloads, refusals, and the bounds of all of it.

use ringless::audio::testing::silent_mp3;
use ringless::grpc::pb;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::Engine;
use crate::support::app::{TestApp, facts, messages, messages_of_upload, reason};
use crate::support::data::mp3;

crate::on_both_databases!(
    an_upload_answers_the_same_audio_for_the_same_bytes,
    a_download_gives_every_byte_back,
    other_formats_are_refused_with_the_right_reason,
    every_accepted_fixture_is_accepted,
    ten_seconds_sixty_seconds_and_eight_mebibytes_are_the_borders,
    messages_out_of_order_are_refused,
    who_names_audio_and_goes_on_is_told_at_once_what_is_wrong,
    a_chunk_is_held_to_one_mebibyte,
    one_upload_too_many_is_refused_at_its_metadata,
    audio_larger_than_the_memory_budget_goes_through_the_spool,
);

async fn upload(app: &TestApp, audio: &[u8]) -> Result<pb::Audio, Status> {
    let chunks = messages_of_upload(audio);
    Ok(app
        .voicemails()
        .upload_audio(tokio_stream::iter(chunks))
        .await?
        .into_inner()
        .audio
        .unwrap())
}

async fn download(app: &TestApp, audio_id: &str) -> Result<(pb::Audio, Vec<u8>), Status> {
    use pb::download_audio_response::Part;
    let request = pb::DownloadAudioRequest {
        audio_id: audio_id.to_owned(),
    };
    let mut stream = app.voicemails().download_audio(request).await?.into_inner();
    let Some(Part::Audio(audio)) = stream.message().await?.unwrap().part else {
        panic!("audio first")
    };
    let mut bytes = Vec::new();
    while let Some(message) = stream.message().await? {
        let Some(Part::Chunk(chunk)) = message.part else {
            panic!("then chunks")
        };
        bytes.extend_from_slice(&chunk);
    }
    Ok((audio, bytes))
}

async fn an_upload_answers_the_same_audio_for_the_same_bytes(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let bytes = mp3(1);
    let first = upload(&app, &bytes).await.unwrap();
    assert_eq!(first.size_bytes, bytes.len() as i64);
    assert_eq!(first.sha256.len(), 64);
    let duration = first.duration.unwrap();
    assert!(
        (10..=12).contains(&duration.seconds) && duration.nanos % 1_000_000 == 0,
        "{duration:?}"
    );
    assert_eq!(upload(&app, &bytes).await.unwrap(), first);
    assert_ne!(upload(&app, &mp3(2)).await.unwrap().id, first.id);
    let read = app
        .voicemails()
        .get_audio(pb::GetAudioRequest {
            audio_id: first.id.clone(),
        })
        .await
        .unwrap();
    assert_eq!(read.into_inner().audio, Some(first));
}

async fn a_download_gives_every_byte_back(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    for bytes in [mp3(1), ringless::app::SAMPLE_MP3.to_vec(), padded(500_000)] {
        let audio = upload(&app, &bytes).await.unwrap();
        assert_eq!(download(&app, &audio.id).await.unwrap(), (audio, bytes));
    }
    let unknown = download(&app, &uuid::Uuid::now_v7().to_string())
        .await
        .unwrap_err();
    assert_eq!(
        (unknown.code(), reason(&unknown).as_str()),
        (Code::NotFound, "AUDIO_NOT_FOUND")
    );
}

/// The carried files whose names begin with `verdict`.
fn fixtures(verdict: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir("tests/fixtures/audio")
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(verdict))
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                std::fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}

async fn other_formats_are_refused_with_the_right_reason(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    for (prefix, wanted, at_least) in [
        ("not_mp3-", "AUDIO_NOT_MP3", 12),
        ("corrupt-", "AUDIO_CORRUPT", 1),
        ("too_short-", "AUDIO_TOO_SHORT", 1),
        ("too_long-", "AUDIO_TOO_LONG", 1),
    ] {
        let files = fixtures(prefix);
        assert!(files.len() >= at_least, "{prefix}: {}", files.len());
        for (name, bytes) in files {
            let refused = app.send(app.metadata(), &bytes).await.unwrap_err();
            assert_eq!(
                (refused.code(), reason(&refused).as_str()),
                (Code::InvalidArgument, wanted),
                "{name}"
            );
        }
    }
    let noise: Vec<u8> = (0..200_000_u64)
        .map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8)
        .collect();
    for (name, bytes) in [
        ("zeros", vec![0; 200_000]),
        ("noise", noise),
        ("0xFF", vec![0xFF; 200_000]),
        ("text", b"plain words, ".repeat(20_000)),
    ] {
        let refused = app.send(app.metadata(), &bytes).await.unwrap_err();
        assert_eq!(reason(&refused), "AUDIO_NOT_MP3", "{name}");
    }
    assert_eq!(
        reason(&app.send(app.metadata(), &[]).await.unwrap_err()),
        "AUDIO_MISSING"
    );
    assert_eq!(app.database.count("SELECT count(*) FROM voicemails"), 0);
}

async fn every_accepted_fixture_is_accepted(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let files = fixtures("accepted-");
    assert!(files.len() >= 20);
    for (name, bytes) in files {
        let sent = app.send(app.metadata(), &bytes).await;
        assert!(sent.is_ok(), "{name}: {sent:?}");
    }
}

/// An MP3 of some 11 s behind an ID3v2 tag that fills it up to `size` bytes.
fn padded(size: usize) -> Vec<u8> {
    let mp3 = mp3(5);
    let tag = size - mp3.len() - 10;
    let mut bytes = b"ID3\x03\x00\x00".to_vec();
    bytes.extend((0..4).map(|at| ((tag >> (7 * (3 - at))) & 0x7f) as u8));
    bytes.resize(size - mp3.len(), 0);
    bytes.extend(mp3);
    bytes
}

async fn ten_seconds_sixty_seconds_and_eight_mebibytes_are_the_borders(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    // At 16 kHz a frame is 36 ms; 32 kHz gives 36 ms too. 10 s lies between 277 and 278 frames.
    for (frames, wanted) in [
        (277, Some("AUDIO_TOO_SHORT")),
        (278, None),
        (1_675, None),
        (1_676, Some("AUDIO_TOO_LONG")),
    ] {
        let sent = app.send(app.metadata(), &silent_mp3(16_000, frames)).await;
        assert_eq!(
            sent.err().map(|refused| reason(&refused)).as_deref(),
            wanted,
            "{frames} frames of 36 ms"
        );
    }
    // 72 ms at 8 kHz; 125 frames of 80 samples' worth do not exist, but 24 ms at 48 kHz: 10.008 s and 9.984 s.
    for (frames, is_taken) in [(416, false), (417, true)] {
        let sent = app.send(app.metadata(), &silent_mp3(48_000, frames)).await;
        assert_eq!(sent.is_ok(), is_taken, "{frames} frames of 24 ms");
    }
    const MAX: usize = 8_388_608;
    for (size, wanted) in [
        (MAX - 1, None),
        (MAX, None),
        (MAX + 1, Some("AUDIO_TOO_LARGE")),
    ] {
        let sent = app.send(app.metadata(), &padded(size)).await;
        assert_eq!(
            sent.err().map(|refused| reason(&refused)).as_deref(),
            wanted,
            "{size} bytes"
        );
    }
}

async fn messages_out_of_order_are_refused(engine: Engine) {
    let app = TestApp::start_api(engine).await;
    let send = |messages: Vec<pb::SendVoicemailRequest>| {
        let mut client = app.voicemails();
        async move {
            client
                .send_voicemail(tokio_stream::iter(messages))
                .await
                .unwrap_err()
        }
    };
    let good = messages(app.metadata(), &mp3(1));
    let chunk_first = good[1..].to_vec();
    let twice = vec![good[0].clone(), good[1].clone(), good[0].clone()];
    let nothing = vec![good[0].clone(), pb::SendVoicemailRequest { payload: None }];
    for (messages, number) in [
        (chunk_first, "1"),
        (Vec::new(), "1"),
        (twice, "3"),
        (nothing, "2"),
    ] {
        let (code, reason, metadata) = facts(&send(messages).await);
        assert_eq!(
            (code, reason.as_str(), metadata["message_number"].as_str()),
            (Code::InvalidArgument, "STREAM_ORDER", number)
        );
    }
    let stored = pb::SendVoicemailMetadata {
        audio_id: app.sample_audio_id().await,
        ..app.metadata()
    };
    assert_eq!(
        reason(&send(messages(stored.clone(), &mp3(1))).await),
        "STREAM_ORDER"
    );
    assert!(app.send(stored, &[]).await.is_ok());
}

/// The rest of the stream never comes, and is not waited for.
async fn who_names_audio_and_goes_on_is_told_at_once_what_is_wrong(engine: Engine) {
    use tokio_stream::StreamExt;
    let app = TestApp::start_api(engine).await;
    let unknown = uuid::Uuid::now_v7().to_string();
    let stored = pb::SendVoicemailMetadata {
        audio_id: app.sample_audio_id().await,
        ..app.metadata()
    };
    let cases = [
        pb::SendVoicemailMetadata {
            audio_id: unknown.clone(),
            ..app.metadata()
        },
        pb::SendVoicemailMetadata {
            use_case_id: unknown,
            ..stored
        },
    ];
    for (metadata, wanted) in cases
        .into_iter()
        .zip(["AUDIO_NOT_FOUND", "USE_CASE_NOT_FOUND"])
    {
        let first = messages(metadata, &[]).into_iter().take(1);
        let open = tokio_stream::iter(first).chain(tokio_stream::pending());
        let refused = app.voicemails().send_voicemail(open).await.unwrap_err();
        assert_eq!(reason(&refused), wanted);
    }
}

async fn a_chunk_is_held_to_one_mebibyte(engine: Engine) {
    use pb::send_voicemail_request::Payload;
    let app = TestApp::start_api(engine).await;
    let audio = padded(5 * 1_024 * 1_024);
    for (size, is_taken) in [
        (1_048_575, true),
        (1_048_576, true),
        (1_048_577, false),
        (5_000_000, false),
    ] {
        let chunks = audio
            .chunks(size)
            .map(|chunk| Payload::AudioChunk(chunk.to_vec().into()));
        let messages: Vec<_> = std::iter::once(Payload::Metadata(app.metadata()))
            .chain(chunks)
            .map(|payload| pb::SendVoicemailRequest {
                payload: Some(payload),
            })
            .collect();
        let sent = app
            .voicemails()
            .send_voicemail(tokio_stream::iter(messages))
            .await;
        assert_eq!(sent.is_ok(), is_taken, "{size}");
        if let Err(refused) = sent {
            let (_, reason, metadata) = facts(&refused);
            // The size of a message that was not read is not known.
            let given = (size < 4_000_000).then(|| size.to_string());
            assert_eq!(
                (reason.as_str(), metadata.get("chunk_bytes").cloned()),
                ("CHUNK_TOO_LARGE", given)
            );
        }
    }
}

async fn one_upload_too_many_is_refused_at_its_metadata(engine: Engine) {
    // Room for two: 8 MiB of memory and 8 of spool.
    let app = TestApp::start_with(
        engine,
        "roles = ['api']\n[accept]\nupload_memory_mib = 8\nupload_spool_mib = 8",
    )
    .await;
    let (first, second) = (app.open_upload().await, app.open_upload().await);
    let refused = upload(&app, &mp3(1)).await.unwrap_err();
    let (code, reason_text, metadata) = facts(&refused);
    assert_eq!(
        (code, reason_text.as_str(), metadata["uploads_max"].as_str()),
        (Code::ResourceExhausted, "TOO_MANY_UPLOADS", "2")
    );
    assert!(refused.get_error_details().retry_info().is_some());
    assert!(refused.metadata().get("grpc-retry-pushback-ms").is_some());
    // What was admitted goes on, and its room is there again afterwards.
    for call in [first, second] {
        assert_eq!(reason(&call.finish().await.unwrap_err()), "AUDIO_MISSING");
    }
    assert!(upload(&app, &mp3(1)).await.is_ok());
}

async fn audio_larger_than_the_memory_budget_goes_through_the_spool(engine: Engine) {
    let app = std::sync::Arc::new(
        TestApp::start_with(
            engine,
            "roles = ['api']\n[accept]\nupload_memory_mib = 8\nupload_spool_mib = 64",
        )
        .await,
    );
    let mut uploads = tokio::task::JoinSet::new();
    for seed in 0..6_u8 {
        let app = app.clone();
        uploads.spawn(async move {
            let mut audio = padded(6_000_000);
            // Different audio each: a byte within the tag.
            audio[20] = seed;
            let stored = upload(&app, &audio).await.unwrap();
            download(&app, &stored.id).await.unwrap().1 == audio
        });
    }
    assert!(uploads.join_all().await.into_iter().all(|is_same| is_same));
    let spool: Vec<_> = std::fs::read_dir(app.data.path().join("spool"))
        .map(Iterator::collect)
        .unwrap_or_default();
    assert!(spool.is_empty(), "spool files have no names: {spool:?}");
}

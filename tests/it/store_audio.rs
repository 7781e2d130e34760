//! What storage promises of audio, on both databases.

use std::time::Duration;

use ringless::domain::ids::AudioId;
use ringless::domain::voicemail::Audio;
use ringless::storage::Error;

use crate::support::data::{Scene, WORKSPACE, described, mp3};
use crate::support::scripted::{NEITHER, Scripted};
use crate::support::{Engine, TestStore};

crate::on_both_databases!(
    audio_is_stored_once_by_content,
    audio_comes_back_in_parts,
    unused_audio_is_dropped_after_seven_days_and_used_audio_never,
);

async fn audio_is_stored_once_by_content(engine: Engine) {
    let test = TestStore::new(engine).await;
    let mut stores = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, now) = (test.store.clone(), test.clock.now());
        stores.spawn(async move {
            let bytes = mp3(1);
            // Each with an id of its own; the first one stays.
            let audio = Audio {
                create_time: now,
                ..described(&bytes)
            };
            store
                .write::<_, Error, _>(move |tx| tx.put_audio(WORKSPACE, &audio, &bytes))
                .await
                .unwrap()
        });
    }
    let stored = stores.join_all().await;
    assert!(stored.iter().all(|audio| *audio == stored[0]));
    assert_eq!(test.database.count("SELECT count(*) FROM audios"), 1);
    assert_eq!(test.database.count("SELECT count(*) FROM audio_bytes"), 1);
}

async fn audio_comes_back_in_parts(engine: Engine) {
    let test = TestStore::new(engine).await;
    let bytes = mp3(2);
    let audio = Audio {
        create_time: test.clock.now(),
        ..described(&bytes)
    };
    let (stored, copy) = (audio.clone(), bytes.clone());
    test.write(move |tx| tx.put_audio(WORKSPACE, &stored, &copy))
        .await;
    let id = audio.id;
    let mut read = Vec::new();
    loop {
        let offset = read.len() as u64;
        let part = test
            .read(move |tx| tx.read_audio_part(id, offset, 1_000))
            .await;
        assert!(part.len() <= 1_000);
        if part.is_empty() {
            break;
        }
        read.extend(part);
    }
    assert_eq!(read, bytes);
    assert_eq!(test.read(move |tx| tx.read_audio(id)).await, Some(bytes));
    assert_eq!(
        test.read(|tx| tx.read_audio(AudioId::generate())).await,
        None
    );
}

async fn unused_audio_is_dropped_after_seven_days_and_used_audio_never(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    scene.accept("+12125550100").await;
    let bytes = mp3(99);
    let audio = Audio {
        create_time: scene.test.clock.now(),
        ..described(&bytes)
    };
    let id = audio.id;
    scene
        .test
        .write(move |tx| tx.put_audio(WORKSPACE, &audio, &bytes))
        .await;
    let sweep = || scene.test.store.write(ringless::ops::audio::drop_unused);
    let week = Duration::from_secs(7 * 24 * 3_600);
    scene.advance(week);
    assert_eq!(sweep().await.unwrap(), 0, "exactly seven days");
    // A use starts the week anew.
    scene.test.write(move |tx| tx.touch_audio(id)).await;
    scene.advance(week);
    assert_eq!(sweep().await.unwrap(), 0);
    scene.advance(Duration::from_micros(1));
    assert_eq!(sweep().await.unwrap(), 1);
    assert_eq!(
        scene
            .test
            .database
            .count("SELECT count(*) FROM audio_bytes"),
        1
    );
    scene.advance(week * 10);
    assert_eq!(sweep().await.unwrap(), 0, "a voicemail names the other");
}

use super::*;
use crate::audio::BYTES_MAX;

fn uploads(memory: u64, spool: u64) -> Uploads {
    Uploads::new(memory, spool, std::env::temp_dir())
}

fn chunks(sizes: &[usize]) -> Vec<Result<Part<()>>> {
    sizes
        .iter()
        .map(|size| Ok(Part::Chunk(Bytes::from(vec![7; *size]))))
        .collect()
}

fn incoming(parts: Vec<Result<Part<()>>>) -> Incoming<'static, ()> {
    Incoming::new(tokio_stream::iter(parts), Arrivals::new())
}

#[tokio::test]
async fn bytes_come_back_whole_from_memory_and_spool() {
    // A sixth of it is kept in memory.
    let uploads = uploads(600, 2 * BYTES_MAX);
    let mut body = Body::new(uploads.admit().expect("room"));
    let mut wanted = Vec::new();
    for (at, size) in [60, 40, 1, 0, 5_000].into_iter().enumerate() {
        let chunk = vec![at as u8; size];
        body.push(chunk.clone().into()).await.expect("room");
        wanted.extend(chunk);
    }
    assert_eq!((uploads.memory_used(), uploads.count()), (100, 1));
    assert_eq!(body.into_bytes().expect("readable"), wanted);
    assert_eq!((uploads.memory_used(), uploads.count()), (0, 0));
}

#[tokio::test]
async fn a_sixth_of_the_memory_is_kept_and_the_rest_is_for_what_comes_in() {
    for (size, in_memory) in [(99, 99), (100, 100), (101, 0)] {
        let uploads = uploads(600, BYTES_MAX);
        let mut body = Body::new(uploads.admit().expect("room"));
        body.push(vec![1; size].into()).await.expect("room");
        assert_eq!(uploads.memory_used(), in_memory, "{size}");
        let message = uploads.memory().meter();
        assert!(message.take(600 - in_memory) && !message.take(1), "{size}");
    }
}

#[tokio::test]
async fn where_the_spool_is_spoken_for_the_others_stay_in_memory() {
    let uploads = uploads(6 * BYTES_MAX, BYTES_MAX);
    let mut bodies: Vec<Body> = (0..3)
        .map(|_| Body::new(uploads.admit().expect("room")))
        .collect();
    let sixth = BYTES_MAX as usize;
    for (body, size, in_memory) in [(0, sixth, sixth), (1, 1, sixth), (2, 5, sixth + 5)] {
        let chunk = vec![1; size].into();
        bodies[body].push(chunk).await.expect("room");
        assert_eq!(uploads.memory_used(), in_memory as u64, "{body}");
    }
    // The one on the spool gives its room back.
    drop(bodies.remove(1));
    let mut next = Body::new(uploads.admit().expect("room"));
    next.push(vec![1; 9].into()).await.expect("room");
    assert_eq!(uploads.memory_used(), BYTES_MAX + 5);
}

#[tokio::test]
async fn eight_chunks_are_written_to_the_spool_at_once() {
    let uploads = uploads(BYTES_MAX, BYTES_MAX);
    let upload = uploads.admit().expect("room");
    let mut turns = Vec::new();
    for _ in 0..8 {
        turns.push(upload.turn_to_spool().await);
    }
    let mut ninth = Box::pin(upload.turn_to_spool());
    let waits = std::future::poll_fn(|context| {
        std::task::Poll::Ready(ninth.as_mut().poll(context).is_pending())
    });
    assert!(waits.await);
    turns.pop();
    assert!(ninth.await.is_some());
}

#[tokio::test]
async fn a_body_that_is_dropped_gives_its_room_back() {
    let uploads = uploads(BYTES_MAX, 0);
    let mut body = Body::new(uploads.admit().expect("room"));
    body.push(vec![1; 1_000].into()).await.expect("room");
    drop(body);
    assert_eq!((uploads.memory_used(), uploads.count()), (0, 0));
}

#[test]
fn one_upload_more_than_memory_and_spool_can_hold_is_refused() {
    let uploads = uploads(2 * BYTES_MAX, BYTES_MAX);
    let first: Vec<Reservation> = (0..3).map(|_| uploads.admit().expect("room")).collect();
    let refused = uploads.admit().expect_err("no room");
    assert!(
        matches!(refused, OpError::TooManyUploads { uploads_max: 3, .. }),
        "{refused:?}"
    );
    drop(first);
    assert!(uploads.admit().is_ok());
}

#[tokio::test]
async fn a_chunk_of_1_mib_is_the_largest() {
    for (size, is_taken) in [
        (CHUNK_BYTES_MAX - 1, true),
        (CHUNK_BYTES_MAX, true),
        (CHUNK_BYTES_MAX + 1, false),
    ] {
        assert_eq!(check_chunk(size).is_ok(), is_taken, "{size}");
    }
    let uploads = uploads(BYTES_MAX, BYTES_MAX);
    let body = Body::new(uploads.admit().expect("room"));
    let refused = incoming(chunks(&[1_048_577]))
        .audio(body)
        .await
        .err()
        .expect("too large");
    assert!(
        matches!(
            refused,
            OpError::ChunkTooLarge {
                given: Some(1_048_577),
                ..
            }
        ),
        "{refused:?}"
    );
}

#[tokio::test]
async fn audio_is_refused_at_the_chunk_that_makes_it_certain() {
    let uploads = uploads(BYTES_MAX, BYTES_MAX);
    let body = Body::new(uploads.admit().expect("room"));
    // The stream would go on for ever; the answer does not wait for its end.
    let text = tokio_stream::iter(std::iter::repeat_with(|| {
        Ok(Part::Chunk(Bytes::from_static(b"just some plain words, ")))
    }));
    let refused = Incoming::<()>::new(text, Arrivals::new())
        .audio(body)
        .await
        .err()
        .expect("no MP3");
    assert!(
        matches!(
            refused,
            OpError::Audio(crate::audio::Refusal::NotMp3 { .. })
        ),
        "{refused:?}"
    );
}

#[tokio::test]
async fn metadata_comes_first_and_once() {
    let order = |error: OpError| match error {
        OpError::StreamOrder { number, got, .. } => (number, got),
        other => panic!("{other:?}"),
    };
    assert!(
        incoming(vec![Ok(Part::Metadata(()))])
            .metadata()
            .await
            .is_ok()
    );
    let refused = incoming(chunks(&[1]))
        .metadata()
        .await
        .expect_err("a chunk");
    assert_eq!(order(refused), (1, "audio_chunk"));
    assert_eq!(
        order(incoming(vec![]).metadata().await.expect_err("nothing")),
        (1, "the end of the stream")
    );
    assert_eq!(
        order(
            incoming(vec![Ok(Part::Nothing)])
                .metadata()
                .await
                .expect_err("nothing")
        ),
        (1, "an empty message")
    );

    let uploads = uploads(BYTES_MAX, BYTES_MAX);
    let body = || Body::new(uploads.admit().expect("room"));
    let twice = incoming(vec![Ok(Part::Metadata(()))])
        .audio(body())
        .await
        .err()
        .expect("twice");
    assert_eq!(order(twice), (2, "a second metadata"));
    assert_eq!(
        order(incoming(chunks(&[1])).end().await.expect_err("a chunk")),
        (2, "audio_chunk")
    );
    assert!(incoming(vec![]).end().await.is_ok());
}

/// A caller who sends nothing, with a clock that stands until something waits for it.
#[tokio::test(start_paused = true)]
async fn an_upload_ends_after_30_seconds_without_a_byte() {
    let start = Instant::now();
    let mut silent = Incoming::<()>::new(tokio_stream::pending(), Arrivals::new());
    let refused = silent.next().await.expect_err("stalled");
    assert!(
        matches!(refused, OpError::UploadStalled { kind: "idle", .. }),
        "{refused:?}"
    );
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn bytes_of_a_message_that_is_not_whole_count_as_life() {
    let start = Instant::now();
    let arrivals = Arrivals::new();
    let noted = arrivals.clone();
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_secs(29)).await;
            noted.note();
        }
    });
    let mut slow = Incoming::<()>::new(tokio_stream::pending(), arrivals);
    slow.next().await.expect_err("stalled in the end");
    assert_eq!(start.elapsed().as_secs(), 29 + 29 + 30);
}

#[tokio::test(start_paused = true)]
async fn an_upload_ends_after_120_seconds_in_all() {
    let start = Instant::now();
    let trickle = tokio_stream::StreamExt::throttle(
        tokio_stream::iter(std::iter::repeat_with(|| Ok(Part::Chunk(Bytes::new())))),
        Duration::from_secs(7),
    );
    let uploads = uploads(BYTES_MAX, BYTES_MAX);
    let body = Body::new(uploads.admit().expect("room"));
    let refused = Incoming::<()>::new(trickle, Arrivals::new())
        .audio(body)
        .await
        .err()
        .expect("stalled");
    assert!(
        matches!(refused, OpError::UploadStalled { kind: "total", .. }),
        "{refused:?}"
    );
    assert_eq!(start.elapsed().as_secs(), 120);
}

#[test]
fn a_budget_is_shared_by_meters_and_given_back() {
    let budget = Budget::new(100);
    let (first, second) = (budget.meter(), budget.meter());
    assert!(first.take(60));
    assert!(second.take(40));
    assert!(!second.take(1));
    first.give_back();
    assert!(second.take(60));
    drop((first, second));
    assert_eq!(budget.used(), 0);
}

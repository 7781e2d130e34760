//! An import on its way: chunks come in, lines are read and stored in batches, and what came of them goes
//! out meanwhile. It holds one chunk and the lines of one batch, however long the file is.

use std::sync::Arc;

use prost::bytes::Bytes;
use tokio::sync::mpsc::Sender;
use tonic::{Code, Status, Streaming};

use super::{Api, pb};
use crate::domain::phone::PhoneRules;
use crate::domain::status::Status as VoicemailStatus;
use crate::domain::suppression::SuppressionReason;
use crate::domain::time::Time;
use crate::intake::{CHUNK_BYTES_MAX, IDLE_MAX, Line, Lines, Meter};
use crate::ops::error::{OpError, Result, Violation};
use crate::ops::suppressions::import::{
    BATCH_LINES_MAX, Columns, Defaults, LINE_BYTES_MAX, LineCutter,
};
use crate::ops::suppressions::{self, Added, NewSuppression};
use pb::import_suppressions_request::Payload;
use pb::import_suppressions_response::News;

pub type Answer = std::result::Result<pb::ImportSuppressionsResponse, Status>;

/// The messages of a caller, one after the other.
pub struct Incoming {
    pub stream: Streaming<pb::ImportSuppressionsRequest>,
    /// What holds room for a message until it is whole.
    pub meter: Option<Arc<Meter>>,
    /// The number of the last message.
    number: u64,
}

impl Incoming {
    pub fn new(
        stream: Streaming<pb::ImportSuppressionsRequest>,
        meter: Option<Arc<Meter>>,
    ) -> Incoming {
        Incoming {
            stream,
            meter,
            number: 0,
        }
    }

    /// `None` where the caller has ended the stream.
    async fn next(&mut self, api: &Api) -> Result<Option<pb::ImportSuppressionsRequest>> {
        let stalled = |_| OpError::ImportStalled {
            limit: IDLE_MAX,
            kind: "idle",
        };
        let message = tokio::time::timeout(IDLE_MAX, self.stream.message()).await;
        let message = match message.map_err(stalled)? {
            Ok(message) => message,
            // The library's word for a message above the decoding limit, of which it does not say the size.
            Err(status) => {
                return Err(match status.code() {
                    Code::OutOfRange => too_large(None),
                    Code::Internal | Code::Unimplemented => OpError::Undecodable,
                    Code::ResourceExhausted => api.uploads.refusal(),
                    _ => OpError::CallerGone,
                });
            }
        };
        if let Some(meter) = &self.meter {
            meter.give_back();
        }
        self.number += u64::from(message.is_some());
        Ok(message)
    }

    /// The header, which comes first and once.
    pub async fn header(&mut self, api: &Api) -> Result<pb::ImportSuppressionsHeader> {
        let got = match self.next(api).await?.map(|message| message.payload) {
            Some(Some(Payload::Header(header))) => return Ok(header),
            Some(Some(Payload::CsvChunk(_))) => "csv_chunk",
            Some(None) => "an empty message",
            None => "the end of the stream",
        };
        Err(OpError::StreamOrder {
            number: 1,
            got,
            expected: "header",
        })
    }

    async fn chunk(&mut self, api: &Api) -> Result<Option<Bytes>> {
        let got = match self.next(api).await?.map(|message| message.payload) {
            Some(Some(Payload::CsvChunk(chunk))) => {
                let given = chunk.len() as u64;
                return match given > CHUNK_BYTES_MAX {
                    true => Err(too_large(Some(given))),
                    false => Ok(Some(chunk)),
                };
            }
            None => return Ok(None),
            Some(Some(Payload::Header(_))) => "a second header",
            Some(None) => "an empty message",
        };
        Err(OpError::StreamOrder {
            number: self.number,
            got,
            expected: "csv_chunk or the end of the stream",
        })
    }
}

fn too_large(given: Option<u64>) -> OpError {
    let given = match given {
        Some(given) => given.to_string(),
        None => format!("more than {CHUNK_BYTES_MAX}"),
    };
    let why = format!(
        "it has {given} bytes; at most {CHUNK_BYTES_MAX} are allowed. Send chunks of 64 KiB"
    );
    OpError::InvalidFields(vec![Violation::field("csv_chunk", why)])
}

/// One import.
pub struct Import {
    pub api: Arc<Api>,
    reader: Arc<LineReader>,
    /// What the columns are called.
    names: [String; 4],
    lines: Lines,
    batch: Vec<(u64, Line)>,
    progress: pb::ImportProgress,
    answers: Sender<Answer>,
}

/// What it takes to read a line.
#[derive(Clone)]
struct LineReader {
    defaults: Defaults,
    /// None before the header row.
    columns: Option<Columns>,
    rules: PhoneRules,
    now: Time,
}

impl Import {
    pub fn new(
        api: Arc<Api>,
        (defaults, names): (Defaults, [String; 4]),
        now: Time,
        answers: Sender<Answer>,
    ) -> Import {
        let rules = api.numbers.clone();
        Import {
            api,
            reader: Arc::new(LineReader {
                defaults,
                columns: None,
                rules,
                now,
            }),
            names,
            lines: Lines::new(LINE_BYTES_MAX),
            batch: Vec::new(),
            progress: pb::ImportProgress::default(),
            answers,
        }
    }

    /// To its end, whose last word is the summary.
    pub async fn run(mut self, mut incoming: Incoming) -> Result<()> {
        let api = self.api.clone();
        while let Some(chunk) = incoming.chunk(&api).await? {
            let mut rest = &chunk[..];
            while let Some((number, line)) = self.lines.next(&mut rest) {
                self.take(number, line).await?;
            }
        }
        if let Some((number, line)) = self.lines.finish() {
            self.take(number, line).await?;
        }
        if self.reader.columns.is_none() {
            return Err(bad_header("the file is empty"));
        }
        self.store_batch().await?;
        self.say(News::Summary(self.progress)).await
    }

    async fn take(&mut self, number: u64, line: Line) -> Result<()> {
        if line == Line::Whole(Vec::new()) {
            return Ok(());
        }
        if self.reader.columns.is_none() {
            let columns = read_header(line, &self.names)?;
            Arc::make_mut(&mut self.reader).columns = Some(columns);
            return Ok(());
        }
        self.batch.push((number, line));
        if self.batch.len() < BATCH_LINES_MAX {
            return Ok(());
        }
        self.store_batch().await?;
        self.say(News::Progress(self.progress)).await
    }

    async fn store_batch(&mut self) -> Result<()> {
        let (reader, batch) = (self.reader.clone(), std::mem::take(&mut self.batch));
        let reading = tokio::task::spawn_blocking(move || reader.read_all(batch)).await;
        let read = reading.map_err(|panicked| OpError::Internal(panicked.to_string()))?;
        self.progress.line_count += count(read.good.len() + read.bad.len());
        self.progress.bad_count += count(read.bad.len());
        for (number, problem) in read.bad {
            let line_number = i64::try_from(number).unwrap_or(i64::MAX);
            self.say(News::BadLine(pb::ImportBadLine {
                line_number,
                problem,
            }))
            .await?;
        }
        if read.good.is_empty() {
            return Ok(());
        }
        let (scope, rows) = (self.reader.defaults.scope.clone(), Arc::new(read.good));
        let added = add_all(&self.api, scope, rows).await?;
        self.progress.added_count += i64::try_from(added.added).unwrap_or(i64::MAX);
        self.progress.known_count += i64::try_from(added.known).unwrap_or(i64::MAX);
        self.progress.skipped_count += i64::try_from(added.skipped).unwrap_or(i64::MAX);
        Ok(())
    }

    /// A caller who takes no answers is given up: nothing is kept for it.
    async fn say(&self, news: News) -> Result<()> {
        let answer = pb::ImportSuppressionsResponse { news: Some(news) };
        let sending = self.answers.send(Ok(answer));
        match tokio::time::timeout(IDLE_MAX, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(OpError::CallerGone),
            Err(_) => Err(OpError::ImportStalled {
                limit: IDLE_MAX,
                kind: "unread",
            }),
        }
    }
}

/// Adds a batch, and ends what waits for its numbers in as many units of work as that takes.
pub async fn add_all(
    api: &Arc<Api>,
    scope: crate::domain::suppression::Scope,
    rows: Arc<Vec<NewSuppression>>,
) -> Result<Added> {
    let (within, new) = (scope.clone(), rows.clone());
    let add = move |api: &Api, tx: &mut dyn crate::storage::Tx| {
        suppressions::add(tx, api.workspace, &within, &new)
    };
    let mut added = api.write(add).await?;
    let mut is_more = added.is_more;
    while is_more {
        let (skipped, more) = skip_more(api, scope.clone(), rows.clone()).await?;
        added.skipped += skipped;
        is_more = more;
    }
    let reasons: Vec<SuppressionReason> = rows.iter().map(|row| row.reason).collect();
    note_skipped(api, &reasons, added.skipped);
    Ok(added)
}

pub async fn skip_more(
    api: &Arc<Api>,
    scope: crate::domain::suppression::Scope,
    rows: Arc<Vec<NewSuppression>>,
) -> Result<(u64, bool)> {
    api.write(move |api, tx| suppressions::skip_more(tx, api.workspace, &scope, &rows))
        .await
}

/// Counted under the reason that all of them have, or the first.
pub fn note_skipped(api: &Api, reasons: &[SuppressionReason], skipped: u64) {
    if let (Some(reason), 1..) = (reasons.first(), skipped) {
        let why = Some(reason.failure());
        api.metrics
            .ended_many(VoicemailStatus::Skipped, why, skipped);
    }
}

struct ReadLines {
    good: Vec<NewSuppression>,
    bad: Vec<(u64, String)>,
}

impl LineReader {
    fn read_all(&self, batch: Vec<(u64, Line)>) -> ReadLines {
        let mut read = ReadLines {
            good: Vec::with_capacity(batch.len()),
            bad: Vec::new(),
        };
        let mut cutter = LineCutter::new();
        for (number, line) in batch {
            match self.read(&mut cutter, &line) {
                Ok(new) => read.good.push(new),
                Err(problem) => read.bad.push((number, problem)),
            }
        }
        read
    }

    fn read(
        &self,
        cutter: &mut LineCutter,
        line: &Line,
    ) -> std::result::Result<NewSuppression, String> {
        let Line::Whole(bytes) = line else {
            return Err(format!("it has more than {LINE_BYTES_MAX} bytes"));
        };
        let columns = self.columns.as_ref().ok_or("there is no header row")?;
        columns.read(
            &cutter.fields(bytes)?,
            &self.defaults,
            &self.rules,
            self.now,
        )
    }
}

/// Which column is which, by the first line. Some programs put a byte order mark before it.
fn read_header(line: Line, names: &[String; 4]) -> Result<Columns> {
    let Line::Whole(bytes) = line else {
        return Err(bad_header(&format!(
            "the header row has more than {LINE_BYTES_MAX} bytes"
        )));
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let header = LineCutter::new().fields(bytes);
    let header = header.map_err(|why| bad_header(&format!("the header row: {why}")))?;
    Columns::find(&header, names).map_err(|why| bad_header(&why))
}

fn bad_header(why: &str) -> OpError {
    OpError::InvalidFields(vec![Violation::field("csv_chunk", why)])
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

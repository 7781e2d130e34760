//! A whole list as CSV: read page by page as the caller takes it, so that its length costs no memory.

use std::sync::Arc;

use prost::bytes::Bytes;
use tokio::sync::mpsc::{self, Sender};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::page_token::Placed;
use super::{Api, Repeat, go_on, to_status};
use crate::intake::IDLE_MAX;
use crate::ops::error::{OpError, Result};
use crate::storage::{Page, Tx};

/// Rows that are read at once.
const PAGE_ROWS: i64 = 500;
/// Bytes of a message.
const CHUNK_BYTES: usize = 64 * 1_024;
/// Messages that are made ahead of a slow reader.
const AHEAD: usize = 2;

/// A row of a CSV file.
pub trait Exported: Placed + Send + 'static {
    const HEADER: &'static [&'static str];
    /// In the order of the header.
    fn cells(&self) -> Vec<String>;
}

/// The cell of what may be missing.
pub fn cell(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

pub type Answers<M> = ReceiverStream<std::result::Result<M, Status>>;

/// Streams all that `list` gives, newest first, as messages that hold the text's next bytes.
pub fn stream<T: Exported, M: Send + 'static>(
    api: Arc<Api>,
    list: impl Fn(&Api, &mut dyn Tx, Page) -> Result<Vec<T>> + Clone + Send + 'static,
    message: fn(Bytes) -> M,
) -> Answers<M> {
    let (answers, receiver) = mpsc::channel(AHEAD);
    go_on(async move {
        let done = write_all(&api, list, message, &answers).await;
        if let Err(error) = done {
            // A reader who has gone hears nothing.
            let _ = answers.send(Err(to_status(error, Repeat::Safe))).await;
        }
    });
    ReceiverStream::new(receiver)
}

async fn write_all<T: Exported, M: Send + 'static>(
    api: &Arc<Api>,
    list: impl Fn(&Api, &mut dyn Tx, Page) -> Result<Vec<T>> + Clone + Send + 'static,
    message: fn(Bytes) -> M,
    answers: &Sender<std::result::Result<M, Status>>,
) -> Result<()> {
    let header = T::HEADER.iter().map(|name| (*name).to_owned()).collect();
    let mut text = to_csv(&[header])?;
    let mut after = None;
    loop {
        let page = Page {
            limit: PAGE_ROWS,
            after,
        };
        let list = list.clone();
        let rows = api.read(move |api, tx| list(api, tx, page)).await?;
        let cells: Vec<Vec<String>> = rows.iter().map(T::cells).collect();
        text.extend(to_csv(&cells)?);
        for chunk in Bytes::from(std::mem::take(&mut text)).chunks(CHUNK_BYTES) {
            // A reader who takes nothing for long is given up.
            let sending = answers.send(Ok(message(Bytes::copy_from_slice(chunk))));
            match tokio::time::timeout(IDLE_MAX, sending).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(OpError::CallerGone),
            }
        }
        let is_last = (rows.len() as u64) < PAGE_ROWS.unsigned_abs();
        match rows.last() {
            Some(last) if !is_last => after = Some(last.place()),
            _ => return Ok(()),
        }
    }
}

fn to_csv(rows: &[Vec<String>]) -> Result<Vec<u8>> {
    let fault = |error: String| OpError::Internal(format!("CSV can't be written: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        let written = writer.write_record(row);
        written.map_err(|error| fault(error.to_string()))?;
    }
    writer
        .into_inner()
        .map_err(|error| fault(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_quotes_has_them() {
        let row = ["a,b", "say \"no\"", "two\nlines", ""].map(str::to_owned);
        let text = to_csv(&[row.to_vec()]).expect("writable");
        assert_eq!(text, b"\"a,b\",\"say \"\"no\"\"\",\"two\nlines\",\n");
    }
}

//! The bytes of audio that calls take along. Those of a campaign are read once for many: by calls that begin at the same time, and
//! by those that follow soon.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Mutex;

use hyper::body::Bytes;

use super::run::locked;
use crate::domain::ids::AudioId;
use crate::gather::{Gather, Most};
use crate::ops::Result;
use crate::ops::error::OpError;
use crate::storage::{Error, Store};

/// Units of work that read audio at once, and voicemails whose audio one of them reads: at most as many times 8 MiB.
const READING_MAX: usize = 2;
const READ_TOGETHER_MAX: usize = 16;
/// Bytes of audio that are kept for calls to come.
const KEPT_MAX: usize = 8 * 1_024 * 1_024;

pub struct AudioReader {
    /// `Err`: the database is away.
    reads: Gather<AudioId, std::result::Result<Option<Bytes>, String>>,
    kept: Mutex<Kept>,
}

impl AudioReader {
    pub fn new(store: &Store) -> AudioReader {
        AudioReader {
            reads: reads(store.clone()),
            kept: Mutex::new(Kept::default()),
        }
    }

    /// `Ok(None)`: it is gone, which nothing that goes right brings about.
    pub async fn read(&self, id: AudioId) -> Result<Option<Bytes>> {
        if let Some(audio) = locked(&self.kept).find(id) {
            return Ok(Some(audio));
        }
        let broke_off = || Err("the reading of audio broke off".to_owned());
        let read = self.reads.go(id).await.unwrap_or_else(broke_off);
        let read = read.map_err(|error| OpError::from(Error::Unavailable(error)))?;
        if let Some(audio) = &read {
            locked(&self.kept).keep(id, audio.clone());
        }
        Ok(read)
    }
}

fn reads(store: Store) -> Gather<AudioId, std::result::Result<Option<Bytes>, String>> {
    Gather::new(
        READING_MAX,
        Most::count(READ_TOGETHER_MAX),
        move |ids: Vec<AudioId>| {
            let store = store.clone();
            async move {
                let wanted: BTreeSet<AudioId> = ids.iter().copied().collect();
                let read = store.read(move |tx| {
                    let mut read = HashMap::new();
                    for id in wanted {
                        read.insert(id, tx.read_audio(id)?.map(Bytes::from));
                    }
                    Ok::<_, Error>(read)
                });
                let read = read.await.map_err(|error| error.to_string());
                let of = |id: AudioId| match &read {
                    Ok(read) => Ok(read.get(&id).cloned().flatten()),
                    Err(error) => Err(error.clone()),
                };
                ids.into_iter().map(of).collect()
            }
        },
    )
}

/// What was asked for last, the newest first. The bytes of an id are always the same.
#[derive(Default)]
struct Kept(VecDeque<(AudioId, Bytes)>);

impl Kept {
    fn find(&mut self, id: AudioId) -> Option<Bytes> {
        let at = self.0.iter().position(|(kept, _)| *kept == id)?;
        let found = self.0.remove(at)?;
        let audio = found.1.clone();
        self.0.push_front(found);
        Some(audio)
    }

    /// Drops those that were asked for longest ago, as far as it takes.
    fn keep(&mut self, id: AudioId, audio: Bytes) {
        self.0.retain(|(kept, _)| *kept != id);
        self.0.push_front((id, audio));
        let mut bytes = 0;
        let fits = self.0.iter().take_while(|(_, audio)| {
            bytes += audio.len();
            bytes <= KEPT_MAX
        });
        let fits = fits.count();
        self.0.truncate(fits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(kept: &Kept) -> Vec<AudioId> {
        kept.0.iter().map(|(id, _)| *id).collect()
    }

    fn audio(length: usize) -> Bytes {
        Bytes::from(vec![0; length])
    }

    #[test]
    fn as_much_is_kept_as_may_be_and_what_was_asked_for_longest_ago_goes_first() {
        let [first, second, third] = std::array::from_fn(|_| AudioId::generate());
        let mut kept = Kept::default();
        kept.keep(first, audio(KEPT_MAX / 2));
        kept.keep(second, audio(KEPT_MAX / 2 - 1));
        assert_eq!(ids(&kept), [second, first]);
        kept.keep(second, audio(KEPT_MAX / 2));
        assert_eq!(ids(&kept), [second, first], "all that may be");
        assert_eq!(
            kept.find(first).map(|audio| audio.len()),
            Some(KEPT_MAX / 2)
        );
        assert_eq!(ids(&kept), [first, second], "asked for again");
        kept.keep(third, audio(1));
        assert_eq!(ids(&kept), [third, first], "one byte more than may be");
        assert_eq!(kept.find(second), None);
        kept.keep(second, audio(KEPT_MAX + 1));
        assert!(ids(&kept).is_empty(), "larger than all that may be");
    }
}

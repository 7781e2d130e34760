//! The walk over the frames: which bytes are frames, and how long they last. It runs while the upload streams, keeps only the few
//! bytes that a decision still waits for, and looks at each byte a bounded number of times, whatever the bytes are.
//!
//! Every decision depends on the position alone and never on how the upload was cut into chunks: a step that needs more bytes than
//! there are waits, and then sees the same bytes that it would have seen at once.

mod ending;

use std::time::Duration;

use super::format::{self, Format};
use super::header::{ANY_FRAME_BYTES_MAX, HEADER_BYTES, Header, Layer, TICKS_PER_SECOND};
use super::minimp3::Decoder;
use super::refusal::{Damage, Found, Refusal};
use super::tags;

/// The shortest audio accepted: 10.000 s. It needs no slack, because encoders only ever add.
pub const TICKS_MIN: u64 = 10 * TICKS_PER_SECOND;

/// The longest audio accepted: 60.300 s. The largest padding that encoders were seen to add is 192 ms and one frame is at most 72 ms,
/// so an honest recording of 60.000 s passes at any rate.
pub const TICKS_MAX: u64 = 60_300 * (TICKS_PER_SECOND / 1_000);

/// The most bytes before the first frame that are neither tag nor frame.
pub const JUNK_BEFORE_BYTES_MAX: u64 = 65_536;
/// How far a first frame is searched for: 1 MiB. An upload without one up to here is no MP3.
pub const SEARCH_BYTES_MAX: u64 = 1_048_576;

/// The most bytes between and behind the frames that are neither tag nor frame, or a tenth of the file where that is more.
pub const JUNK_WITHIN_BYTES_MAX: u64 = 65_536;

/// The most that a step waits for: two frames, and what stands behind them. ADTS (8,191 and 7) needs more than a chain does.
const NEEDED_BYTES_MAX: usize = format::NEEDED_BYTES_MAX;
const _: () = assert!(2 * ANY_FRAME_BYTES_MAX + tags::SIGNATURE_BYTES <= NEEDED_BYTES_MAX);

/// How much of a chunk is put behind kept bytes at once: enough that any step finds what it needs.
const TOP_UP_BYTES: usize = 2 * NEEDED_BYTES_MAX;

/// A frame and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// An upload ends at 8 MiB, so positions fit.
    pub offset: u32,
    pub header: Header,
}

impl Frame {
    pub fn start(&self) -> u64 {
        u64::from(self.offset)
    }

    pub fn end(&self) -> u64 {
        self.start() + self.header.frame_bytes() as u64
    }
}

enum State {
    /// Behind zero or more tags in front; the format is not told yet.
    Front,
    /// So many bytes of a tag in front are still to pass.
    Tag(u64),
    /// Looking for three frames in a row.
    Search,
    /// In a chain; the next frame should follow this one here.
    Chain(Header),
    /// The chain broke here.
    Break,
    /// The length is passed for certain unless a tag at the end says that some of it was a tag's. Nothing more is looked at.
    TooLong,
}

enum Step {
    /// Go on behind so many bytes.
    Pass(usize),
    Wait,
}

/// A header, and whether others follow at the lengths that they tell.
struct ChainStart {
    first: Header,
    second: Option<Header>,
    has_third: bool,
}

impl ChainStart {
    /// The length of the first one or two frames.
    fn bytes(&self) -> usize {
        self.first.frame_bytes() + self.second.map_or(0, |header| header.frame_bytes())
    }

    /// Whether these frames are all that is left of so many bytes: they end there, or the end cuts off the second.
    fn reaches(&self, bytes: usize) -> bool {
        self.first.frame_bytes() <= bytes && bytes <= self.bytes()
    }
}

/// One or two frames after a gap behind which a tag may begin. They count if the sound turns out to end there.
struct LastFrames {
    first: Frame,
    second: Option<Frame>,
    end: u64,
}

impl LastFrames {
    fn new(position: u64, start: &ChainStart) -> LastFrames {
        let offset = position as u32;
        let second_offset = offset + start.first.frame_bytes() as u32;
        LastFrames {
            first: Frame {
                offset,
                header: start.first,
            },
            second: start.second.map(|header| Frame {
                offset: second_offset,
                header,
            }),
            end: position + start.bytes() as u64,
        }
    }
}

pub struct Walk {
    state: State,
    /// Bytes that a step still waits for; those before `kept_from` are done with.
    kept: Vec<u8>,
    kept_from: usize,
    /// Where the next step looks.
    position: u64,
    /// Where the tags in front end.
    front_end: u64,
    /// What to call it if no frame is ever found.
    guess: Found,
    /// All frames in order; the first of them is not sound where `first_is_vbr_header`.
    frames: Vec<Frame>,
    first_is_vbr_header: bool,
    ticks: u64,
    /// A gap began with what may be a tag, so that frames behind it may turn out to be a tag's.
    tag_may_have_begun: bool,
    last_frames: Option<LastFrames>,
    /// Bytes of a last frame that the upload's end cuts off.
    cut_frame_bytes: u64,
    decoder: Decoder,
    /// How many places were looked at for a header, for the tests that bound the work.
    #[cfg(test)]
    pub places_read: u64,
}

impl Walk {
    pub fn new() -> Walk {
        Walk {
            state: State::Front,
            kept: Vec::new(),
            kept_from: 0,
            position: 0,
            front_end: 0,
            guess: Found::NoFrames,
            frames: Vec::new(),
            first_is_vbr_header: false,
            ticks: 0,
            tag_may_have_begun: false,
            last_frames: None,
            cut_frame_bytes: 0,
            decoder: Decoder::new(),
            #[cfg(test)]
            places_read: 0,
        }
    }

    /// Bytes kept, and frames noted.
    #[cfg(test)]
    pub fn memory(&self) -> (usize, usize) {
        (self.kept.len(), self.frames.len())
    }

    /// Goes on over the next bytes, as far as they let it.
    pub fn push(&mut self, mut chunk: &[u8]) -> Result<(), Refusal> {
        while !chunk.is_empty() {
            let kept_bytes = self.kept.len() - self.kept_from;
            if kept_bytes == 0 {
                let passed = self.run(chunk, false)?;
                self.kept.clear();
                self.kept.extend_from_slice(&chunk[passed..]);
                self.kept_from = 0;
                return Ok(());
            }
            let top_up = chunk.len().min(TOP_UP_BYTES);
            self.kept.extend_from_slice(&chunk[..top_up]);
            let kept = std::mem::take(&mut self.kept);
            let passed = self.run(&kept[self.kept_from..], false);
            self.kept = kept;
            let passed = passed?;
            if passed >= kept_bytes {
                // The walk has left the kept bytes: it goes on in the chunk itself.
                chunk = &chunk[passed - kept_bytes..];
                self.kept.clear();
                self.kept_from = 0;
            } else {
                chunk = &chunk[top_up..];
                self.kept_from += passed;
                self.drop_passed_bytes();
            }
        }
        Ok(())
    }

    /// Moves the kept bytes to the front only now and then, so that single-byte chunks do not cost a move each.
    fn drop_passed_bytes(&mut self) {
        if self.kept_from >= NEEDED_BYTES_MAX {
            self.kept.drain(..self.kept_from);
            self.kept_from = 0;
        }
    }

    /// Steps through `bytes`, which begin at the current position, and says how many are done with.
    fn run(&mut self, bytes: &[u8], is_end: bool) -> Result<usize, Refusal> {
        let mut passed = 0;
        loop {
            match self.step(&bytes[passed..], is_end)? {
                Step::Pass(count) => {
                    passed += count;
                    self.position += count as u64;
                }
                Step::Wait => return Ok(passed),
            }
        }
    }

    fn step(&mut self, rest: &[u8], is_end: bool) -> Result<Step, Refusal> {
        match self.state {
            State::Front => self.step_front(rest, is_end),
            _ if rest.is_empty() => Ok(Step::Wait),
            State::Tag(left) => {
                let count = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let left = left - count as u64;
                self.state = if left == 0 {
                    State::Front
                } else {
                    State::Tag(left)
                };
                Ok(Step::Pass(count))
            }
            State::Search if self.frames.is_empty() => self.step_search_first(rest, is_end),
            State::Search => Ok(self.step_search_next(rest, is_end)),
            State::Chain(previous) => self.step_chain(previous, rest, is_end),
            State::Break if rest.len() < tags::SIGNATURE_BYTES && !is_end => Ok(Step::Wait),
            State::Break => {
                self.tag_may_have_begun |= tags::may_begin(rest);
                self.state = State::Search;
                Ok(Step::Pass(0))
            }
            State::TooLong => Ok(Step::Pass(rest.len())),
        }
    }

    fn step_front(&mut self, rest: &[u8], is_end: bool) -> Result<Step, Refusal> {
        if rest.len() < tags::ID3V2_HEADER_BYTES && !is_end {
            return Ok(Step::Wait);
        }
        if let Some(tag_bytes) = tags::id3v2_bytes(rest) {
            self.state = State::Tag(tag_bytes);
            self.guess = Found::TagOnly;
            return Ok(Step::Pass(0));
        }
        match format::tell(rest, is_end) {
            Format::NeedsMore => Ok(Step::Wait),
            Format::Other(found) => Err(Refusal::NotMp3 { found }),
            Format::Open(guess) => {
                self.guess = guess;
                self.front_end = self.position;
                self.state = State::Search;
                Ok(Step::Pass(0))
            }
        }
    }

    /// Before the first frame: three headers must chain, each at the length that the one before says.
    /// The junk limit is judged when they are found; [`Walk::check_hope`] says when to look no further.
    fn step_search_first(&mut self, rest: &[u8], is_end: bool) -> Result<Step, Refusal> {
        let mut from = 0;
        while let Some((at, first)) = self.next_header(rest, from) {
            let Some(start) = self.chain_start(first, &rest[at..], is_end) else {
                return Ok(pass_or_wait(at));
            };
            if !start.has_third {
                from = at + 1;
                continue;
            }
            match first.layer() {
                Layer::One => {
                    return Err(Refusal::NotMp3 {
                        found: Found::LayerI,
                    });
                }
                Layer::Two => {
                    return Err(Refusal::NotMp3 {
                        found: Found::LayerII,
                    });
                }
                Layer::Three => {}
            }
            let bytes = self.position + at as u64 - self.front_end;
            // However the upload is cut: what would have been given up before is not found now.
            if bytes > self.search_bytes_max() {
                return Err(Refusal::NotMp3 { found: self.guess });
            }
            if bytes > JUNK_BEFORE_BYTES_MAX {
                let damage = Damage::JunkBefore {
                    bytes,
                    allowed_bytes: JUNK_BEFORE_BYTES_MAX,
                };
                return Err(Refusal::Corrupt { damage });
            }
            self.state = State::Chain(first);
            return Ok(Step::Pass(at));
        }
        self.check_hope(rest.len() as u64)?;
        Ok(pass_without_header(rest, is_end))
    }

    /// Without a chain so far it is refused for certain once the junk is too much; only the reason is open.
    /// What has a name that is no MP3's is refused there; what has none is searched a while longer, because
    /// an MP3 behind it is a damaged one.
    fn check_hope(&self, rest_bytes: u64) -> Result<(), Refusal> {
        let junk = self.position + rest_bytes - self.front_end;
        match junk > self.search_bytes_max() {
            true => Err(Refusal::NotMp3 { found: self.guess }),
            false => Ok(()),
        }
    }

    fn search_bytes_max(&self) -> u64 {
        match self.guess {
            Found::NoFrames | Found::TagOnly => SEARCH_BYTES_MAX,
            _ => JUNK_BEFORE_BYTES_MAX,
        }
    }

    /// After a gap: three headers again, or all that remain to the end of the sound.
    fn step_search_next(&mut self, rest: &[u8], is_end: bool) -> Step {
        let mut from = 0;
        while let Some((at, first)) = self.next_header(rest, from) {
            from = at + 1;
            if first.layer() != Layer::Three {
                continue;
            }
            let here = &rest[at..];
            let Some(start) = self.chain_start(first, here, is_end) else {
                return pass_or_wait(at);
            };
            if start.has_third || (is_end && start.reaches(here.len())) {
                self.state = State::Chain(first);
                return Step::Pass(at);
            }
            if here.get(start.bytes()..).is_some_and(tags::may_begin) {
                let found = LastFrames::new(self.position + at as u64, &start);
                // The second of two frames is met again as one that stands alone; the two are what counts.
                if self
                    .last_frames
                    .as_ref()
                    .is_none_or(|noted| noted.end != found.end)
                {
                    self.last_frames = Some(found);
                }
            }
        }
        pass_without_header(rest, is_end)
    }

    /// The next valid header at or behind `from`, and where it is.
    #[inline]
    fn next_header(&mut self, rest: &[u8], from: usize) -> Option<(usize, Header)> {
        let mut at = from;
        while let Some(left) = rest.get(at..).filter(|left| left.len() >= HEADER_BYTES) {
            #[cfg(test)]
            {
                self.places_read += 1;
            }
            if let Some(header) = Header::parse(left) {
                return Some((at, header));
            }
            at += 1;
            at += rest[at..].iter().position(|byte| *byte == 0xFF)?;
        }
        None
    }

    /// What chains from this header; None while that is not known.
    #[inline]
    fn chain_start(&mut self, first: Header, here: &[u8], is_end: bool) -> Option<ChainStart> {
        #[cfg(test)]
        {
            self.places_read += 2;
        }
        let mut start = ChainStart {
            first,
            second: None,
            has_third: false,
        };
        let is_known = |bytes: usize| here.len() >= bytes + tags::SIGNATURE_BYTES || is_end;
        let follower = |bytes: usize| here.get(bytes..).and_then(|bytes| first.parse_next(bytes));
        if !is_known(start.bytes()) {
            return None;
        }
        start.second = follower(start.bytes());
        if start.second.is_some() {
            if !is_known(start.bytes()) {
                return None;
            }
            start.has_third = follower(start.bytes()).is_some();
        }
        Some(start)
    }

    #[inline(never)]
    fn step_chain(
        &mut self,
        mut previous: Header,
        rest: &[u8],
        is_end: bool,
    ) -> Result<Step, Refusal> {
        let mut passed = 0;
        loop {
            let here = &rest[passed..];
            if here.is_empty() || (here.len() < HEADER_BYTES && !is_end) {
                break;
            }
            let Some(header) = previous.parse_next(here) else {
                self.state = State::Break;
                return Ok(Step::Pass(passed));
            };
            let Some(frame) = here.get(..header.frame_bytes()) else {
                if is_end {
                    self.cut_frame_bytes = here.len() as u64;
                    passed = rest.len();
                }
                break;
            };
            if !self.decoder.confirms(&header, frame) {
                // minimp3 reads every valid header as this project does (a test compares them all), so this is never reached. Were it
                // reached, the frame would be junk, and the search goes on behind its first byte.
                self.state = State::Search;
                return Ok(Step::Pass(passed + 1));
            }
            self.count(self.position + passed as u64, header, frame)?;
            passed += frame.len();
            if self.ticks > TICKS_MAX {
                self.state = State::TooLong;
                return Ok(Step::Pass(passed));
            }
            previous = header;
        }
        self.state = State::Chain(previous);
        Ok(pass_or_wait(passed))
    }

    #[inline]
    fn count(&mut self, position: u64, header: Header, frame: &[u8]) -> Result<(), Refusal> {
        let is_vbr_header = self.frames.is_empty() && is_vbr_header(&header, frame);
        // The offset fits: the judge takes at most 8 MiB.
        self.frames.push(Frame {
            offset: position as u32,
            header,
        });
        if is_vbr_header {
            self.first_is_vbr_header = true;
            return Ok(());
        }
        self.ticks += header.ticks();
        if self.ticks > TICKS_MAX && !self.tag_may_have_begun {
            return Err(Refusal::TooLong {
                counted: to_duration(self.ticks),
            });
        }
        Ok(())
    }
}

fn pass_or_wait(count: usize) -> Step {
    if count == 0 {
        Step::Wait
    } else {
        Step::Pass(count)
    }
}

/// Where no header begins in `rest`: past all of it but the last bytes, with which one may begin.
fn pass_without_header(rest: &[u8], is_end: bool) -> Step {
    let kept = if is_end { 0 } else { HEADER_BYTES - 1 };
    pass_or_wait(rest.len().saturating_sub(kept))
}

/// Whether this first frame is a Xing or Info header (behind the side information, where some writers count the checksum and some do
/// not) or a VBRI header (always 32 bytes behind the frame header). Such a frame carries numbers and no sound.
fn is_vbr_header(header: &Header, frame: &[u8]) -> bool {
    let xing_at = HEADER_BYTES + header.side_info_bytes();
    let is_at =
        |at: usize, mark: &[u8]| frame.get(at..).is_some_and(|bytes| bytes.starts_with(mark));
    let is_xing_at = |at: usize| is_at(at, b"Xing") || is_at(at, b"Info");
    is_xing_at(xing_at)
        || (header.has_checksum() && is_xing_at(xing_at + 2))
        || is_at(HEADER_BYTES + 32, b"VBRI")
}

/// Rounded down to the nanosecond.
pub fn to_duration(ticks: u64) -> Duration {
    let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(TICKS_PER_SECOND);
    // At most a few hours: an upload of 8 MiB in the smallest frames (24 bytes, 24 ms) lasts 2 h 20 min.
    Duration::from_nanos(nanos as u64)
}

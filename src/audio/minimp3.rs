//! The only unsafe code of this room: two calls into minimp3's C core, each with exactly one frame.
//!
//! # Safety argument
//!
//! `mp3dec_decode_frame` may be called when `dec` is a whole `mp3dec_t`, `mp3` points to `mp3_bytes` readable bytes, `info` is
//! writable, and `pcm` is null or has room for 2,304 samples. This module holds to that as follows.
//!
//! * The state is a zeroed `mp3dec_t` that only the C code and [`Decoder::prime`] write. It has no pointers, and for it zeroed memory
//!   is what `mp3dec_init` gives, and more. `prime` keeps the reservoir's length within its 511 bytes.
//! * Each call gets one frame, of Layer III, not of free format, and exactly as long as its header says; anything else is refused
//!   before the call. So the C code finds the frame at the first byte, never searches, and a frame is at most 1,441 bytes: reservoir
//!   (511) and frame fit the 2,815 bytes of the decoder's bit buffer. [`Decoder::decode`] relies on no caller for this and reads the
//!   header itself.
//! * [`Decoder::confirms`] passes a null `pcm`: the C code returns before it reads anything behind the header.
//! * [`Decoder::decode`] copies the frame in front of [`PADDING_BYTES`] zero bytes, since the C bit reader may touch a few bytes behind
//!   the end. Upstream's open reports (lieff/minimp3 #145, #141) are of crafted bodies that make the Huffman reader run past the end of
//!   its bit buffer. A granule begins at most at the end of the data (1,948 bytes) and reads at most 288 pairs of 47 bits, about 1,700
//!   bytes, so such a read ends within the decoder's own scratch structure (about 16,000 bytes, on its stack), behind that
//!   buffer. What it reads there changes samples, which are thrown away, and never the verdict, which the side
//!   information and the reservoir decide.

use minimp3_sys::{
    MINIMP3_MAX_SAMPLES_PER_FRAME, mp3dec_decode_frame, mp3dec_frame_info_t, mp3dec_init, mp3dec_t,
};

use super::header::{FRAME_BYTES_MAX, Header, Layer};

/// The bit reservoir: how many bytes of main data before a frame it can borrow from at most (MPEG-1; MPEG-2 stops at 255).
pub const RESERVOIR_BYTES_MAX: usize = 511;

/// Zero bytes behind a frame that is decoded. The bit reader loads at most four bytes beyond its position.
const PADDING_BYTES: usize = 64;

/// minimp3's state for one stream: the last header, the bit reservoir, the filter's memory.
pub struct Decoder {
    state: Box<mp3dec_t>,
}

impl Decoder {
    pub fn new() -> Decoder {
        let mut state = Box::new(mp3dec_t {
            mdct_overlap: [[0.0; 288]; 2],
            qmf_state: [0.0; 960],
            reserv: 0,
            free_format_bytes: 0,
            header: [0; 4],
            reserv_buf: [0; 511],
        });
        // SAFETY: the pointer is to a whole, owned mp3dec_t.
        unsafe { mp3dec_init(&mut *state) };
        Decoder { state }
    }

    /// Whether minimp3, given these bytes alone and asked for no samples, says of this frame what its header was read to say.
    /// About a thousand times cheaper than decoding it.
    #[inline]
    pub fn confirms(&mut self, header: &Header, frame: &[u8]) -> bool {
        if header.layer() != Layer::Three || header.frame_bytes() != frame.len() {
            return false;
        }
        let mut info = empty_info();
        // SAFETY: `frame` is readable for its length, a Layer III frame's (at most 1,441); a null `pcm` asks for the header alone.
        let samples = unsafe {
            mp3dec_decode_frame(
                &mut *self.state,
                frame.as_ptr(),
                frame.len() as i32,
                std::ptr::null_mut(),
                &mut info,
            )
        };
        // All of these are small and positive, so that the casts change nothing.
        samples as u32 == header.samples()
            && info.frame_bytes as usize == frame.len()
            && info.frame_offset == 0
            && info.hz as u32 == header.hz()
            && info.channels as u32 == header.channels()
            && info.layer == 3
    }

    /// Puts the decoder in front of a frame with this header, as if it had just passed over frames whose main data end in `reservoir`
    /// (the last 511 bytes of it count). This is the state minimp3 itself reaches by running over those frames without being able to
    /// decode them, at none of their cost: at the lowest bit rates a frame can lean on more than twenty frames before it.
    pub fn prime(&mut self, header: &Header, reservoir: &[u8]) {
        let tail = &reservoir[reservoir.len().saturating_sub(RESERVOIR_BYTES_MAX)..];
        self.state.mdct_overlap = [[0.0; 288]; 2];
        self.state.qmf_state = [0.0; 960];
        self.state.free_format_bytes = 0;
        self.state.header = header.bytes();
        self.state.reserv_buf[..tail.len()].copy_from_slice(tail);
        self.state.reserv = tail.len() as i32;
    }

    /// Decodes one frame and says how many samples per channel came of it: 0 where its side information makes no sense or it leans on
    /// data that the frames before it do not have.
    pub fn decode(&mut self, frame: &[u8]) -> usize {
        if whole_frame(frame).is_none() {
            return 0;
        }
        let mut padded = [0_u8; FRAME_BYTES_MAX + PADDING_BYTES];
        padded[..frame.len()].copy_from_slice(frame);
        let mut samples = [0_i16; MINIMP3_MAX_SAMPLES_PER_FRAME as usize];
        let mut info = empty_info();
        // SAFETY: `padded` is readable for the frame's length and 64 bytes more; `samples` has room for the largest frame.
        let count = unsafe {
            mp3dec_decode_frame(
                &mut *self.state,
                padded.as_ptr(),
                frame.len() as i32,
                samples.as_mut_ptr(),
                &mut info,
            )
        };
        usize::try_from(count).unwrap_or(0)
    }
}

/// The header of `frame` if it is one whole Layer III frame and nothing more.
fn whole_frame(frame: &[u8]) -> Option<Header> {
    Header::parse(frame)
        .filter(|header| header.layer() == Layer::Three && header.frame_bytes() == frame.len())
}

fn empty_info() -> mp3dec_frame_info_t {
    mp3dec_frame_info_t {
        frame_bytes: 0,
        frame_offset: 0,
        channels: 0,
        hz: 0,
        layer: 0,
        bitrate_kbps: 0,
    }
}

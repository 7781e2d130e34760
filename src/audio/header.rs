//! The four bytes in front of every MPEG audio frame: what they say, and nothing else.

/// The longest Layer III frame in bytes: 1152 samples at 320 kbit/s and 32 kHz (or 576 at 160 kbit/s and 8 kHz), and a padding byte.
pub const FRAME_BYTES_MAX: usize = 1_441;

/// The longest frame of any layer whose length the header tells: Layer II, 384 kbit/s at 32 kHz, and a padding byte.
/// (Layer I reaches 448 kbit/s * 12 / 32 kHz * 4 = 672 bytes, and 4 of padding.)
pub const ANY_FRAME_BYTES_MAX: usize = 1_729;

/// Bytes in a frame header.
pub const HEADER_BYTES: usize = 4;

/// Every sampling rate of MPEG audio divides this, so sums of samples at different rates stay exact whole numbers.
/// (The least common multiple of 48, 44.1, 32, 24, 22.05, 16, 12, 11.025 and 8 kHz.)
pub const TICKS_PER_SECOND: u64 = 14_112_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    One,
    Two,
    Three,
}

/// The bits in which the headers of one chain agree: sync word, version, layer and sampling rate. Bit rate and channels may differ.
const CHAIN_BITS: u32 = 0xFFFE_0C00;

/// A valid header that tells its frame's length: any version, any layer, but not free format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The four bytes, the first of them highest.
    word: u32,
    frame_bytes: u16,
}

impl Header {
    /// Reads the header at the start of `bytes`; None where there is no valid one, where it is of free format
    /// (bit-rate index 0, which leaves the length open), or where fewer than four bytes are left.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Header> {
        let word = u32::from_be_bytes(*bytes.first_chunk()?);
        if word < 0xFFE0_0000 {
            None
        } else {
            Header::of_word(word)
        }
    }

    /// Reads the header at the start of `bytes` where it can follow this one in a chain.
    #[inline]
    pub fn parse_next(&self, bytes: &[u8]) -> Option<Header> {
        let word = u32::from_be_bytes(*bytes.first_chunk()?);
        if (word ^ self.word) & CHAIN_BITS == 0 {
            Header::of_word(word)
        } else {
            None
        }
    }

    #[inline]
    fn of_word(word: u32) -> Option<Header> {
        let unpadded = UNPADDED_BYTES[(word >> 10) as usize & 0x7FF];
        let slot_bytes = if layer_bits(word) == 3 { 4 } else { 1 };
        let padding = ((word >> 9) & 1) as u16 * slot_bytes;
        (unpadded != 0).then_some(Header {
            word,
            frame_bytes: unpadded + padding,
        })
    }

    pub fn bytes(&self) -> [u8; HEADER_BYTES] {
        self.word.to_be_bytes()
    }

    /// The frame's length, its header included.
    pub fn frame_bytes(&self) -> usize {
        usize::from(self.frame_bytes)
    }

    pub fn layer(&self) -> Layer {
        match layer_bits(self.word) {
            3 => Layer::One,
            2 => Layer::Two,
            // 0 is no layer and is never read.
            _ => Layer::Three,
        }
    }

    pub fn hz(&self) -> u32 {
        self.measure().hz
    }

    /// Samples per channel in the frame.
    pub fn samples(&self) -> u32 {
        self.measure().samples
    }

    /// The frame's length in time, in units of 1 / [`TICKS_PER_SECOND`] s.
    pub fn ticks(&self) -> u64 {
        self.measure().ticks
    }

    pub fn channels(&self) -> u32 {
        if self.is_mono() { 1 } else { 2 }
    }

    /// Where a Layer III frame's main data begin: behind the header, the checksum if there is one, and the side information.
    pub fn main_data_offset(&self) -> usize {
        let checksum = if self.has_checksum() { 2 } else { 0 };
        HEADER_BYTES + checksum + self.side_info_bytes()
    }

    pub fn has_checksum(&self) -> bool {
        (self.word >> 16) & 1 == 0
    }

    pub fn side_info_bytes(&self) -> usize {
        match (version_bits(self.word) == 3, self.is_mono()) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        }
    }

    fn is_mono(&self) -> bool {
        (self.word >> 6) & 3 == 3
    }

    #[inline]
    fn measure(&self) -> &'static Measure {
        &MEASURES[((self.word >> 15) & 0x3C | (self.word >> 10) & 3) as usize]
    }
}

/// Whether a Layer III header of free format stands at the start of `bytes`.
pub fn is_free_format(bytes: &[u8]) -> bool {
    bytes.first_chunk().is_some_and(|&bytes| {
        let word = u32::from_be_bytes(bytes);
        is_valid(word) && bit_rate_index(word) == 0 && layer_bits(word) == 1
    })
}

const fn version_bits(word: u32) -> u32 {
    (word >> 19) & 3
}

const fn layer_bits(word: u32) -> u32 {
    (word >> 17) & 3
}

const fn bit_rate_index(word: u32) -> u32 {
    (word >> 12) & 15
}

const fn rate_bits(word: u32) -> u32 {
    (word >> 10) & 3
}

/// Sync word, a version and a layer that exist (MPEG-2.5 has Layer III alone), a bit rate and a sampling rate that exist.
const fn is_valid(word: u32) -> bool {
    let is_version = match version_bits(word) {
        0 => layer_bits(word) == 1,
        1 => false,
        _ => layer_bits(word) != 0,
    };
    word >> 21 == 0x7FF && is_version && bit_rate_index(word) != 15 && rate_bits(word) != 3
}

const fn hz(word: u32) -> u32 {
    let full = match rate_bits(word) {
        0 => 44_100,
        1 => 48_000,
        _ => 32_000,
    };
    match version_bits(word) {
        3 => full,
        2 => full / 2,
        _ => full / 4,
    }
}

const fn samples(word: u32) -> u32 {
    match (layer_bits(word), version_bits(word)) {
        (3, _) => 384,
        (2, _) | (_, 3) => 1_152,
        _ => 576,
    }
}

const KBPS_LAYER_3_MPEG_1: [u32; 15] = [
    0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
];
const KBPS_LAYER_2_MPEG_1: [u32; 15] = [
    0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
];
const KBPS_LAYER_1_MPEG_1: [u32; 15] = [
    0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448,
];
const KBPS_LAYERS_2_3_MPEG_2: [u32; 15] =
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const KBPS_LAYER_1_MPEG_2: [u32; 15] = [
    0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256,
];

/// The frame's length without padding; 0 for free format and for headers that are not valid.
const fn unpadded_bytes(word: u32) -> u32 {
    if !is_valid(word) {
        return 0;
    }
    let kbps_table = match (layer_bits(word), version_bits(word)) {
        (3, 3) => KBPS_LAYER_1_MPEG_1,
        (2, 3) => KBPS_LAYER_2_MPEG_1,
        (_, 3) => KBPS_LAYER_3_MPEG_1,
        (3, _) => KBPS_LAYER_1_MPEG_2,
        _ => KBPS_LAYERS_2_3_MPEG_2,
    };
    let kbps = kbps_table[bit_rate_index(word) as usize];
    match layer_bits(word) {
        3 => 12_000 * kbps / hz(word) * 4,
        _ => samples(word) * kbps * 125 / hz(word),
    }
}

/// Lengths by the eleven bits of version, layer, checksum, bit rate and sampling rate. The search reads a header at every other byte
/// of a hostile upload, so lengths are looked up and not divided out.
static UNPADDED_BYTES: [u16; 2_048] = {
    let mut table = [0; 2_048];
    let mut index = 0;
    while index < table.len() {
        table[index] = unpadded_bytes(0xFFE0_0000 | (index as u32) << 10) as u16;
        index += 1;
    }
    table
};

struct Measure {
    hz: u32,
    samples: u32,
    ticks: u64,
}

/// What follows from the six bits of version, layer and sampling rate.
static MEASURES: [Measure; 64] = {
    let mut table = [const {
        Measure {
            hz: 0,
            samples: 0,
            ticks: 0,
        }
    }; 64];
    let mut index = 0;
    while index < table.len() {
        let word = (index as u32 >> 2) << 17 | (index as u32 & 3) << 10;
        let ticks = samples(word) as u64 * (TICKS_PER_SECOND / hz(word) as u64);
        table[index] = Measure {
            hz: hz(word),
            samples: samples(word),
            ticks,
        };
        index += 1;
    }
    table
};
